# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig bisect`: cells of beginnings of a series until one patch is likely, then of all but it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.host.deadline import now
from orchestrator.host.errors import Cancelled, UserError
from orchestrator.judge.bisected import cells_to_confirm, posterior_of, why_undecidable, with_other, with_report
from orchestrator.kernel.series.load import Patch, Series
from orchestrator.model.bisections import Bisection, Confirmation, Confirming, Ended, Tally, UnderWay
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.events import Listener, Notice
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.plan.expansion import cell_seed
from orchestrator.report.bisect_files import BATCHES, batch_name, cells_of_batch, save_bisection
from orchestrator.report.bisect_text import beginning_text, bisect_text, how_text, likeliest_text, patch_text
from orchestrator.report.store import open_run_at
from orchestrator.run.kernels import Kernels, Request
from orchestrator.run.losses import LossWatch
from orchestrator.run.matrix import rerun, run_kernels
from orchestrator.run.notices import each_notice_once

# Each batch is a run: so many guests share a boot, and what is kept of it.
_LEAST_BATCH = 4
_MOST_TO_CONFIRM_AT_ONCE = 16


@dataclass(slots=True)
class BisectLedger:
    """Keeps a bisection's folder."""

    bisection: Bisection
    results: str = ""  # what its commands need to be told of where that is; "" for nothing
    _began: float = field(default_factory=now)
    _before: float = field(init=False)  # seconds, where it was stopped and goes on

    def __post_init__(self) -> None:
        self._before = self.bisection.seconds

    def save(self) -> None:
        """Write bisect.json and bisect.txt. Raises InfraError."""
        self.bisection = replace(self.bisection, seconds=round(self._before + now() - self._began, 1))
        save_bisection(self.bisection, bisect_text(self.bisection, posterior_of(self.bisection), self.results))

    def end(self, ended: Ended, why: str = "") -> None:
        """Nothing more runs. Raises InfraError."""
        self.bisection = replace(self.bisection, ended=ended, why=why)
        self.save()


def run_bisection(ledger: BisectLedger, kernels: Kernels, cell: Cell, request: Request, listener: Listener) -> None:
    """Run cells like `cell` until it is decided, or can't be; what is known is in the ledger whatever happens.

    Raises InfraError where this machine fails.
    """
    work = _Work(ledger=ledger, kernels=kernels, cell=cell, request=request, listener=each_notice_once(listener))
    try:
        work.take_up()
        why = work.search()
        if not why:
            why = work.confirm()
        ledger.end(Ended.NOT_DECIDED if why else Ended.FOUND, why)
    except (KeyboardInterrupt, Cancelled):
        ledger.end(Ended.INTERRUPTED)
        raise
    except Exception as trouble:
        ledger.end(Ended.HOST, f"{type(trouble).__name__}: {trouble}".splitlines()[0])
        raise


