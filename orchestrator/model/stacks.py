# SPDX-License-Identifier: GPL-2.0-or-later
"""A frame of a stack, and the lines of the source that it stands for."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceLine:
    """A line of the source that a frame of a stack stands for."""

    function: str
    file: str  # relative to the source tree
    line: int
    inlined: bool = False  # into the function of the next place
    changed: bool = False  # the series under test changed this function


@dataclass(frozen=True, kw_only=True, slots=True)
class StackFrame:
    """One line of a stack as the kernel printed it, and what it stands for in the source."""

    function: str  # suffixes of the compiler included
    offset: int  # bytes
    size: int  # of the function, in bytes; 0 where the kernel did not print it
    exact: bool = False  # the instruction that was executed; else where a call will return to
    module: str = ""
    places: tuple[SourceLine, ...] = ()  # innermost first, one for each inlined call; () where nothing is known

    def __str__(self) -> str:
        size = f"/{self.size:#x}" if self.size else ""
        module = f" [{self.module}]" if self.module else ""
        return f"{self.function}+{self.offset:#x}{size}{module}"
