# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a run is new, and what became of each cell and splat over many runs (pure)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import median

from orchestrator.judge.past_failures import Failure, PastFailures, failure_of
from orchestrator.model.history import (
    CellHistory,
    CellIdentity,
    CellState,
    History,
    NewFailure,
    News,
    PassRate,
    PastCell,
    PastRun,
    SplatHistory,
)
from orchestrator.model.outcomes import Outcome

_LAST = 20
_PLACES = 5
_Z = 1.96  # of the normal distribution, for 95 %


def news_of(run: PastRun, before: Sequence[PastRun]) -> News:
    """What of a run is new, and what is known; `before` has the runs that count, the oldest first."""
    past = PastFailures()
    for one in before:
        past.add(one)
    return news_beside(run, past)


def news_beside(run: PastRun, past: PastFailures) -> News:
    """news_of() for whoever goes through many runs, and adds each to `past` after it."""
    groups: dict[Failure, list[PastCell]] = {}
    for cell in run.cells:
        if failure := failure_of(cell):
            groups.setdefault(failure, []).append(cell)
    rulings = past.rulings(groups, run)
    return News(
        since=past.newest,
        runs=past.runs,
        new=tuple(
            NewFailure(
                outcome=cells[0].outcome,
                title=cells[0].title,
                why=rulings[failure].why,
                cells=tuple(cell.name for cell in cells),
            )
            for failure, cells in groups.items()
            if rulings[failure].new
        ),
        known={
            cell.name: rulings[failure].why
            for failure, cells in groups.items()
            if not rulings[failure].new
            for cell in cells
        },
        known_subtests={name: f"old since {first}" for name, first in past.known_subtests(run).items()},
    )


@dataclass(slots=True)
class _Line:
    """What is gathered of one cell, run by run."""

    runs: list[tuple[str, list[PastCell]]] = field(default_factory=list)  # only those that observed it
    last: list[Outcome] = field(default_factory=list)  # of all
    new_in: str = ""  # the newest run in which its failure was news


def history_of(runs: Sequence[PastRun]) -> History:
    """What all runs together tell; the oldest first."""
    past = PastFailures()
    lines: dict[CellIdentity, _Line] = {}
    built: dict[CellIdentity, CellIdentity] = {}  # a cell without its kernel -> with the newest
    for run in runs:
        new = {name for failure in news_beside(run, past).new for name in failure.cells}
        for identity, cells in _by_cell(run).items():
            unbuilt = identity._replace(kernel="")
            if identity.kernel:
                built[unbuilt] = identity
            # Of a cell that was lost early or whose kernel was not built the release is not known.
            line = lines.setdefault(built.get(unbuilt, identity) if identity == unbuilt else identity, _Line())
            line.last.append(Outcome.worst(tuple(cell.outcome for cell in cells)))
            if seen := [cell for cell in cells if cell.observed]:
                line.runs.append((run.id, seen))
            if any(cell.name in new for cell in cells):
                line.new_in = run.id
        past.add(run)
    found = [
        _cell_history(identity, line, past)
        for identity, line in lines.items()
        if identity.kernel or identity not in built
    ]
    order = list(CellState)
    found.sort(key=lambda one: (order.index(one.state), one.identity))
    return History(runs=tuple(runs), cells=tuple(found), splats=_splats(runs))


def _by_cell(run: PastRun) -> dict[CellIdentity, list[PastCell]]:
    groups: dict[CellIdentity, list[PastCell]] = {}
    for cell in run.cells:
        groups.setdefault(cell.identity, []).append(cell)
    return groups


def _cell_history(identity: CellIdentity, line: _Line, past: PastFailures) -> CellHistory:
    cells = [cell for _, seen in line.runs for cell in seen]
    bad = [run for run, seen in line.runs if any(cell.bad for cell in seen)]
    return CellHistory(
        identity=identity,
        state=_state(line, past),
        rate=pass_rate(sum(cell.good for cell in cells), len(cells)),
        last=tuple(line.last[-_LAST:]),
        seconds=round(median(cell.seconds for cell in cells), 1) if cells else 0.0,
        title=next((cell.title for cell in reversed(cells) if cell.bad), ""),
        failed_first=bad[0] if bad else "",
        failed_last=bad[-1] if bad else "",
    )


def _state(line: _Line, past: PastFailures) -> CellState:
    if not line.runs:
        return CellState.UNKNOWN
    newest_run, newest = line.runs[-1]
    cells = [cell for _, seen in line.runs for cell in seen]
    if all(cell.outcome is Outcome.NOT_EXERCISED for cell in cells):
        return CellState.NEVER_EXERCISED
    if not any(cell.bad for cell in cells):
        return CellState.GOOD
    if any(cell.bad for cell in newest):
        if line.new_in == newest_run:
            return CellState.NEW
        both = [cell for _, seen in line.runs[-2:] for cell in seen]
        return CellState.STILL_BAD if all(cell.bad for cell in both) else CellState.FLAKY
    failures = {failure for cell in cells if (failure := failure_of(cell))}
    return CellState.FIXED if all(past.gone(failure) for failure in failures) else CellState.FLAKY


def pass_rate(passed: int, observed: int) -> PassRate:
    """With Wilson's score interval, which holds for few observations and for rates near 0 and 1.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    if not observed:
        return PassRate(passed=0, observed=0, low=0.0, high=1.0)
    rate, square = passed / observed, _Z * _Z / observed
    centre = (rate + square / 2) / (1 + square)
    half = _Z / (1 + square) * sqrt(rate * (1 - rate) / observed + square / (4 * observed))
    low = 0.0 if passed == 0 else max(0.0, centre - half)
    high = 1.0 if passed == observed else min(1.0, centre + half)
    return PassRate(passed=passed, observed=observed, low=round(low, 4), high=round(high, 4))


@dataclass(slots=True)
class _Sightings:
    runs: list[str] = field(default_factory=list)
    cells: int = 0
    places: dict[str, None] = field(default_factory=dict)


def _splats(runs: Iterable[PastRun]) -> tuple[SplatHistory, ...]:
    seen: dict[str, _Sightings] = {}
    newest = ""
    for run in runs:
        newest = run.id
        for cell in run.cells:
            for title in cell.splats:
                one = seen.setdefault(title, _Sightings())
                one.cells += 1
                one.places.setdefault(cell.identity.name)
                if run.id not in one.runs[-1:]:
                    one.runs.append(run.id)
    found = [
        SplatHistory(
            title=title,
            first=one.runs[0],
            last=one.runs[-1],
            runs=len(one.runs),
            cells=one.cells,
            places=tuple(one.places)[:_PLACES],
            new=one.runs[0] == newest,
        )
        for title, one in seen.items()
    ]
    return tuple(sorted(sorted(found, key=lambda one: one.title), key=lambda one: one.last, reverse=True))
