# SPDX-License-Identifier: GPL-2.0-or-later
"""The values of `patchrig sensitivity`: bugs put in on purpose, and what became of each. Nothing here does anything."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from orchestrator.model.cells import Build
from orchestrator.model.outcomes import Outcome
from orchestrator.model.trials_report import TrialsReport


@dataclass(frozen=True, kw_only=True, slots=True)
class SeededBug:
    """One patch that breaks something, with what its header says; a patch without a header is a bug, too."""

    id: str  # the file's stem
    path: Path
    diff: str = field(repr=False)
    touched: tuple[str, ...]  # files below the tree, by name
    bug_class: str = ""  # "A" at every run, "B" needs one branch, "C" needs a race; "" unknown
    broken: str = ""
    symptom: str = ""
    workloads: tuple[str, ...] = ()  # most promising first
    undetectable: str = ""  # why nothing can tell it from the original; such a bug is not counted


NO_BUG = SeededBug(id="", path=Path(), diff="", touched=())
"""What the kernel without any has: its workloads are the control."""


class BugStatus(StrEnum):
    """What became of a seeded bug."""

    FOUND = "found"
    SURVIVED = "survived"
    NOT_APPLIED = "not-applied"
    BUILD_FAILED = "build-failed"
    NO_EFFECT = "no-effect"  # the image is the same to the byte without it: no bug of this configuration, not counted
    NO_WORKLOAD = "no-workload"  # every workload that reaches it is red without the bug, too
    LOST = "lost"  # our own trouble or this machine's: nothing is known
    UNTRIED = "untried"  # the user or this machine's trouble ended it before its turn, or in the middle of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One cell that was run on a kernel with (or, for the control, without) a seeded bug."""

    workload: str
    seconds: int  # of load, as asked for
    outcome: Outcome
    title: str
    found: bool
    guest_seconds: float  # from the workload's start to the end of the watch over it
    cell: str
    folder: str  # relative to the report's folder


@dataclass(frozen=True, kw_only=True, slots=True)
class BugReport:
    """A bug on one build: tried until it was found or its time was used up."""

    bug: SeededBug
    build: Build
    status: BugStatus
    title: str = ""  # the finding, or why there could be none
    attempts: tuple[Attempt, ...] = ()
    build_seconds: float = 0.0  # 0 when the kernel came from the cache

    @property
    def finding(self) -> Attempt | None:
        """The attempt that found it: always the last."""
        return self.attempts[-1] if self.status is BugStatus.FOUND else None

    @property
    def counts(self) -> bool:
        """Whether there was anything to find."""
        return self.status is not BugStatus.NO_EFFECT

    @property
    def good(self) -> bool:
        """Nothing that there was to find was missed."""
        return self.status is BugStatus.FOUND or not self.counts

    @property
    def guest_seconds(self) -> float:
        return round(sum(attempt.guest_seconds for attempt in self.attempts), 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """A workload on the kernel without any seeded bug: red here, it would find everything, and proves nothing."""

    build: Build
    attempt: Attempt

    @property
    def unknown(self) -> bool:
        """It never came to a verdict on the good kernel: whether it finds or cries wolf can't be told."""
        return not self.attempt.found and self.attempt.outcome in _NO_VERDICT


_NO_VERDICT = frozenset({Outcome.LOST, Outcome.BOOT_FAILED, Outcome.SKIPPED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Sensitivity(TrialsReport):
    """Everything of one `patchrig sensitivity`; sensitivity.json."""

    control: tuple[Control, ...] = ()
    bugs: tuple[BugReport, ...] = ()
    not_counted: tuple[SeededBug, ...] = ()

    @property
    def tried(self) -> bool:
        return bool(self.bugs)
