# SPDX-License-Identifier: GPL-2.0-or-later
"""A bisection: which patch of a series a failure comes with; values that cross stages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from orchestrator.model.outcomes import Outcome


class Seen(StrEnum):
    """What a cell of a bisection tells of its kernel."""

    BAD = "bad"  # the failure that is bisected
    GOOD = "good"
    OTHER = "other"  # another failure: it says nothing of the one that is bisected
    NOTHING = "nothing"  # lost, not exercised, skipped


class Ended(StrEnum):
    """Why a bisection runs no more cells."""

    FOUND = "found"
    NOT_DECIDED = "not decided"
    INTERRUPTED = "interrupted"
    HOST = "the host failed"


class Confirming(StrEnum):
    """How the kernel without the patch that was found is made."""

    REVERTED = "reverted on top of the series"
    LEFT_OUT = "left out of the series"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What the cells of one kernel told."""

    bad: int = 0
    good: int = 0
    other: int = 0
    nothing: int = 0
    why_closed: str = ""  # why no more cells of it are run: it does not build, or tells nothing; "": they may be

    @property
    def observations(self) -> int:
        return self.bad + self.good

    @property
    def cells(self) -> int:
        return self.observations + self.other + self.nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspects:
    """Patches that no kernel tells apart, numbered from 1, and how likely the failure comes with one of them.

    Number 0 is the kernel without the series.
    """

    first: int
    last: int
    chance: float

    @property
    def numbers(self) -> range:
        return range(self.first, self.last + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class BisectTask:
    """What a bisection was asked to do."""

    run: str  # the id of the run
    cell: str
    outcome: Outcome  # with the title, the failure that is bisected
    title: str
    what: str  # the title without what differs from cell to cell
    patches: tuple[str, ...]  # their subjects, in the order in which they apply
    limit: float  # from this probability on a patch counts as found
    budget: int  # cells
    commits: str = ""  # the range GOOD..BAD of `tree` whose commits are the patches; "": they are those of a series
    tree: str = ""
    inputs: str = ""  # SHA-256 of all patches and of the source that they are for

    @property
    def noun(self) -> str:
        """What the patches are called."""
        return "commit" if self.commits else "patch"

    @property
    def base(self) -> str:
        """The kernel that has none of the patches, in words."""
        return f"the kernel at {self.commits.partition('..')[0]}" if self.commits else "the kernel without the series"

    @property
    def whole(self) -> str:
        """All of the patches, in words."""
        return self.commits or "the series"


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """What cells of the series without the patch that was found told."""

    patch: int
    how: Confirming | None  # None: there is no such kernel
    needed: int  # so many cells without the failure confirm the patch, by the rate of the failure
    tally: Tally = field(default_factory=Tally)
    why: str = ""  # why there is no such kernel, or none of the ways that were tried before

    @property
    def confirmed(self) -> bool:
        return self.how is not None and not self.tally.bad and self.tally.good >= self.needed


@dataclass(frozen=True, kw_only=True, slots=True)
class UnderWay:
    """A batch of cells that runs; its folder is below the bisection's."""

    batch: int
    count: int | None  # patches that its kernel has, from the first one on; None: it confirms the answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Bisection:
    """A bisection as its folder keeps it."""

    id: str
    folder: Path
    argv: tuple[str, ...]
    started: str  # ISO 8601, UTC
    versions: Mapping[str, str]
    task: BisectTask
    seconds: float = 0.0
    program: Mapping[str, str] = field(default_factory=dict)  # patchrig's version, and digests of its files
    batches: int = 0  # each is a run below the folder
    begun: int = 0  # cells; each has a number of its own, also those that did not end
    under_way: UnderWay | None = None  # a batch whose cells are not counted yet
    kernels: Mapping[int, Tally] = field(default_factory=dict)  # number of patches, from the first one on -> its cells
    others: Mapping[str, int] = field(default_factory=dict)  # other failures -> cells
    confirmation: Confirmation | None = None
    ended: Ended | None = None  # None: it is at work, or was killed
    why: str = ""  # why it is not decided

    @property
    def cells(self) -> int:
        """All that were run."""
        confirming = self.confirmation.tally.cells if self.confirmation else 0
        return confirming + sum(tally.cells for tally in self.kernels.values())

    @property
    def cells_left(self) -> int:
        return max(0, self.task.budget - self.cells)
