# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a failure is new, by all runs before it (pure).

A failure is a splat on a build, or an outcome of a cell where no splat names it. It is new when no earlier run has it;
when it is back after it was gone for longer than chance explains; and when it comes more often than chance explains.
Nothing else about it is worth waking anybody: what fails once in forty runs is no news when it fails again.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.judge.fisher import Runs, chance
from orchestrator.model.history import NOT_BUILT, CellIdentity, PastCell, PastRun
from orchestrator.model.outcomes import Outcome

# How likely chance may explain that a failure stays away, or comes more often, before it counts as more than chance.
# Strict, as it is asked of each failure on each night: at 0.01 a cell that fails once in forty runs is new again twice
# in three hundred nights.
LEVEL = 0.001
# Tonight is one observation of a cell, and what fails now and then fails tonight by chance: for "more often" so many
# of the newest observations are compared with those before them.
_RECENT = 10
_LEAST_RECENT_BAD = 2

_COUNT = re.compile(r", \d+ times\b")
# An exit status is no measurement: 139 is another failure than 1.
_NUMBER = re.compile(r"\b0x[0-9a-f]+\b|(?<![\w.])(?<!status )[+-]?\d+(?:\.\d+)?(?=\W|$|[mun]?s\b)")
_PAGES = re.compile(r"^\d+ pages? ha(?:s|ve) ")


class Failure(NamedTuple):
    """What fails, and where: its place is a build for a splat, else a cell."""

    place: CellIdentity
    what: str


def failure_of(cell: PastCell) -> Failure | None:
    """The failure by which a cell got its verdict; None of one that is not bad."""
    if cell.outcome in NOT_BUILT:
        # Where nothing was built there is no release.
        return Failure(cell.identity.build._replace(kernel=""), f"{cell.outcome}: {_bare(cell)}")
    if not cell.bad:
        return None
    if cell.title in cell.splats:
        return Failure(cell.identity.build, cell.title)
    return Failure(cell.identity, f"{cell.outcome}: {_bare(cell)}")


def _bare(cell: PastCell) -> str:
    """The title without what differs from run to run."""
    if cell.outcome is Outcome.NOT_EXERCISED:
        return ""  # which of its counters comes first is chance
    text = _PAGES.sub("pages have ", _COUNT.sub("", cell.title))
    return _NUMBER.sub("N", text)


def _all_failures(cell: PastCell) -> set[Failure]:
    """Those that the cell shows: a splat that came after the first one has been seen, too."""
    found = {Failure(cell.identity.build, title) for title in cell.splats}
    own = failure_of(cell)
    return found | {own} if own else found


@dataclass(slots=True)
class _RunTally:
    """What the cells of one run tell, at one place."""

    run: str
    good: dict[CellIdentity, int] = field(default_factory=dict)
    shown: dict[str, dict[CellIdentity, int]] = field(default_factory=dict)  # failure -> cells that show it

    def observed(self, what: str, cells: Iterable[CellIdentity]) -> int:
        """The observations that tell whether it is there: those that show it, and those that were good."""
        shown = self.shown.get(what, {})
        return sum(shown.get(cell, 0) + self.good.get(cell, 0) for cell in cells)

    def times(self, what: str) -> int:
        return sum(self.shown.get(what, {}).values())

    @property
    def cells(self) -> set[CellIdentity]:
        return {*self.good, *(cell for shown in self.shown.values() for cell in shown)}


class Ruling(NamedTuple):
    """Whether a failure is news, and the words for it."""

    new: bool
    why: str


