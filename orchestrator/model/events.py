# SPDX-License-Identifier: GPL-2.0-or-later
"""What is happening, for whoever shows it: typed, in order, from any thread."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.model.cells import Build, Cell
from orchestrator.model.phases import Phase
from orchestrator.model.reports import CellReport


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Something that takes a while began: a download, the root file system, applying a series."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseBegan:
    """A piece of work entered its next phase: the kernel source, a build, a cell; the time line is made of these."""

    what: str  # SOURCE, or the name of the build or cell
    phase: Phase


SOURCE = "kernel source"


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """Bytes so far of a tarball; `total` is None when the server does not say."""

    what: str
    done: int
    total: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildProgress:
    """Objects compiled so far, of the number expected (None on the very first build)."""

    build: Build
    objects: int
    expected: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildEnded:
    build: Build
    text: str  # "from the cache", "built in 312 s", "build-failed: ..."
    good: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CellStarted:
    cell: Cell


@dataclass(frozen=True, kw_only=True, slots=True)
class CellProgress:
    cell: Cell
    operations: int
    swapoffs: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CellEnded:
    report: CellReport


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """Something that the user must not miss (no sandbox, no KVM, state kept aside)."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialProgress:
    """A seeded bug (or the control) is being tried: `done` of `total` load seconds of one cell."""

    name: str
    text: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialEnded:
    name: str
    text: str  # "found by swapin: hung after 14 s: a swapoff never returned", "survived"
    good: bool


Event = (
    Step
    | PhaseBegan
    | Download
    | BuildProgress
    | BuildEnded
    | CellStarted
    | CellProgress
    | CellEnded
    | TrialProgress
    | TrialEnded
    | Notice
)
Listener = Callable[[Event], None]
