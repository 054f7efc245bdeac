# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of kernel functions in a deterministic guest, seen from outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

WINDOW_BYTES = 16
"""Of an inlined copy, so much is looked at: its first instructions fetch what it works on into a register."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedFunction:
    """What is to be traced: a function, and what its first arguments are called."""

    name: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A CPU at the first instruction of a function."""

    cpu: int
    address: int
    arguments: tuple[int, ...]  # what the registers have in which integers and pointers are passed
    registers: tuple[int, ...] = ()  # what all have, but for the stack pointer


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """An entry into a function that was asked for, and what the kernel's own functions told of it."""

    function: TracedFunction
    cpu: int
    arguments: tuple[int, ...]
    seconds: float | None  # CLOCK_MONOTONIC of the last tick before it; None: there was none yet
    task: int | None  # address of the task_struct that runs on the CPU; None: it has not switched yet
    address: int = 0  # of the instruction
    registers: tuple[int, ...] = ()  # what all have there


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """The addresses that QEMU tells of, and what they stand for."""

    functions: Mapping[int, TracedFunction]
    clocks: frozenset[int] = field(default_factory=frozenset)
    switches: frozenset[int] = field(default_factory=frozenset)
    windows: frozenset[int] = field(default_factory=frozenset)  # of the functions, those that are inlined copies

    @property
    def addresses(self) -> tuple[int, ...]:
        return tuple(sorted({*self.functions, *self.clocks, *self.switches}))
