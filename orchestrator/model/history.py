# SPDX-License-Identifier: GPL-2.0-or-later
"""What earlier runs tell: their cells, and what becomes of a cell, a failure and a splat from run to run."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from orchestrator.model.outcomes import Outcome

_RELEASE_LINE = re.compile(r"\d+\.\d+")
# They tell nothing of a kernel, or of none that ran.
NO_OBSERVATION = frozenset({Outcome.SKIPPED, Outcome.LOST, Outcome.BUILD_FAILED, Outcome.NOT_APPLIED})
NOT_BUILT = frozenset({Outcome.BUILD_FAILED, Outcome.NOT_APPLIED})


class CellIdentity(NamedTuple):
    """What makes two cells of two runs the same.

    Not the repeat, the seed and the load seconds, which change from night to night on purpose; and not the content of
    series and source, or no edit could break or fix anything.
    """

    kernel: str  # the line of the release: 6.19
    series: str  # the first patch's subject; "" for the baseline
    variant: str
    flavour: str
    arch: str
    workload: str
    delays: str = ""  # of a widened flavour, as JSON

    @property
    def name(self) -> str:
        """As Cell.name, without the repeat."""
        return f"{self.variant}.{self.flavour}.{self.arch}.{self.workload}"

    @property
    def build(self) -> "CellIdentity":
        """All cells that run on the same kernel image."""
        return self._replace(workload="", delays="")


def release_line(release: str) -> str:
    """ "6.19" of 6.19.6-rc1; "" where nothing was built."""
    found = _RELEASE_LINE.match(release)
    return found[0] if found else ""


def delays_text(delays: Mapping[str, object] | None) -> str:
    """The settings of delay injection, the same text for the same settings."""
    return json.dumps(delays, sort_keys=True) if delays else ""


class PastCell(NamedTuple):
    """A finished cell: a tuple, as a history has a hundred thousand of them."""

    identity: CellIdentity
    name: str  # with its repeat
    outcome: Outcome
    title: str
    splats: tuple[str, ...] = ()  # titles of the fatal ones that the matrix does not allow
    seconds: float = 0.0  # on the host
    load_seconds: float = 0.0

    @property
    def observed(self) -> bool:
        """It tells something of its kernel."""
        return self.outcome not in NO_OBSERVATION

    @property
    def good(self) -> bool:
        return self.observed and self.outcome.good

    @property
    def bad(self) -> bool:
        return self.observed and not self.outcome.good


class PastRun(NamedTuple):
    """A run, as far as its history matters."""

    id: str
    started: str
    matrix_path: str
    command: str  # "run"
    seconds: float
    cells: tuple[PastCell, ...]
    regressed: tuple[str, ...] = ()  # subtests that the series made worse: suite, a space, path
    series_files: str = ""  # JSON: what the series does to each file; "" where that is not known
    finished: bool = True  # it reported what it found; else it was interrupted or killed, and nobody was told


class CellState(StrEnum):
    """What became of a cell, by all its runs. Declared from what matters most."""

    NEW = "new"
    STILL_BAD = "still bad"
    FLAKY = "flaky"
    NEVER_EXERCISED = "never exercised"
    FIXED = "fixed"
    GOOD = "good"
    UNKNOWN = "not observed"  # only lost, skipped or not built


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRate:
    """So many of the observations passed; the interval is where the rate of such a kernel lies, with 95 %."""

    passed: int
    observed: int
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CellHistory:
    """What the runs tell of one cell, all repeats together."""

    identity: CellIdentity
    state: CellState
    rate: PassRate
    last: tuple[Outcome, ...]  # of its newest runs the worst outcome each, the newest last
    seconds: float  # median on the host
    title: str  # of its newest failure; "" for none
    failed_first: str = ""  # the run; "" for none
    failed_last: str = ""

    @property
    def text(self) -> str:
        """ "flaky (3 of 40)"."""
        if self.state is not CellState.FLAKY:
            return self.state.value
        return f"{self.state} ({self.rate.observed - self.rate.passed} of {self.rate.observed})"


@dataclass(frozen=True, kw_only=True, slots=True)
class SplatHistory:
    """A splat by its title, with the runs that saw it."""

    title: str
    first: str
    last: str
    runs: int
    cells: int  # that showed it, over all runs
    places: tuple[str, ...]  # names of cells, the first ones
    new: bool  # the newest run is the first that has it


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """What all runs together tell."""

    runs: tuple[PastRun, ...]  # the newest last
    cells: tuple[CellHistory, ...]  # what matters most first
    splats: tuple[SplatHistory, ...]  # the newest first


@dataclass(frozen=True, kw_only=True, slots=True)
class NewFailure:
    """A failure that fails the run, and why."""

    outcome: Outcome
    title: str
    why: str  # "first seen", "back ...", "more often ..."
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """What of a run is new, compared with the runs before it."""

    since: str  # the newest run that it was compared with; "" for none
    runs: int  # so many were compared
    new: tuple[NewFailure, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)  # cell that fails as others did before -> since when
    known_subtests: Mapping[str, str] = field(default_factory=dict)  # suite, a space, path -> since when
