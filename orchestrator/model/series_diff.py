# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series as a whole did to the source: files and hunks, functions, texts, and a digest for each file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["new", "old"]
"""The source with the series, or without it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffLine:
    """A line of the diff; a number is 0 where the line is not there."""

    kind: Literal["+", "-", " "]
    old: int
    new: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedFile:
    """What the whole series does to one file: its hunks, with context."""

    path: str
    hunks: tuple[tuple[DiffLine, ...], ...]

    def lines(self, side: Side) -> dict[int, str]:
        """The lines of one side that the other does not have: number -> text."""
        kind = {"new": "+", "old": "-"}[side]
        return {_number(line, side): line.text for hunk in self.hunks for line in hunk if line.kind == kind}

    def spans(self, side: Side) -> set[tuple[int, int]]:
        """Spans of lines of one side; a function that has all lines of any of them is changed.

        A line that only this side has is a span of itself. Where the other side has lines that this one lacks, the span
        is the lines before and after them: a function has lost something only if both are its own. Before the first
        line of a file and after its last one there is a line of no function.
        """
        other = {"new": "-", "old": "+"}[side]
        found = {(number, number) for number in self.lines(side)}
        for hunk in self.hunks:
            numbers = [_number(line, side) for line in hunk]
            for at, line in enumerate(hunk):
                if line.kind == other:
                    before = next((number for number in reversed(numbers[:at]) if number), 0)
                    found.add((before, next((number for number in numbers[at:] if number), before + 1)))
        return found


def _number(line: DiffLine, side: Side) -> int:
    return line.new if side == "new" else line.old


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedFunction:
    """A function with a line that the series added, or took away; lines of the patched file, from 1."""

    file: str
    name: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesDiff:
    """What a series did to the source, all patches together.

    A run that was kept by an earlier version has functions and texts only.
    """

    files: tuple[ChangedFile, ...]
    functions: tuple[ChangedFunction, ...]  # of C files
    texts: Mapping[str, str]  # path -> the patched file, of each C file that the series touches
    digests: Mapping[str, str] = field(default_factory=dict)  # Series.by_file

    def changed(self, file: str, line: int) -> bool:
        """Whether the line of the patched source lies in a function that the series changed."""
        return any(one.file == file and one.first <= line <= one.last for one in self.functions)
