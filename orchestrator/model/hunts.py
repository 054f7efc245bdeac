# SPDX-License-Identifier: GPL-2.0-or-later
"""A hunt: what it runs, and what it knows so far; values that cross stages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.model.configuration import Matrix, Workload
from orchestrator.model.matrix_choices import MatrixChoices
from orchestrator.model.outcomes import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class HuntTask:
    """What a hunt was asked to do: the same from its begin to its end, however often it is resumed."""

    matrix_path: str  # the options that name the kernel and the series, as reports show them
    matrix: Matrix
    workloads: tuple[Workload, ...]  # in the order in which they are begun
    order: str  # why in this order
    files: tuple[str, ...]  # the C files in all of whose functions widened kernels delay
    source: str  # SHA-256 of the kernel source
    series_version: str = ""
    tree: Path | None = None
    revision: str = ""
    choices: MatrixChoices | None = None
    left_out: tuple[str, ...] = ()
    sandbox: bool = True
    most_rounds: int | None = None  # None: until the time is up
    deterministic: bool = False  # its guests: then each cell can be replayed


@dataclass(frozen=True, kw_only=True, slots=True)
class CellPlace:
    """Where a cell of a hunt is to be found."""

    round: str  # the folder of its round below the hunt's
    cell: str
    number: int  # how many times its workload had run on its build by then
    seed: int
    guest_seconds: float  # of the whole hunt, until it ended


@dataclass(frozen=True, kw_only=True, slots=True)
class HuntFinding:
    """One thing that went wrong, however many cells show it."""

    outcome: Outcome
    title: str  # of the first cell that showed it
    known: str  # the upstream bug that it is known as; "" for none
    first: CellPlace
    seen: Mapping[str, int]  # build and workload -> cells that showed it

    @property
    def cells(self) -> int:
        return sum(self.seen.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class LaterSplat:
    """A fatal splat that no cell showed first: it may follow from what came before it, or be a bug of its own."""

    first: CellPlace
    cells: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What became of the cells of one workload on one build. Each had a seed of its own."""

    last: int = 0  # the number of the last cell that ended
    quiet: int = 0  # passed
    thin: int = 0  # silent to the end, and less was done than is meant to be
    bad: int = 0
    lost: int = 0
    quiet_seconds: float = 0.0  # guest seconds of those that passed
    guest_seconds: float = 0.0  # of all
    dropped: str = ""  # why it is run no more

    @property
    def silent(self) -> int:
        return self.quiet + self.thin

    @property
    def cells(self) -> int:
        return self.silent + self.bad + self.lost


@dataclass(frozen=True, kw_only=True, slots=True)
class Hunted:
    """What a hunt knows so far."""

    tallies: Mapping[str, Tally] = field(default_factory=dict)  # "baseline.widened.x86_64.swapin" -> its cells
    findings: Mapping[str, HuntFinding] = field(default_factory=dict)  # what tells them apart -> a finding
    later: Mapping[str, LaterSplat] = field(default_factory=dict)  # title -> splat
    unbuilt: Mapping[str, str] = field(default_factory=dict)  # build -> why there is no kernel of it
    code: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # build -> function that delays -> its file
    ran: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # build -> those of them that ran

    @property
    def guest_seconds(self) -> float:
        return sum(tally.guest_seconds for tally in self.tallies.values())

    @property
    def learned(self) -> int:
        """Grows with each cell that tells anything."""
        cells = sum(tally.cells - tally.lost + bool(tally.dropped) for tally in self.tallies.values())
        return cells + len(self.unbuilt)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hunt:
    """A hunt as its folder keeps it."""

    id: str
    folder: Path
    argv: tuple[str, ...]
    started: str  # ISO 8601, UTC
    versions: Mapping[str, str]
    task: HuntTask
    hours: float  # how long it may take in all
    seconds: float = 0.0  # it took so far, rounds that were killed included
    rounds: int = 0  # so many are counted in `hunted`
    kernels_in: str = ""  # the round that has all kernels
    hunted: Hunted = field(default_factory=Hunted)
    ended: str = ""  # why nothing more runs; "" while it runs, and after a kill


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """How often something was seen, and between what its rate lies with a confidence of 95 %."""

    seen: int
    cells: int  # that show it, or ran to their end without any splat
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RatedFinding:
    """A finding with its rates: on all builds and workloads that show it, and on each."""

    finding: HuntFinding
    rate: Rate
    places: Mapping[str, Rate]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildSilence:
    """What the silence of one build's cells is worth."""

    build: str
    workloads: int
    cells: int  # each of them a schedule of its own
    quiet: int
    thin: int
    bad: int
    lost: int
    quiet_hours: float  # of guests that passed
    guest_hours: float
    least_silent: int  # cells of the workload that has fewest of those that were silent to the end
    most_missed: float  # a rate: what shows more often in a workload's cells was seen, with a confidence of 95 %
    delayed: int  # functions that delays are injected into; 0 where there are none
    ran: int  # of these
    not_run: tuple[str, ...]  # "mm/swapfile.c: swap_alloc_hibernation"
    no_code: tuple[str, ...]  # files without code in this kernel


@dataclass(frozen=True, kw_only=True, slots=True)
class HuntSummary:
    """A hunt as it is reported."""

    new: tuple[RatedFinding, ...]  # in the order in which they were found
    known: tuple[RatedFinding, ...]
    later: Mapping[str, LaterSplat]
    builds: tuple[BuildSilence, ...]