@dataclass(slots=True)
class PastFailures:
    """The failures of all runs that were added, oldest first."""

    runs: int = 0
    newest: str = ""
    _places: dict[CellIdentity, list[_RunTally]] = field(default_factory=dict)
    _changed: dict[Failure, int] = field(default_factory=dict)  # its place's run from which on it is counted
    _subtests: dict[tuple[str, str], str] = field(default_factory=dict)  # series, subtest -> the first run

    def add(self, run: PastRun) -> None:
        """A run that came after all others."""
        for place, tally in _tallies(run).items():
            before = self._places.setdefault(place, [])
            for what in tally.shown:
                self._start_anew(Failure(place, what), before, tally)
            before.append(tally)
        for name in run.regressed:
            self._subtests.setdefault((_series_of(run), name), run.id)
        self.runs += 1
        self.newest = run.id

    def rulings(self, failures: Iterable[Failure], run: PastRun) -> dict[Failure, Ruling]:
        """What to say of each of the failures of a run that has not been added."""
        tonight = _tallies(run)
        return {one: _ruling(one.what, self._counted(one), tonight[one.place]) for one in failures}

    def known_subtests(self, run: PastRun) -> dict[str, str]:
        """The subtests of the run that an earlier one found to be worse with this series, with that run."""
        series = _series_of(run)
        return {name: self._subtests[series, name] for name in run.regressed if (series, name) in self._subtests}

    def gone(self, failure: Failure) -> bool:
        """It has been away for longer than chance explains."""
        return _gone(failure.what, self._counted(failure))

    def _counted(self, failure: Failure) -> Sequence[_RunTally]:
        """The runs that tell how often it comes now: from the first one that has it, or from its last change on."""
        runs = self._places.get(failure.place, ())
        start = self._changed.get(failure)
        if start is None:
            start = next((at for at, run in enumerate(runs) if run.times(failure.what)), len(runs))
        return runs[start:]

    def _start_anew(self, failure: Failure, before: Sequence[_RunTally], tally: _RunTally) -> None:
        """Let a failure that is back, or comes more often, be counted from there on: it is said once."""
        runs = self._counted(failure)
        if _gone(failure.what, runs):
            self._changed[failure] = len(before)
        elif runs and _more(failure.what, [*runs, tally]):
            recent, _ = _split(failure.what, [*runs, tally])
            self._changed[failure] = len(before) + 1 - len(recent)


def _series_of(run: PastRun) -> str:
    return next((cell.identity.series for cell in run.cells if cell.identity.series), "")


def _tallies(run: PastRun) -> dict[CellIdentity, _RunTally]:
    """By place: each build, and each cell."""
    found: dict[CellIdentity, _RunTally] = {}

    def at(place: CellIdentity) -> _RunTally:
        return found.setdefault(place, _RunTally(run=run.id))

    for cell in run.cells:
        if cell.good:
            for place in (cell.identity, cell.identity.build):
                good = at(place).good
                good[cell.identity] = good.get(cell.identity, 0) + 1
        for failure in _all_failures(cell):
            shown = at(failure.place).shown.setdefault(failure.what, {})
            shown[cell.identity] = shown.get(cell.identity, 0) + 1
    return found


def _ruling(what: str, runs: Sequence[_RunTally], tonight: _RunTally) -> Ruling:
    if not runs:
        return Ruling(True, "first seen")
    last = max(at for at, run in enumerate(runs) if run.times(what))
    if _gone(what, runs):
        return Ruling(True, f"back: last seen in {runs[last].run}, and {_observed(what, runs[last + 1 :])} good since")
    if _more(what, [*runs, tonight]):
        recent, older = _split(what, [*runs, tonight])
        return Ruling(True, f"more often: {_tally(what, recent)}, before {_tally(what, older)}")
    return Ruling(False, f"old since {runs[0].run}: {_tally(what, runs)}")


def _gone(what: str, runs: Sequence[_RunTally]) -> bool:
    """Whether chance alone hardly leaves so many good observations after the last bad one.

    Counted in the cells that have shown it, behind the first time: that one is where we began to look, and would make
    a rare failure look frequent. With one that was seen once only, no silence is long enough.
    """
    if not runs:
        return False
    cells = {cell for run in runs for cell in run.shown.get(what, {})}
    last = max(at for at, run in enumerate(runs) if run.times(what))
    shown = sum(run.times(what) for run in runs) - 1
    before = sum(run.observed(what, cells) for run in runs[: last + 1]) - 1
    after = sum(run.observed(what, cells) for run in runs[last + 1 :])
    return bool(after) and chance(Runs(these_bad=shown, these=before, others_bad=0, others=after)) <= LEVEL


def _more(what: str, runs: Sequence[_RunTally]) -> bool:
    """Whether it came more often in the newest observations than chance explains, counted over the whole place."""
    recent, older = _split(what, runs)
    bad, observed = sum(run.times(what) for run in recent), _observed(what, recent)
    before_bad, before = sum(run.times(what) for run in older), _observed(what, older)
    if not before or bad < _LEAST_RECENT_BAD:
        return False
    return chance(Runs(these_bad=bad, these=observed, others_bad=before_bad, others=before)) <= LEVEL


def _split(what: str, runs: Sequence[_RunTally]) -> tuple[Sequence[_RunTally], Sequence[_RunTally]]:
    """The newest runs with enough observations together, and those before them."""
    observed, at = 0, len(runs)
    while at and observed < _RECENT:
        at -= 1
        observed += _observed(what, runs[at : at + 1])
    return runs[at:], runs[:at]


def _observed(what: str, runs: Iterable[_RunTally]) -> int:
    return sum(run.observed(what, run.cells) for run in runs)


def _tally(what: str, runs: Sequence[_RunTally]) -> str:
    return f"{sum(run.times(what) for run in runs)} of {_observed(what, runs)} cells"
