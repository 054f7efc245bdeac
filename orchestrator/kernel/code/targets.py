# SPDX-License-Identifier: GPL-2.0-or-later
"""From the lines that a series changes to the blocks of machine code that are counted and widened.

A changed function is one with a changed line in it. Its blocks are targets wherever they lie, inlined copies included;
so is what was inlined into it. In a hunt all functions of some files are targets, as if each were changed. Partners are
targets of a second kind: they are delayed, and nobody asks whether they ran.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from orchestrator.host.elf import Binary, Function, Subprogram, Unit
from orchestrator.kernel.code.c_functions import Extent, extents_at
from orchestrator.kernel.code.flow import Branches, Instruction, Node, Terms, counts, instructions, nodes_of
from orchestrator.kernel.code.stretches import Frame, Stretch, own_code, stretches
from orchestrator.kernel.code.symboliser import Places
from orchestrator.model.blocks import Block, ChangedLine, CoverageMap, LineState, Partner, Piece
from orchestrator.model.series_diff import ChangedFile, Side

CALLBACK = "__sanitizer_cov_trace_pc"
# Functions of one source lie side by side, those of another section far away.
_FAR = 1 << 18

# The blocks that all partners of a series may have: a hook costs time wherever it runs.
MOST_PARTNER_BLOCKS = 2000

# Two words or more, and no value or a constant: `bool pinned = false;`. A statement has one word before its "=".
_DECLARATION = re.compile(
    r"\s+(?!(?:return|goto|else|case|do)\b)(?:\w+[\s*]+)+\w+(?:\[\w*\])?(?:\s*=\s*(?:-?\w*\d\w*|NULL|true|false|\{[\s0]*\}))?[;,]\s*(?:/\*.*)?$"
)

# No brace, label or comment.
_STATEMENT = re.compile(r"\s+(?!\s|/[/*]|\*).*[;(]")
# So far behind a gap is the code that follows it.
_GAP_REACH = 10

Sources = Callable[[str], str]
"""The text of a source file of the tree that was built; "" for none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quiet:
    """Lines of a function where lost time makes a correct kernel look wrong: counted, but never delayed."""

    function: str
    first: str  # pattern of the first such line; "" for the whole function
    last: str
    reason: str


QUIETS = (
    Quiet(
        function="shmem_swapin_folio",
        first=r"\b(?:tryget_swap_entry|get_swap_device)\(",
        last=r"\bshmem_confirm_swap\(",
        reason="swapoff, swapon and swapping out to the same slot between both give -EINVAL, in v6.19 itself, too",
    ),
    Quiet(function="shmem_confirm_swap", first="", last="", reason="the second of both"),
)


Disassemble = Callable[[int, int], str]
"""What objdump prints of the code between two addresses."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel that was built, and what it was built from."""

    binary: Binary
    sources: Sources
    disassemble: Disassemble
    places: Callable[[Collection[int]], Places]  # of all addresses at once
    branches: Branches

    def text(self) -> range:
        """The addresses of the code that stays when the boot is over; to the end of all where no symbol says."""
        edges = self.binary.symbols("_stext", "_etext")
        return range(edges.get("_stext", 0), edges.get("_etext", 1 << 64))


@dataclass(kw_only=True, slots=True)
class _Blocks:
    """What the units gave so far."""

    blocks: dict[int, Block] = field(default_factory=dict)
    # A line with code -> what of it can be counted.
    lines: dict[tuple[str, int], set[Piece]] = field(default_factory=dict)
    boot: set[tuple[str, int]] = field(default_factory=set)  # lines with code that is freed after the boot
    built: set[str] = field(default_factory=set)  # the sources of units, and what they include


def coverage_map(  # noqa: PLR0913  # what a kernel is delayed in
    changed: Sequence[ChangedFile],
    side: Side,
    kernel: Kernel,
    *,
    instrumented: Collection[str] = (),
    whole: Collection[str] = (),
    partners: Sequence[Partner] = (),
    quiets: Sequence[Quiet] = QUIETS,
) -> CoverageMap:
    """What can be counted in a kernel. `side` says which lines of the diff are in it.

    `instrumented` are the C files compiled with the callback, beside those that are changed themselves. All functions
    of the files in `whole` are targets; `partners` are, best first, as far as there is room for their blocks.
    """
    wanted = {file.path: file.lines(side) for file in changed if _is_c(file.path)}
    found = _Blocks()
    if wanted or whole:
        touched = {file.path: file.spans(side) for file in changed if _is_c(file.path)}
        aim = _Aim(touched=touched, whole=frozenset(whole), partners=frozenset(map(_place_of, partners)), quiets=quiets)
        _look(found, {*touched, *instrumented, *whole}, kernel, aim)
        _look_elsewhere(found, wanted, kernel.binary)
    lines = tuple(
        _line(path, number, text, found) for path, numbered in wanted.items() for number, text in numbered.items()
    )
    kept = with_room(partners, found.blocks.values())
    names = {one.function for one in kept}
    blocks = tuple(block for _, block in sorted(found.blocks.items()) if not block.partner or block.target in names)
    after = (_after_gap(file.path, number, found) for file in changed for number in gaps(file, side))
    pieces = tuple(piece for some in after for piece in some)
    return CoverageMap(
        side=side,
        diff=tuple(changed),
        lines=lines,
        blocks=blocks,
        gaps=pieces,
        whole=tuple(sorted(whole)),
        partners=kept,
    )


