# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig bisect`: cells of beginnings of a series until one patch is likely, then of all but it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from orchestrator.host.deadline import now
from orchestrator.host.errors import Cancelled, UserError
from orchestrator.judge.bisected import cells_to_confirm, posterior_of, why_undecidable, with_other, with_report
from orchestrator.kernel.series.load import Patch, Series
from orchestrator.model.bisections import Bisection, Confirmation, Confirming, Ended, Tally
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.events import Listener, Notice
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.plan.expansion import cell_seed
from orchestrator.report.bisect_files import BATCHES, batch_name, save_bisection
from orchestrator.report.bisect_text import beginning_text, bisect_text, likeliest_text, patch_text
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

    def save(self) -> None:
        """Write bisect.json and bisect.txt. Raises InfraError."""
        self.bisection = replace(self.bisection, seconds=round(now() - self._began, 1))
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
        if numbers == range(1):
            return "the kernel without the series has this failure, too"
        if len(numbers) == 1:
            return ""
        names = [f"patch {number}" if number else "the kernel without the series" for number in numbers]
        return f"{', '.join(names[:-1])} and {names[-1]} can't be told apart: what lies between them tells nothing"

    def _observe(self, count: int) -> None:
        """One batch of the beginning with `count` patches."""
        tally = self.bisection.kernels.get(count, Tally())
        tally = self._batch(self._part(self.patches[:count]), min(self._batch_size, self.bisection.cells_left), tally)
        self.ledger.bisection = replace(self.bisection, kernels={**self.bisection.kernels, count: tally})
        self.ledger.save()
        result = tally.why_closed or f"{tally.bad} bad, {tally.good} good"
        likeliest = likeliest_text(self.bisection.task, posterior_of(self.bisection).likeliest)
        self.listener(Notice(text=f"{beginning_text(count, len(self.patches))}: {result}; {likeliest}"))

    @property
    def _batch_size(self) -> int:
        return max(self.request.jobs or 0, _LEAST_BATCH)

    def confirm(self) -> str:
        """Run cells of the series without the patch that was found; returns why it is not the one after all."""
        posterior = posterior_of(self.bisection)
        patch = posterior.likeliest.first
        needed = cells_to_confirm(posterior.rate(patch), self.bisection.task.limit)
        whys: list[str] = []
        for how in Confirming:
            self._confirmation(Confirmation(patch=patch, how=how, needed=needed))
            confirmation = self._confirmed(patch, how)
            if confirmation.confirmed:
                return ""
            if confirmation.tally.bad:
                return f"the failure shows with {patch_text(self.bisection.task, patch)} {how}, too"
            if not confirmation.tally.why_closed:
                tally = confirmation.tally
                used_up = f"the budget of {self.bisection.task.budget} cells is used up"
                return f"{used_up}: {tally.good} of the {needed} good cells that confirm patch {patch}"
            whys.append(f"{how}: {confirmation.tally.why_closed}")
        self._confirmation(replace(confirmation, how=None, why="; ".join(whys)))
        return ""

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
            self._confirmation(replace(confirmation, tally=self._batch(part, missing, tally)))

    def _confirmation(self, confirmation: Confirmation) -> None:
        self.ledger.bisection = replace(self.bisection, confirmation=confirmation)
        self.ledger.save()

    def _part(self, patches: tuple[Patch, ...]) -> Kernels:
        return replace(self.kernels, part=replace(self.kernels.series, patches=patches))

    def _batch(self, kernels: Kernels, cells: int, tally: Tally) -> Tally:
        """The tally of a kernel with so many more cells."""
        try:
            reports = self._run(kernels, self._cells(kernels.tested, cells))
        except UserError as why:
            # Such as a function to delay in that this kernel does not have.
            return replace(tally, why_closed=str(why))
        for report in reports:
            tally = with_report(tally, report, self.bisection.task)
            self.watch.count(report)
            others = with_other(self.bisection.others, report, self.bisection.task)
            self.ledger.bisection = replace(self.bisection, others=others)
        self.watch.check(f"less {self.bisection.folder / BATCHES / batch_name(self.bisection.batches) / 'summary.txt'}")
        return tally

    def _cells(self, series: Series, number: int) -> tuple[Cell, ...]:
        """No two cells of a bisection have the same seed."""
        build = replace(self.cell.build, variant=Variant.PATCHED if series.patches else Variant.BASELINE)
        first, load = self.bisection.cells + 1, self.cell.workload.name
        return tuple(
            replace(
                self.cell,
                build=build,
                repeat=repeat,
                repeats=max(2, self.bisection.task.budget),
                seed=cell_seed(self.cell.seed, workload=load, repeat=repeat),
            )
            for repeat in range(first, first + number)
        )

    def _run(self, kernels: Kernels, cells: tuple[Cell, ...]) -> tuple[CellReport, ...]:
        bisection, key = self.bisection, kernels.tested.sha256
        self.ledger.bisection = replace(bisection, batches=bisection.batches + 1)
        name = f"{BATCHES}/{batch_name(bisection.batches + 1)}"
        request = replace(self.request, cells=cells)
        with open_run_at(
            bisection.folder / name,
            f"{bisection.id}/{name}",
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
