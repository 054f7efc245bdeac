# SPDX-License-Identifier: GPL-2.0-or-later
"""All mutants of a file in one text: each behind `unlikely(patchrig_mutant == N)` (pure).

While patchrig_mutant is 0, or the number of no mutant, each guard chooses the code that was there before. No line
moves: all that is added stands on the line where a node began. Each guard also counts that its place was passed.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.kernel.code.c_functions import function_extents
from orchestrator.kernel.mutants.c_tree import opening_brace
from orchestrator.model.mutants import Edit, Guard, Mutant

# Behind the brace of each function with a mutant, as no header can be counted on, and a head may be a macro.
_DECLARED = " extern unsigned int patchrig_mutant; extern volatile unsigned int patchrig_reached[];"
# On the first blank line of a C file, of the overlay: gcc need not know what it knew without guards.
_IF, _ENDIF = re.compile(r"^\s*#\s*if"), re.compile(r"^\s*#\s*endif")
_INCLUDED = "#include <linux/patchrig_mutant.h>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of the guarded text."""

    text: bytes
    mutant: int = 0  # whose code it is; 0: of none
    added: bool = False  # not of the file: a guard, a declaration, or a mutant's code


# Before and behind the choice, between the mutant and what was there, and behind that.
_SYNTAX = {
    Guard.CONDITION: ("(", " ? !!(", b") : !!(", b"))"),
    Guard.EXPRESSION: ("(", " ? (", b") : (", b"))"),
    Guard.STATEMENT: ("{ if (", ") { ", b" } else { ", b" } }"),
}


def guarded(text: str, mutants: Sequence[Mutant]) -> tuple[Piece, ...]:
    """The file with these mutants, none of which has a build of its own; crossing() has to be empty."""
    source = text.encode()
    edits = [(mutant.number, edit) for mutant in mutants for edit in mutant.edits]
    declared = [(0, edit) for edit in _declarations(text, [edit for _, edit in edits])]
    if any(mutant.file.endswith(".c") for mutant in mutants):
        declared += [(0, edit) for edit in _include(text)]
    return tuple(_pieces(source, 0, len(source), _outermost_first([*edits, *declared])))


def broken(text: str, mutant: Mutant) -> str:
    """The file with one mutant and no guard, for a build of its own."""
    source, end = text.encode(), len(text.encode())
    parts: list[bytes] = []
    # From the end on; the bytes of an edit that lies in another one are replaced with those of that one.
    for edit in reversed(_outermost(mutant.edits)):
        parts += [source[edit.end : end], _plain(edit).encode()]
        end = edit.start
    return b"".join((source[:end], *reversed(parts))).decode()


def _outermost(edits: Sequence[Edit]) -> list[Edit]:
    found: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if not found or edit.start >= found[-1].end:
            found.append(edit)
    return found


def crossing(mutants: Sequence[Mutant]) -> frozenset[int]:
    """Mutants with an edit that has a part, but not all, of an edit of an earlier one: they can't be nested."""
    bad: set[int] = set()
    # A file may have ten thousand edits. Those that a new one crosses begin or end within it.
    by_start: list[tuple[int, int]] = []
    by_end: list[tuple[int, int]] = []
    for mutant in mutants:
        if any(_crosses(edit, by_start, by_end) for edit in mutant.edits):
            bad.add(mutant.number)
            continue
        for edit in mutant.edits:
            insort(by_start, (edit.start, edit.end))
            insort(by_end, (edit.end, edit.start))
    return frozenset(bad)


def _crosses(edit: Edit, by_start: Sequence[tuple[int, int]], by_end: Sequence[tuple[int, int]]) -> bool:
    begin = _between(by_start, edit.start, edit.end)
    end = _between(by_end, edit.start, edit.end)
    return any(other > edit.end for _, other in begin) or any(other < edit.start for _, other in end)


def _between(ordered: Sequence[tuple[int, int]], low: int, high: int) -> Sequence[tuple[int, int]]:
    """Those whose first number lies between these two, and is neither."""
    return ordered[bisect_left(ordered, (low + 1, 0)) : bisect_left(ordered, (high, 0))]


def _plain(edit: Edit) -> str:
    if edit.guard in (Guard.CONDITION, Guard.EXPRESSION):
        return f"({edit.text})"
    return f"{{ {edit.text} }}" if edit.guard is Guard.STATEMENT else edit.text


def _declarations(text: str, edits: Collection[Edit]) -> Iterator[Edit]:
    source, starts = text.encode(), [0]
    for line in source.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    places = sorted(edit.start for edit in edits)
    for extent in function_extents(text):
        first, end = starts[extent.first - 1], starts[extent.last]
        at = bisect_left(places, first)
        if at < len(places) and places[at] < end:
            opened = first + opening_brace(source[first:end]) + 1
            yield Edit(start=opened, end=opened, text=_DECLARED, guard=Guard.OWN_BUILD)


def _include(text: str) -> Iterator[Edit]:
    """At the first blank line that is in front of all functions, and in no comment and no `#if`."""
    end = next((extent.first for extent in function_extents(text)), 1) - 1
    at, depth, commented, before = 0, 0, False, ""
    for line in text.split("\n")[:end]:
        if not line.strip() and not depth and not commented and not before.endswith("\\"):
            yield Edit(start=at, end=at, text=_INCLUDED, guard=Guard.OWN_BUILD)
            return
        depth += len(_IF.findall(line)) - len(_ENDIF.findall(line))
        commented = line.rfind("/*") > line.rfind("*/") or (commented and "*/" not in line)
        at, before = at + len(line.encode()) + 1, line


_Numbered = tuple[int, Edit]


def _outermost_first(edits: Sequence[_Numbered]) -> list[_Numbered]:
    # Of two with the same bytes a statement is outside: it may be all that the other's parentheses can stand in.
    return sorted(edits, key=lambda one: (one[1].start, -one[1].end, one[1].guard is not Guard.STATEMENT, one[0]))


def _pieces(source: bytes, start: int, end: int, edits: Sequence[_Numbered]) -> Iterator[Piece]:
    at, rest = start, list(edits)
    while rest:
        (number, edit), *rest = rest
        within = [one for one in rest if one[1].start < edit.end]
        rest = rest[len(within) :]
        yield Piece(text=source[at : edit.start])
        yield from _guard(source, number, edit, within)
        at = edit.end
    yield Piece(text=source[at:end])


def _guard(source: bytes, number: int, edit: Edit, within: Sequence[_Numbered]) -> Iterator[Piece]:
    if number == 0:
        yield Piece(text=edit.text.encode(), added=True)
        return
    before, between, after, end = _SYNTAX[edit.guard]
    chosen = f"(patchrig_reached[{number}]++, unlikely(patchrig_mutant == {number}))"
    yield Piece(text=f"{before}{chosen}{between}".encode(), added=True)
    yield Piece(text=edit.text.encode(), mutant=number, added=True)
    yield Piece(text=after, added=True)
    yield from _pieces(source, edit.start, edit.end, within)
    yield Piece(text=end, added=True)