def with_room(partners: Sequence[Partner], blocks: Iterable[Block]) -> tuple[Partner, ...]:
    """The best of those that have blocks."""
    sizes = Counter(block.target for block in blocks if block.partner)
    kept, used = [], 0
    for one in partners:
        if 0 < sizes[one.function] <= MOST_PARTNER_BLOCKS - used:
            used += sizes[one.function]
            kept.append(one)
    return tuple(kept)


def _place_of(partner: Partner) -> tuple[str, str]:
    return partner.file, partner.function


def gaps(file: ChangedFile, side: Side) -> list[int]:
    """The lines of one side before which the other has statements that this one has nothing for."""
    own = {"new": "+", "old": "-"}[side]
    found = []
    for hunk in file.hunks:
        kinds: set[str] = set()  # of the statements of the run of changed lines that we are in
        for line in hunk:
            if line.kind != " ":
                kinds |= {line.kind} if _is_statement(line.text) else set()
                continue
            if kinds and own not in kinds:
                found.append(line.new if side == "new" else line.old)
            kinds = set()
    return found


def _is_statement(text: str) -> bool:
    return bool(_STATEMENT.match(text)) and not _DECLARATION.match(text)


def quiet_lines(quiet: Quiet, extent: Extent, text: str) -> tuple[int, int]:
    """First and last quiet line of a function; (0, 0) where its text is another one by now."""
    if not quiet.first:
        return extent.first, extent.last
    lines = list(enumerate(text.split("\n"), start=1))[extent.first - 1 : extent.last]
    first = next((number for number, line in lines if re.search(quiet.first, line)), 0)
    last = next((number for number, line in lines if number >= first and re.search(quiet.last, line)), 0)
    return (first, last) if first and last else (0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Aim:
    """What is looked for, by the places of the source."""

    touched: Mapping[str, Collection[tuple[int, int]]]  # file -> spans of changed lines
    whole: frozenset[str]
    partners: frozenset[tuple[str, str]]  # file and name
    quiets: Sequence[Quiet]


def _look(found: _Blocks, instrumented: Collection[str], kernel: Kernel, aim: _Aim) -> None:
    text = kernel.text()
    looks: list[tuple[_Walk, list[Function], list[Instruction]]] = []
    for unit in kernel.binary.units():
        if unit.source not in instrumented:
            continue
        found.built.add(unit.source)
        found.built |= unit.files() & set(aim.touched)
        walk = _Walk(unit=unit, sources=kernel.sources, aim=aim)
        functions = list(walk.functions())
        code = [one for span in spans_of(functions) for one in instructions(kernel.disassemble(*span))]
        looks.append((walk, functions, code))
    own = (own_code(function, code) for _, functions, code in looks for function in functions)
    places = kernel.places({one.address for part in own for one in part})
    for walk, functions, code in looks:
        for function in functions:
            nodes = nodes_of(code, function.ranges, kernel.branches, CALLBACK)
            parts = tuple(stretches(function, code, places))
            if not stays(function, text):
                found.boot |= _changed_places(parts, walk)
                continue
            body = _Body(function=function, stretches=parts, nodes=nodes, counts=counts(nodes), start=text.start)
            _take(found, body, walk)


def stays(function: Function, text: range) -> bool:
    """Whether some of its code is there when the boot is over; `text`: Kernel.text()."""
    return any(first in text for first, _ in function.ranges)


def spans_of(functions: Sequence[Function]) -> Iterator[tuple[int, int]]:
    """A few spans of addresses that hold all functions: each is a run of objdump."""
    parts = sorted(part for function in functions for part in function.ranges)
    while parts:
        start, end = parts.pop(0)
        while parts and parts[0][0] - end < _FAR:
            end = max(end, parts.pop(0)[1])
        yield start, end


class _Walk:
    """One unit's changed functions, and the lines where no time may be lost."""

    def __init__(self, *, unit: Unit, sources: Sources, aim: _Aim) -> None:
        self._unit = unit
        places = list(unit.places())
        self.changed = {
            place
            for path, spans in aim.touched.items()
            for place, extent in _extents((place for place in places if place.file == path), sources(path))
            if any(extent.first <= first and last <= extent.last for first, last in spans)
        } | {place for place in places if place.file in aim.whole}
        self._changed_names = {place.name for place in self.changed}
        self.partners = {
            place for place in places if (place.file, _in_source(place.name)) in aim.partners
        } - self.changed
        self._quiet = {
            (place, number)
            for quiet in aim.quiets
            for named in places
            if named.name == quiet.function
            for place, extent in _extents([named], sources(named.file))
            for number in _numbers(quiet_lines(quiet, extent, sources(place.file)))
        }

    def functions(self) -> Iterator[Function]:
        wanted = self.changed | self.partners
        return self._unit.functions(lambda place, inlined: place in wanted or bool(inlined & wanted))

    def target(self, frames: Sequence[Frame]) -> str:
        """The outermost changed function, else the outermost partner; "" when the instructions belong to none."""
        for wanted in (self.changed, self.partners):
            if names := [frame.function.name for frame in frames if frame.function in wanted]:
                return _in_source(names[-1]) if wanted is self.partners else names[-1]
        return ""

    def is_changed(self, name: str) -> bool:
        return name in self._changed_names

    def is_quiet(self, frames: Sequence[Frame]) -> bool:
        return any((frame.function, frame.line) in self._quiet for frame in frames)


def _in_source(name: str) -> str:
    """The name that the source gives a function: SYSCALL_DEFINE1() makes several of one."""
    return re.sub(r"^__(?:do|se)_(?=sys_)", "", name)


def _extents(places: Iterable[Subprogram], text: str) -> Iterator[tuple[Subprogram, Extent]]:
    """The functions of one file with their lines."""
    known = list(places)
    return zip(known, extents_at([place.line for place in known], text), strict=True)


def _numbers(span: tuple[int, int]) -> range:
    return range(span[0], span[1] + 1) if span[0] else range(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Body:
    """A function's machine code."""

    function: Function
    stretches: Sequence[Stretch]
    nodes: Sequence[Node]
    counts: Mapping[int, Terms]
    start: int  # _stext


def _take(found: _Blocks, body: _Body, walk: _Walk) -> None:
    starts = [node.start for node in body.nodes]
    for stretch in body.stretches:
        target = walk.target(stretch.frames)
        first = max(bisect_right(starts, stretch.start) - 1, 0)
        for node in body.nodes[first : bisect_left(starts, stretch.end)] if target else ():
            if node.end <= stretch.start:
                continue
            pieces = _pieces(body, node)
            for frame in stretch.frames:
                found.lines.setdefault((frame.file, frame.line), set()).update(pieces)
            if node.call:
                _keep(found, body, node, target, walk)


def _changed_places(parts: Sequence[Stretch], walk: _Walk) -> set[tuple[str, int]]:
    return {(frame.file, frame.line) for part in parts if walk.target(part.frames) for frame in part.frames}


def _pieces(body: _Body, node: Node) -> set[Piece]:
    if node.start not in body.counts:
        return set()
    terms = tuple(sorted((call - body.start, times) for call, times in body.counts[node.start].items()))
    return {Piece(inside=body.function.place.name, terms=terms)}


def _keep(found: _Blocks, body: _Body, node: Node, target: str, walk: _Walk) -> None:
    offset = node.call - body.start
    if offset in found.blocks:
        return
    # The compiler gives the call the line that the block begins with, which may still be the caller's.
    frames = next((s.frames for s in body.stretches if s.start < node.call <= s.end), ())
    own = walk.target(frames) or target
    found.blocks[offset] = Block(
        offset=offset,
        target=own,
        inside=body.function.place.name,
        file=frames[0].file if frames else "",
        line=frames[0].line if frames else 0,
        quiet=walk.is_quiet(frames),
        partner=not walk.is_changed(own),
    )


def _look_elsewhere(found: _Blocks, wanted: Mapping[str, Mapping[int, str]], binary: Binary) -> None:
    """Changed lines of headers that only files without the callback have code of."""
    missing = {
        path
        for path, lines in wanted.items()
        if path.endswith(".h") and any((path, at) not in found.lines for at in lines)
    }
    if not missing:
        return
    for unit in binary.units():
        for path in missing & unit.files():
            found.built.add(path)
            for line in unit.lines(path) & set(wanted[path]):
                found.lines.setdefault((path, line), set())


def _line(path: str, number: int, text: str, found: _Blocks) -> ChangedLine:
    line = ChangedLine(file=path, line=number, text=text, state=LineState.NO_CODE)
    if path not in found.built:
        return replace(line, state=LineState.NOT_BUILT)
    # The initial value of a variable is put where it is needed, which is not where it is written.
    if _DECLARATION.match(text):
        return line
    if (path, number) not in found.lines:
        return replace(line, state=LineState.BOOT_ONLY) if (path, number) in found.boot else line
    pieces = tuple(sorted(found.lines[path, number], key=lambda piece: (piece.inside, piece.terms)))
    return replace(line, state=LineState.CODE if pieces else LineState.NOT_INSTRUMENTED, pieces=pieces)


def _after_gap(path: str, number: int, found: _Blocks) -> list[Piece]:
    at = next((at for at in range(number, number + _GAP_REACH) if found.lines.get((path, at))), 0)
    return sorted(found.lines.get((path, at), ()), key=lambda piece: (piece.inside, piece.terms))


def _is_c(path: str) -> bool:
    return PurePosixPath(path).suffix in (".c", ".h", ".S")
