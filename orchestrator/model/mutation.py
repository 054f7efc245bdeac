# SPDX-License-Identifier: GPL-2.0-or-later
"""The values of `patchrig mutate`'s run: what became of each mutant of a series. Nothing here does anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.model.bugs import Attempt
from orchestrator.model.cells import Build
from orchestrator.model.guests import Fault
from orchestrator.model.mutants import Mutant
from orchestrator.model.series_diff import ChangedFile
from orchestrator.model.trials_report import TrialsReport


class MutantStatus(StrEnum):
    """What became of a mutant, in the order in which a summary names them."""

    NOTICED = "noticed"
    SURVIVED = "survived"
    NOT_REACHED = "not reached"  # no workload of the control passed its place
    NO_EFFECT = "no effect"  # it compiles to the same code: there is nothing to notice
    NOT_TRIED = "not tried"  # the budget, the user or this machine's trouble ended it before its turn
    BUILD_FAILED = "build failed"
    LOST = "lost"  # our own trouble or this machine's: nothing is known


@dataclass(frozen=True, kw_only=True, slots=True)
class MutantTry:
    """One cell that was run with a mutant, or with the control's number that no mutant has."""

    attempt: Attempt
    kind: str = ""  # of what it noticed, as the control is asked for it; "": nothing
    noise: bool = False  # the control shows the same kind, so that it proves nothing
    passed: int | None = None  # how often the mutant's place was; None: its guest did not say
    fault: Fault | None = None  # of one that was lost
    interrupted: bool = False

    @property
    def noticed(self) -> bool:
        return bool(self.kind) and not self.noise


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlTry:
    """A workload on the kernel that has all mutants and is none of them."""

    build: Build
    attempt: Attempt
    kind: str
    passed: Mapping[int, int] | None = field(repr=False)  # mutant -> how often its place was passed

    @property
    def usable(self) -> bool:
        """It came to its end, and so tells what it passes and what it shows."""
        return self.passed is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class MutantReport:
    """What became of one mutant on one build."""

    mutant: Mutant
    build: Build
    status: MutantStatus
    title: str = ""  # what noticed it, or why nothing could
    hint: str = ""  # of a survivor
    workloads: tuple[str, ...] = ()  # those that pass its place, as they take their turns; () also where nothing tells
    tries: tuple[MutantTry, ...] = ()

    @property
    def deciding(self) -> MutantTry | None:
        """The cell that noticed it, or else its first: what is run again for who asks for the mutant."""
        noticed = [one for one in self.tries if one.noticed]
        return next(iter((*noticed, *self.tries)), None)

    @property
    def fault_here(self) -> bool:
        """Whether this machine lost it, as it may lose the next one."""
        return self.status is MutantStatus.LOST and any(one.fault is Fault.MACHINE for one in self.tries)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation(TrialsReport):
    """Everything of one `patchrig mutate`; mutants.json."""

    load_seconds: int = 0  # of each cell, the control's as well
    budget: float | None = None  # seconds on the host
    tries: int = 0  # workloads that a mutant is run in at most
    statements: int = 0  # changed statements and conditions of the series
    left_out: int = 0  # changes that no operator was allowed to break
    mutants: tuple[Mutant, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)  # path -> the patched file
    diff: tuple[ChangedFile, ...] = field(default=(), repr=False)
    control: tuple[ControlTry, ...] = ()
    reports: tuple[MutantReport, ...] = ()

    @property
    def tried(self) -> bool:
        return bool(self.reports)


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """How much of what a series changes the workloads would have noticed to be broken."""

    counts: Mapping[MutantStatus, int]  # those that are not 0, in the order of a summary
    noticed: int
    tried: int  # that were noticed or survived
    low: float  # of a sample, the 95 % interval of the share that would be noticed
    high: float

    @property
    def mutants(self) -> int:
        return sum(self.counts.values())

    @property
    def sample(self) -> bool:
        """Whether some that are reached were not tried, or lost."""
        return bool(self.counts.get(MutantStatus.NOT_TRIED) or self.counts.get(MutantStatus.LOST))

    @property
    def whole(self) -> int:
        """All that might have been noticed: with those that nothing reaches."""
        return self.tried + self.counts.get(MutantStatus.NOT_REACHED, 0)

    def of_all(self, share: float) -> float:
        """The score of all mutants where this share of those that are reached is noticed: a run's, or a sample's.

        The control tells of all mutants which are not reached, so these are the same in a sample.
        """
        left = self.counts.get(MutantStatus.NOT_TRIED, 0) + self.counts.get(MutantStatus.LOST, 0)
        whole = self.whole + left
        return share * (self.tried + left) / whole if whole else 0.0
