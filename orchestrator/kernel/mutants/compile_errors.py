# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mutants do not compile or link, by what gcc and ld say of the guarded files (pure)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.kernel.code.c_functions import function_extents
from orchestrator.kernel.mutants.guards import Piece, guarded
from orchestrator.model.mutants import Guard, Mutant

# What gcc and ld print a line of: "mm/memory.c:4702:12: error: ...", "mm/memory.c:4702: undefined reference to `f'".
_PLACE = re.compile(r"(?:^|[\s(])(?:\.{0,2}/)?([\w./+-]+\.[chS]):(\d+):(?:(\d+):)? ?(.*)")
_ERROR = re.compile(r"(?:fatal )?error: |undefined reference to|multiple definition of")
_NOTE = re.compile(r"note: ")
# What gcc prints above an error in an inline function, innermost first.
_INLINED = re.compile(r"^\s+inlined from .* at (?:\.{0,2}/)?([\w./+-]+\.[chS]):(\d+):(\d+)[,:]$")
# gcc counts columns as a terminal shows them.
_TAB = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stretch:
    """Columns of one line, from 1, with the code of one mutant."""

    first: int
    last: int
    mutant: int


def blamed(log: str, texts: Mapping[str, str], mutants: Sequence[Mutant]) -> frozenset[int]:
    """The mutants that a build's errors are about; where a line alone is named, all on that line.

    An error inside a macro is told from the notes below it, which say where the macro is used. If no error is on the
    line of a mutant, all mutants of the functions with errors are blamed: gcc reports a missing return at the end of a
    function. If there are none either, all of the files with errors.
    """
    layouts = dict(_layouts(texts, mutants))
    # Where a function was inlined says something only if the function is in another file.
    errors = [list(_in_files(own, layouts)) or list(_in_files(inlined, layouts)) for own, inlined in _errors(log)]
    exact = {one for places in errors for one in _first(_at(layouts[f].get(line, ()), at) for f, line, at in places)}
    if exact:
        return frozenset(exact)
    near = {
        one for places in errors for one in _first(_in_function(layouts[f], texts[f], line) for f, line, _ in places)
    }
    named = {file for places in errors for file, _, _ in places}
    return frozenset(near or {one.mutant for file in named for here in layouts[file].values() for one in here})


def _in_files(places: Iterable[tuple[str, int, int]], files: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    for path, line, column in places:
        file = next((name for name in files if path == name or path.endswith(f"/{name}")), "")
        if file:
            yield file, line, column


def _first(found: Iterable[set[int]]) -> set[int]:
    """What the first place says that says anything: of functions inlined into each other, the inner one."""
    return next((one for one in found if one), set())


def _in_function(layout: Mapping[int, Sequence[_Stretch]], text: str, line: int) -> set[int]:
    around = next((one for one in function_extents(text) if one.first <= line <= one.last), None)
    lines = range(around.first, around.last + 1) if around is not None else ()
    return {one.mutant for at in lines for one in layout.get(at, ())}


def _errors(log: str) -> Iterator[tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]]:
    """The places of each error: its own and those of its notes; and where the function with it was inlined."""
    places: list[tuple[str, int, int]] = []
    above: list[tuple[str, int, int]] = []
    inlined: list[tuple[str, int, int]] = []
    for text in log.splitlines():
        if found := _INLINED.match(text):
            above.append((found[1], int(found[2]), int(found[3])))
            continue
        place = _PLACE.search(text)
        if place is None:
            continue
        is_error, is_note = _ERROR.match(place[4]), _NOTE.match(place[4])
        if not is_note and places:
            yield places, inlined
            places = []
        if is_error:
            inlined = above
        if is_error or (is_note and places):
            places.append((place[1], int(place[2]), int(place[3] or 0)))
        above = []
    if places:
        yield places, inlined


def _at(stretches: Iterable[_Stretch], column: int) -> set[int]:
    here = list(stretches)
    exact = {one.mutant for one in here if one.first <= column <= one.last}
    return exact or {one.mutant for one in here}


def _layouts(texts: Mapping[str, str], mutants: Sequence[Mutant]) -> Iterator[tuple[str, dict[int, list[_Stretch]]]]:
    for file, text in texts.items():
        own = [one for one in mutants if one.file == file and one.guard is not Guard.OWN_BUILD]
        yield file, _layout(guarded(text, own))


def _layout(pieces: Sequence[Piece]) -> dict[int, list[_Stretch]]:
    found: dict[int, list[_Stretch]] = {}
    line, column = 1, 1
    for piece in pieces:
        start = column
        for character in piece.text.decode(errors="replace"):
            if character == "\n":
                line, column = line + 1, 1
            else:
                column += _TAB - (column - 1) % _TAB if character == "\t" else 1
        if piece.mutant:
            found.setdefault(line, []).append(_Stretch(first=start, last=max(start, column - 1), mutant=piece.mutant))
    return found