@dataclass(slots=True)
class _Work:
    """One bisection under way."""

    ledger: BisectLedger
    kernels: Kernels
    cell: Cell
    request: Request
    listener: Listener
    watch: LossWatch = field(default_factory=LossWatch)
    _built: dict[str, RunReport] = field(default_factory=dict)  # SHA-256 of the patches -> the run that built them

    @property
    def bisection(self) -> Bisection:
        return self.ledger.bisection

    @property
    def patches(self) -> tuple[Patch, ...]:
        return self.kernels.series.patches

    def take_up(self) -> None:
        """Count the cells that ended of the batch in which the bisection was stopped. The others never count."""
        under_way = self.bisection.under_way
        if under_way is None:
            return
        reports = cells_of_batch(self.bisection, under_way.batch)
        known = f" of {self.bisection.cells + len(reports)} that have ended" if self.bisection.cells else ""
        self.listener(Notice(text=f"{len(reports)} cells{known} are of a batch that was stopped"))
        self._count(reports, under_way.count)

    def search(self) -> str:
        """Run cells of beginnings of the series until one patch is likely; returns why none is."""
        while True:
            posterior = posterior_of(self.bisection)
            if why := why_undecidable(posterior):
                return why
            likeliest = posterior.likeliest
            if posterior.bad and likeliest.chance >= self.bisection.task.limit:
                return self._why_not_one(likeliest.numbers)
            if not self.bisection.cells_left:
                return f"the budget of {self.bisection.task.budget} cells is used up"
            self._observe(posterior.next_count)

    def _why_not_one(self, numbers: range) -> str:
        task = self.bisection.task
        if numbers == range(1):
            return f"{task.base} has this failure, too"
        if len(numbers) == 1:
            return ""
        names = [f"{task.noun} {number}" if number else task.base for number in numbers]
        return f"{', '.join(names[:-1])} and {names[-1]} can't be told apart: what lies between them tells nothing"

    def _observe(self, count: int) -> None:
        """One batch of the beginning with `count` patches."""
        self._batch(self._part(self.patches[:count]), min(self._batch_size, self.bisection.cells_left), count)
        tally = self.bisection.kernels[count]
        result = tally.why_closed or f"{tally.bad} bad, {tally.good} good"
        likeliest = likeliest_text(self.bisection.task, posterior_of(self.bisection).likeliest)
        self.listener(Notice(text=f"{beginning_text(self.bisection.task, count)}: {result}; {likeliest}"))

    @property
    def _batch_size(self) -> int:
        return max(self.request.jobs or 0, _LEAST_BATCH)

    def confirm(self) -> str:
        """Run cells of the series without the patch that was found; returns why it is not the one after all."""
        posterior = posterior_of(self.bisection)
        patch, task = posterior.likeliest.first, self.bisection.task
        needed = cells_to_confirm(posterior.rate(patch), task.limit)
        for confirmation in self._confirmations(patch, needed):
            assert confirmation.how is not None
            if confirmation.confirmed:
                return ""
            if confirmation.tally.bad:
                return f"the failure shows with {patch_text(task, patch)} {how_text(task, confirmation.how)}, too"
            if not confirmation.tally.why_closed:
                used_up = f"the budget of {task.budget} cells is used up"
                return (
                    f"{used_up}: {confirmation.tally.good} of the {needed} good cells that confirm {task.noun} {patch}"
                )
        self._confirmation(replace(confirmation, how=None, why=self._whys(confirmation)))
        return ""

    def _confirmations(self, patch: int, needed: int) -> Iterator[Confirmation]:
        """What cells tell of each kernel without the patch; one that was begun before goes on."""
        known, why = self.bisection.confirmation, ""
        ways = list(Confirming)
        if known is not None and known.patch == patch and known.how is not None:
            ways = ways[ways.index(known.how) :]
        else:
            known = None
        for how in ways:
            self._confirmation(known or Confirmation(patch=patch, how=how, needed=needed, why=why))
            confirmation = self._confirmed(patch, how)
            yield confirmation
            known, why = None, self._whys(confirmation)

    def _whys(self, confirmation: Confirmation) -> str:
        """Why none of the kernels so far tells anything."""
        assert confirmation.how is not None
        last = f"{how_text(self.bisection.task, confirmation.how)}: {confirmation.tally.why_closed}"
        return f"{confirmation.why}; {last}" if confirmation.why else last

    def _confirmed(self, patch: int, how: Confirming) -> Confirmation:
        """Cells without the patch, until there are enough, one is bad, or no more can be run."""
        part = self._part(without(self.patches, patch, how))
        while True:
            confirmation = self.bisection.confirmation
            assert confirmation is not None
            tally = confirmation.tally
            missing = min(confirmation.needed - tally.good, self.bisection.cells_left, _MOST_TO_CONFIRM_AT_ONCE)
            if missing <= 0 or tally.bad or tally.why_closed:
                return confirmation
            self._batch(part, missing, None)

    def _confirmation(self, confirmation: Confirmation) -> None:
        self.ledger.bisection = replace(self.bisection, confirmation=confirmation)
        self.ledger.save()

    def _part(self, patches: tuple[Patch, ...]) -> Kernels:
        return replace(self.kernels, part=replace(self.kernels.series, patches=patches))

    def _batch(self, kernels: Kernels, number: int, count: int | None) -> None:
        """So many more cells of a kernel; `count`: the patches that it has, None where it confirms the answer."""
        bisection, cells = self.bisection, self._cells(kernels.tested, number)
        under_way = UnderWay(batch=bisection.batches + 1, count=count)
        # Saved before: a bisection that is killed knows which cells were begun, and of which kernel.
        self.ledger.bisection = replace(
            bisection, batches=under_way.batch, begun=bisection.begun + number, under_way=under_way
        )
        self.ledger.save()
        try:
            reports = self._run(kernels, cells)
        except UserError as why:
            # Such as a function to delay in that this kernel does not have.
            self._keep(count, replace(self._tally(count), why_closed=str(why)))
            return
        self._count(reports, count)
        self.watch.check(f"less {self._folder / 'summary.txt'}")

    def _count(self, reports: Sequence[CellReport], count: int | None) -> None:
        """Add the cells of the batch that is under way to the tally of their kernel."""
        tally, others, task = self._tally(count), self.bisection.others, self.bisection.task
        for report in reports:
            tally, others = with_report(tally, report, task), with_other(others, report, task)
            self.watch.count(report)
        self.ledger.bisection = replace(self.bisection, others=others)
        self._keep(count, tally)

    def _tally(self, count: int | None) -> Tally:
        if count is not None:
            return self.bisection.kernels.get(count, Tally())
        assert self.bisection.confirmation is not None
        return self.bisection.confirmation.tally

    def _keep(self, count: int | None, tally: Tally) -> None:
        """The tally of a kernel, with which its batch is over."""
        bisection = replace(self.bisection, under_way=None)
        if count is not None:
            self.ledger.bisection = replace(bisection, kernels={**bisection.kernels, count: tally})
        else:
            assert bisection.confirmation is not None
            self.ledger.bisection = replace(bisection, confirmation=replace(bisection.confirmation, tally=tally))
        self.ledger.save()

    @property
    def _folder(self) -> Path:
        """That of the newest batch."""
        return self.bisection.folder / BATCHES / batch_name(self.bisection.batches)

    def _cells(self, series: Series, number: int) -> tuple[Cell, ...]:
        """No two cells of a bisection have the same seed."""
        build = replace(self.cell.build, variant=Variant.PATCHED if series.patches else Variant.BASELINE)
        first, load = self.bisection.begun + 1, self.cell.workload.name
        return tuple(
            replace(
                self.cell,
                build=build,
                repeat=repeat,
                # More than one, so that each has its number in its name.
                repeats=max(2, self.bisection.task.budget, first + number),
                seed=cell_seed(self.cell.seed, workload=load, repeat=repeat),
            )
            for repeat in range(first, first + number)
        )

    def _run(self, kernels: Kernels, cells: tuple[Cell, ...]) -> tuple[CellReport, ...]:
        bisection, key = self.bisection, kernels.tested.sha256
        request = replace(self.request, cells=cells)
        with open_run_at(
            self._folder,
            f"{bisection.id}/{BATCHES}/{self._folder.name}",
            argv=bisection.argv,
            matrix_path=str(request.plan.path),
            matrix=request.plan.matrix,
            versions=bisection.versions,
        ) as store:
            # One that is not built is none again.
            if key in self._built:
                rerun(self._built[key], cells, request, store, self.listener)
            else:
                run_kernels(kernels, request, store, self.listener)
            report = store.report()
        if _is_built(report.cells):
            self._built.setdefault(key, replace(report, cells=()))
        return report.cells


def without(patches: tuple[Patch, ...], number: int, how: Confirming) -> tuple[Patch, ...]:
    """The patches without that of this number, which counts from 1."""
    patch = patches[number - 1]
    if how is Confirming.REVERTED:
        return (*patches, replace(patch, reverse=not patch.reverse))
    return (*patches[: number - 1], *patches[number:])


def _is_built(reports: Iterable[CellReport]) -> bool:
    return any(report.run is not None for report in reports)
