# SPDX-License-Identifier: GPL-2.0-or-later
"""All functions below some folders of a kernel, with the blocks that a kernel of the flavour `reach` records. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.host.elf import Function, Unit
from orchestrator.kernel.code.flow import Instruction, Node, counts, instructions, nodes_of
from orchestrator.kernel.code.stretches import Stretch, own_code, stretches
from orchestrator.kernel.code.targets import CALLBACK, Kernel, spans_of, stays
from orchestrator.model.reach import CodeFunction, Recorded, RecordedCode, SourceFunction

# Instructions whose lines are asked for at a time: each start of the symboliser costs, and so does each line in memory.
_AT_ONCE = 50_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Body:
    """A function of the machine code."""

    function: Function
    code: tuple[Instruction, ...]

    @property
    def sources(self) -> Iterator[SourceFunction]:
        for place in (self.function.place, *self.function.inlined):
            yield SourceFunction(place.file, place.name)


@dataclass(kw_only=True, slots=True)
class _Copies:
    """What the copies of one function gave so far; all numbers are offsets of callbacks."""

    own: set[int] = field(default_factory=set)  # of blocks that begin in it
    touched: set[int] = field(default_factory=set)  # of blocks that have some instruction of it
    lines: dict[int, set[int]] = field(default_factory=dict)
    called: bool = False  # a copy lies in code that has callbacks
    boot: bool = True  # all copies lie in code that is freed after the boot

    def blocks(self) -> set[int]:
        # The compiler moves instructions of an inlined function into the block before it, which runs without it, too.
        return self.own or self.touched


def recorded_code(folders: Sequence[str], kernel: Kernel) -> RecordedCode:
    """The functions of the C files below the folders, and those of headers that were inlined into them."""
    found: dict[SourceFunction, _Copies] = {}
    text = kernel.text()
    bodies: list[_Body] = []
    for unit in kernel.binary.units():
        if unit.source.startswith(tuple(folders)):
            bodies += _bodies(unit, kernel)
        if sum(len(body.code) for body in bodies) > _AT_ONCE:
            _look(found, bodies, kernel, text)
            bodies = []
    _look(found, bodies, kernel, text)
    functions = (_function(place, one) for place, one in sorted(found.items()) if place.file and place.name)
    return RecordedCode(folders=tuple(folders), functions=tuple(functions))


def _bodies(unit: Unit, kernel: Kernel) -> Iterator[_Body]:
    functions = list(unit.functions(lambda _place, _inlined: True))
    code = [one for span in spans_of(functions) for one in instructions(kernel.disassemble(*span))]
    for function in functions:
        yield _Body(function=function, code=tuple(own_code(function, code)))


def _look(found: dict[SourceFunction, _Copies], bodies: Sequence[_Body], kernel: Kernel, text: range) -> None:
    places = kernel.places({one.address for body in bodies for one in body.code})
    for body in bodies:
        for source in body.sources:
            found.setdefault(source, _Copies())
        # A function without instructions of its own, and one that is gone by the time that a workload runs.
        if not body.code or not stays(body.function, text):
            continue
        nodes = nodes_of(body.code, body.function.ranges, kernel.branches, CALLBACK)
        for source in body.sources:
            found[source].boot = False
            found[source].called |= any(node.call for node in nodes)
        _take(found, body, nodes, tuple(stretches(body.function, body.code, places)), text.start)


def _take(
    found: dict[SourceFunction, _Copies], body: _Body, nodes: Sequence[Node], parts: Sequence[Stretch], start: int
) -> None:
    known = counts(nodes)
    found[next(body.sources)].own |= {node.call - start for node in nodes if node.call}
    for node, stretch in _overlaps(nodes, parts):
        # Whether a block without a callback ran, the bits of its neighbours tell only where nothing is taken away.
        terms = known.get(node.start, {})
        offsets = {call - start for call in terms} if terms and min(terms.values()) > 0 else set()
        begins = bool(node.call) and stretch.start < node.call <= stretch.end
        for frame in stretch.frames:
            one = found.get(SourceFunction(frame.function.file, frame.function.name))
            if one is None:
                continue
            one.touched |= offsets
            one.lines.setdefault(frame.line, set()).update(offsets)
            if begins:
                one.own.add(node.call - start)


def _overlaps(nodes: Sequence[Node], parts: Sequence[Stretch]) -> Iterator[tuple[Node, Stretch]]:
    """Each node with each stretch that has instructions in it; both are in the order of addresses."""
    at = 0
    for node in nodes:
        while at < len(parts) and parts[at].end <= node.start:
            at += 1
        further = at
        while further < len(parts) and parts[further].start < node.end:
            yield node, parts[further]
            further += 1


def _function(place: SourceFunction, found: _Copies) -> CodeFunction:
    blocks = found.blocks()
    without = Recorded.BOOT if found.boot else Recorded.FOLDED if found.called else Recorded.NO
    recorded = Recorded.YES if blocks else without
    lines = {line: tuple(sorted(offsets)) for line, offsets in sorted(found.lines.items()) if offsets}
    return CodeFunction(file=place.file, name=place.name, recorded=recorded, blocks=tuple(sorted(blocks)), lines=lines)
