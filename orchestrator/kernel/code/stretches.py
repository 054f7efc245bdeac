# SPDX-License-Identifier: GPL-2.0-or-later
"""The instructions of a function, by the lines that they came from and the functions those are lines of. Pure."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from orchestrator.host.elf import Function, Subprogram
from orchestrator.kernel.code.flow import Instruction
from orchestrator.kernel.code.symboliser import Places
from orchestrator.model.stacks import SourceLine


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of the source, and the function that it is a line of."""

    function: Subprogram
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring instructions, start <= address < end, that came from one line: innermost frame first.

    The further frames are the lines that the function of the one before was inlined at.
    """

    start: int
    end: int
    frames: tuple[Frame, ...]


def own_code(function: Function, code: Sequence[Instruction]) -> Iterator[Instruction]:
    """A function's instructions; `code` holds those of others, too, all by address."""
    for start, end in sorted(function.ranges):
        first, last = (bisect_left(code, edge, key=lambda one: one.address) for edge in (start, end))
        yield from code[first:last]


def stretches(function: Function, code: Sequence[Instruction], places: Places) -> Iterator[Stretch]:
    """What of a function came from which line, by address; instructions without a line are in none."""
    # A source file has one function of a name.
    named = {place.name: place for place in function.inlined}
    for start, end in sorted(function.ranges):
        part = own_code(replace(function, ranges=((start, end),)), code)
        groups = [(next(group).address, lines) for lines, group in groupby(part, lambda one: places.get(one.address))]
        ends = [*(first for first, _ in groups[1:]), end]
        for (first, lines), last in zip(groups, ends, strict=False):
            if lines:
                yield Stretch(start=first, end=last, frames=tuple(_frames(lines, function.place, named)))


def _frames(lines: Sequence[SourceLine], outermost: Subprogram, named: Mapping[str, Subprogram]) -> Iterator[Frame]:
    for line in lines:
        unknown = Subprogram(name=line.function, file="", line=0)
        function = named.get(line.function, unknown) if line.inlined else outermost
        yield Frame(function=function, file=line.file, line=line.line)
