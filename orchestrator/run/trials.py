# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels that are broken on purpose, by hand or by rule: the cells of each run one after another until one notices."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from orchestrator.host.deadline import Deadline
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Workload
from orchestrator.model.events import CellProgress, Event, Listener, TrialProgress
from orchestrator.model.reports import CellReport
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, root_mib_of
from orchestrator.run.capacity import memory_of, room_here
from orchestrator.run.judging import judge_cell, record
from orchestrator.run.losses import LossWatch
from orchestrator.run.observed_cell import observed_cell
from orchestrator.run.order import B, Schedule
from orchestrator.run.scheduler import R, Steps, Stop, Unbuilt, Work, working


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial(Generic[B]):
    """The cells of one kernel that run one after another: of a bug or a mutant, or a control's one cell."""

    build: B  # what its kernel is known by
    name: str
    cells: tuple[Cell, ...]

    @property
    def workload(self) -> Workload:
        """The one whose guest needs most memory."""
        return max(self.cells, key=memory_of).workload


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialLimits:
    """When no more trials are begun."""

    jobs: int | None = None
    deterministic: bool = False  # the guests
    watch: LossWatch | None = None
    until: Deadline | None = None  # then those that run end, too


def run_trials(
    trials: Sequence[Trial[B]],
    build: Callable[[B, bool], Bootable | Unbuilt[R]],
    attempt: Callable[[Trial[B], Bootable], R],
    limits: TrialLimits,
) -> Iterator[R]:
    """What the trials come to, as they end: a kernel is built beside the guests of the one before."""
    builds = tuple(dict.fromkeys(trial.build for trial in trials))
    steps = Steps(
        build=build, observe=attempt, judge=lambda _trial, _kernel, report: report,
        root_mib=lambda trial, kernel: max(root_mib_of(cell, kernel) for cell in trial.cells),
    )  # fmt: skip
    schedule = Schedule(builds=builds, jobs=tuple(trials))
    with working(
        Work(
            schedule=schedule,
            room=room_here(limits.jobs, one_thread=limits.deterministic),
            steps=steps,
            until=limits.until,
        )
    ) as work:
        for ended in work:
            yield from ended.reports
            if limits.watch and (why := limits.watch.why_hopeless()):
                work.stop(Stop(why=why, at_once=True))


def run_cell(name: str, cell: Cell, bootable: Bootable, store: Store, listener: Listener) -> CellReport:
    """One cell of a trial, observed, judged and recorded; `name` is that of the trial."""
    folder = store.cell_folder(cell)
    text = f"{cell.workload.name} for {cell.seconds} s"
    listener(TrialProgress(name=name, text=text, done=0, total=cell.seconds))

    def heard(event: Event) -> None:
        if isinstance(event, CellProgress):
            listener(TrialProgress(name=name, text=text, done=int(event.seconds), total=cell.seconds))

    observed = observed_cell(cell, bootable, folder=folder, listener=heard)
    (report,) = record([judge_cell(cell, observed, bootable)], store)
    return report
