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
    files = [
        (file, line, column)
        for places in _errors(log)
        for path, line, column in places
        if (file := next((name for name in layouts if path == name or path.endswith(f"/{name}")), ""))
    ]
    exact = {one for file, line, column in files for one in _at(layouts[file].get(line, ()), column)}
    if exact:
        return frozenset(exact)
    near = {one for file, line, _ in files for one in _in_function(layouts[file], texts[file], line)}
    named = {file for file, _, _ in files}
    return frozenset(near or {one.mutant for file in named for here in layouts[file].values() for one in here})


def _in_function(layout: Mapping[int, Sequence[_Stretch]], text: str, line: int) -> Iterator[int]:
    around = next((one for one in function_extents(text) if one.first <= line <= one.last), None)
    if around is not None:
        for at in range(around.first, around.last + 1):
            yield from (one.mutant for one in layout.get(at, ()))


def _errors(log: str) -> Iterator[list[tuple[str, int, int]]]:
    """The places of each error: its own, those of its notes, and where the function with it was inlined."""
    places: list[tuple[str, int, int]] = []
    inlined: list[tuple[str, int, int]] = []
    for text in log.splitlines():
        if above := _INLINED.match(text):
            inlined.append((above[1], int(above[2]), int(above[3])))
            continue
        place = _PLACE.search(text)
        if place is None:
            continue
        is_error, is_note = _ERROR.match(place[4]), _NOTE.match(place[4])
        if not is_note and places:
            yield places
            places = []
        if is_error or (is_note and places):
            places += [(place[1], int(place[2]), int(place[3] or 0)), *inlined]
        inlined = []
    if places:
        yield places


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
