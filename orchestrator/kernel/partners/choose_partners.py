# SPDX-License-Identifier: GPL-2.0-or-later
"""The partners of a series: functions that it does not change and that work on the state of those that it does (pure).

The second thread of a race is there. Of two functions that share a state at least one has to write it. A state counts
for more if the changed lines themselves work on it, and for less the more functions do. The callers of a changed
function come before all others: what it works on they have looked up, and that may be old by then.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.kernel.partners.shared_state import (
    Function,
    Names,
    State,
    Touched,
    functions_in,
    names_in,
    touched_by,
    types_in,
)
from orchestrator.model.blocks import Partner
from orchestrator.model.series_diff import SeriesDiff

MOST = 16
# Of these functions together.
MOST_LINES = 2000
# Beside those that the series touches: each one more is compiled with the callback, which costs time wherever it runs.
MOST_FILES = 6
# A state that more functions work on says nothing about who meets whom.
_WELL_KNOWN = 64
_AT_CHANGED_LINES = 6.0
# A name tells less than the thing: what a helper works on may be another object of that kind.
_MOST_OF = {"member": 4.0, "flag": 4.0, "global": 4.0, "call": 3.0, "helper": 1.5}
_SAME_FILE = 1.25
# Of the score of the best one.
_LEAST = 0.2
_USUAL_LINES = 60
# What more functions call is a tool of many.
_MOST_CALLERS = 4
_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rated:
    function: Function
    score: float
    shared: tuple[str, ...]  # what they share, that which counts most first


def partners_of(diff: SeriesDiff, sources: Mapping[str, str]) -> tuple[Partner, ...]:
    """The partners, best first.

    `sources`: path -> text of the C files among which they are looked for.
    """
    texts = {**sources, **diff.texts}
    names = names_in(texts.values())
    functions = [one for path, text in texts.items() for one in functions_in(path, text, names)]
    changed = {(one.file, one.name) for one in diff.functions}
    own = [one for one in functions if (one.file, one.name) in changed]
    at_lines = _at_changed_lines(diff, names)
    weights = _weights(own, at_lines, functions)
    written = {state for touched in (at_lines, *(one.touched for one in own)) for state in touched if touched[state]}
    others = (one for one in functions if one.file.endswith(".c") and (one.file, one.name) not in changed)
    rated = [_rated(one, weights, written, diff.texts) for one in others]
    return tuple(_best([one for one in _callers_first(rated, own) if one.score], diff.texts))


def _at_changed_lines(diff: SeriesDiff, names: Names) -> Touched:
    """What the lines work on that the series adds or takes away."""
    found: dict[State, bool] = {}
    for file in diff.files:
        lines = [line.text for hunk in file.hunks for line in hunk if line.kind != " "]
        types = types_in(diff.texts.get(file.path, ""))
        for state, written in touched_by("\n".join(lines), names=names, types=types).items():
            found[state] = found.get(state, False) or written
    return found


def _weights(own: Iterable[Function], at_lines: Touched, functions: Sequence[Function]) -> dict[State, float]:
    users = Counter(state for one in functions for state in one.touched)
    wanted = {state for one in own for state in one.touched} | set(at_lines)
    return {
        state: min(math.log2(1 + _WELL_KNOWN / users[state]), _MOST_OF[state.kind])
        * (_AT_CHANGED_LINES if state in at_lines else 1.0)
        for state in wanted
        if 0 < users[state] <= _WELL_KNOWN
    }


def _rated(
    one: Function, weights: Mapping[State, float], written: Collection[State], touched: Collection[str]
) -> _Rated:
    shared = [state for state in one.touched if state in weights and (one.touched[state] or state in written)]
    shared.sort(key=lambda state: (-weights[state], state))
    score = sum(weights[state] for state in shared) / math.sqrt(1 + one.lines / _USUAL_LINES)
    score *= _SAME_FILE if one.file in touched else 1.0
    return _Rated(function=one, score=score, shared=tuple(dict.fromkeys(state.name.lstrip(".") for state in shared)))


def _callers_first(rated: Sequence[_Rated], own: Iterable[Function]) -> Iterator[_Rated]:
    """Those that call a changed function of their own file count a little more than the best."""
    callers: dict[tuple[str, str], str] = {}
    for changed in own:
        calling = _calls_of(changed, rated)
        if len(calling) <= _MOST_CALLERS:
            callers |= {(one.function.file, one.function.name): changed.name for one in calling}
    best = math.nextafter(max((one.score for one in rated), default=0.0) or 1.0, math.inf)
    for one in rated:
        name = callers.get((one.function.file, one.function.name))
        yield replace(one, score=best, shared=(name, *one.shared)) if name else one


def _calls_of(changed: Function, rated: Iterable[_Rated]) -> list[_Rated]:
    call = State("call", changed.name)
    return [one for one in rated if one.function.file == changed.file and call in one.function.touched]


def _best(rated: Sequence[_Rated], touched: Collection[str]) -> Iterator[Partner]:
    """The best, as many as there is room for."""
    least = _LEAST * max((one.score for one in rated), default=0.0)
    lines, count, files = 0, 0, set(touched)
    for one in sorted(rated, key=lambda one: (-one.score, one.function.file, one.function.name)):
        function = one.function
        too_many = lines + function.lines > MOST_LINES or len(files | {function.file}) > len(touched) + MOST_FILES
        if one.score < least or count == MOST:
            return
        if too_many:
            continue
        lines, count = lines + function.lines, count + 1
        files.add(function.file)
        yield Partner(file=function.file, function=function.name, shares=one.shared[:_SHOWN])
