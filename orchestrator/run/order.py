# SPDX-License-Identifier: GPL-2.0-or-later
"""In which order cells run: likeliest to fail, most of the changed functions reached, longest (pure)."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, Protocol, TypeVar

from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Workload
from orchestrator.model.matrix_choices import MatrixChoices
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reach import ChangedReach
from orchestrator.plan.expansion import builds_of
from orchestrator.plan.flavours import needs_of
from orchestrator.report.earlier import Earlier


class Job(Protocol):
    """What is run in a guest: a cell, or all cells of a seeded bug one after another."""

    @property
    def build(self) -> Any:
        """What its kernel is known by."""

    @property
    def workload(self) -> Workload:
        """The one whose guest needs most of this machine."""


B = TypeVar("B", bound=Hashable)
J = TypeVar("J", bound=Job)

_NO_HINT = frozenset({Outcome.PASSED, Outcome.SKIPPED, Outcome.SUBTESTS_FAILED, Outcome.LOST})


class FailurePriority(IntEnum):
    """How likely a cell fails, likeliest first."""

    FAILED = 0  # when it ran last
    SIBLING_FAILED = 1  # the same workload on the same build, in another repeat
    EDITED = 2  # its workload is made for a file that the series does something else to than last time
    NONE = 3  # nothing is known


def edited_files(series: Mapping[str, str], before: Mapping[str, str] | None) -> frozenset[str]:
    """The kernel files to which the series does something else than before, each given with its digest.

    None where it is not known what was before: then nothing counts as edited.
    """
    if before is None:
        return frozenset()
    return frozenset(file for file in {*series, *before} if series.get(file) != before.get(file))


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule(Generic[B, J]):
    """What is begun when, as far as there is room and its kernel is there."""

    builds: tuple[B, ...]
    jobs: tuple[J, ...]


def ranks(choices: MatrixChoices | None, reach: ChangedReach | None) -> Mapping[str, int]:
    """The workloads that run more of the series than others, best first; by their `files:` where no map tells."""
    names = [one.workload for one in reach.ranked] if reach else []
    if not names and choices:
        names = [workload.name for workload in choices.workloads if workload.meant]
    return {name: at for at, name in enumerate(names)}


_NO_RANKS: Mapping[str, int] = {}


def scheduled(
    cells: Sequence[Cell], earlier: Earlier, edited: Collection[str], ranks: Mapping[str, int] = _NO_RANKS
) -> Schedule[Build, Cell]:
    """Cells: likeliest to fail, first repeats, by rank, longest; else as they were.

    Builds by the likeliest of their cells.
    `ranks`: workloads that run more of the series than others, lowest first.
    """
    bad = {name for name, known in earlier.cells.items() if known.outcome not in _NO_HINT}
    # Without the repeat.
    bad_places = {_place(cell) for cell in cells if cell.name in bad}
    priorities = [_priority(cell, bad, bad_places, edited) for cell in cells]

    def rank(at: int) -> tuple[int, float]:
        return ranks.get(cells[at].workload.name, len(ranks)), -expected_seconds(cells[at], earlier)

    ranked = sorted(range(len(cells)), key=lambda at: (priorities[at], cells[at].repeat, rank(at)))
    likeliest: dict[Build, FailurePriority] = {}
    for cell, priority in zip(cells, priorities, strict=True):
        likeliest[cell.build] = min(priority, likeliest.get(cell.build, FailurePriority.NONE))
    return Schedule(
        builds=tuple(sorted(likeliest, key=lambda build: likeliest[build])),
        jobs=tuple(cells[at] for at in ranked),
    )


def as_given(cells: Sequence[Cell]) -> Schedule[Build, Cell]:
    """In the order of the cells, where that has been decided already."""
    return Schedule(builds=builds_of(cells), jobs=tuple(cells))


def expected_seconds(cell: Cell, earlier: Earlier) -> float:
    """What the cell takes on the host: as long as last time, or what a guess by its flavour says."""
    known = earlier.cells.get(cell.name)
    return cell.seconds + (known.overhead if known else _GUESS_SECONDS * needs_of(cell.build.flavour).slower)


# From QEMU's start to the load and from there to the verdict.
_GUESS_SECONDS = 5.0


def _priority(
    cell: Cell, bad: Collection[str], bad_places: Collection[tuple[Build, str]], edited: Collection[str]
) -> FailurePriority:
    if cell.name in bad:
        return FailurePriority.FAILED
    if _place(cell) in bad_places:
        return FailurePriority.SIBLING_FAILED
    return FailurePriority.EDITED if any(file in edited for file in cell.workload.files) else FailurePriority.NONE


def _place(cell: Cell) -> tuple[Build, str]:
    return cell.build, cell.workload.name
