# SPDX-License-Identifier: GPL-2.0-or-later
"""The results of a test suite: each subtest of a cell, and what the subtests of both variants come to."""

from dataclasses import dataclass, field
from enum import StrEnum


class SubtestStatus(StrEnum):
    OK = "ok"
    NOT_OK = "not-ok"
    TIMED_OUT = "timed-out"  # the suite's own runner ended it
    SKIPPED = "skipped"
    UNFINISHED = "unfinished"  # it began, or was announced, and has no result

    @property
    def bad(self) -> bool:
        return self in (SubtestStatus.NOT_OK, SubtestStatus.TIMED_OUT)

    @property
    def ran(self) -> bool:
        """To its end: a skip is no pass, and what was never finished is no failure of the subtest's own."""
        return self is SubtestStatus.OK or self.bad


@dataclass(frozen=True, kw_only=True, slots=True)
class Subtest:
    """One line of a suite's KTAP that is no sum of others."""

    path: str  # the names from the outermost test to this one, with slashes between them
    status: SubtestStatus
    reason: str = ""  # why it was skipped or failed, in the suite's words
    diagnostics: tuple[str, ...] = ()  # the last lines that it printed; of those that are bad only


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteResult:
    """What one guest's suite said."""

    subtests: tuple[Subtest, ...]
    complete: bool  # the suite came to its end: what is missing was not there
    unreadable: str = ""  # why its output can't be read; "" when it can
    not_built: tuple[str, ...] = ()  # tests that the tree has, and that its own makefiles did not build here

    @property
    def ran(self) -> int:
        return sum(one.status.ran for one in self.subtests)


class Change(StrEnum):
    """What the runs of a subtest come to, with and without the series. Declared from what matters most."""

    REGRESSED = "regressed"  # bad more often with the series than chance explains: the only one that fails the run
    SUSPECT = "suspect"  # bad with the series only, in too few runs to tell
    FIXED = "fixed"
    GONE = "gone"  # the baseline has it
    NEW = "new"  # the baseline does not have it, or skips it
    FLAKY = "flaky"  # sometimes bad, and the series makes no difference that can be told
    FAILING = "failing"  # bad in all runs, with or without the series
    SKIPPED = "skipped"  # in all runs, or in all with the series
    OK = "ok"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How the runs of a subtest ended on one variant."""

    ok: int = 0
    bad: int = 0
    skipped: int = 0

    @property
    def ran(self) -> int:
        return self.ok + self.bad

    @property
    def there(self) -> bool:
        return self.ran + self.skipped > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SubtestChange:
    path: str
    change: Change
    baseline: Tally = field(default_factory=Tally)
    patched: Tally = field(default_factory=Tally)
    chance: float | None = None  # that runs which are all alike differ so much or more; None: nothing to compare
    reason: str = ""  # of a run that was bad or skipped, with the series where there is one
    diagnostics: tuple[str, ...] = ()  # of that run


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteComparison:
    """All subtests of one suite on one flavour and arch."""

    flavour: str
    arch: str
    suite: str  # the workload's name
    baseline_runs: int  # that came to their end
    patched_runs: int
    changes: tuple[SubtestChange, ...]  # by path

    @property
    def name(self) -> str:
        return f"{self.flavour}.{self.arch}.{self.suite}"

    @property
    def compares(self) -> bool:
        """Whether there are runs of both variants."""
        return bool(self.baseline_runs and self.patched_runs)

    def of(self, change: Change) -> tuple[SubtestChange, ...]:
        return tuple(one for one in self.changes if one.change is change)
