# SPDX-License-Identifier: GPL-2.0-or-later
"""A red deterministic cell with less and less in it, as long as it shows the same finding."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.guest.load_parts import parts_in
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.text import capped_lines
from orchestrator.judge.same_finding import finding_of, shows
from orchestrator.model.cells import Cell
from orchestrator.model.events import Listener, Notice
from orchestrator.model.minimised import Minimised, Parts, SameFinding, reductions
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.plan.minimal import smaller_cells
from orchestrator.report.kept_replay import REPLAY_FILE
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable
from orchestrator.run.deterministic_cells import deterministic_kernel, run_deterministic
from orchestrator.run.guest_files import keep

MINIMISED_FOLDER = "minimised"
_LOST_MOST = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialBudget:
    """How long is looked for a smaller cell."""

    trials: int
    seeds: int  # schedules that are tried for each smaller cell


def minimised_name(report: RunReport, found: CellReport) -> str:
    """The first name of a folder below the run's that is free."""
    base = f"{MINIMISED_FOLDER}/{found.cell.name}"
    names = (base, *(f"{base}.{number}" for number in range(2, 1000)))
    free = next((name for name in names if not (report.folder / name).exists()), None)
    if free is None:
        raise UserError(f"{report.folder / MINIMISED_FOLDER} is full", hint=f"ls {report.folder / MINIMISED_FOLDER}")
    return free


def target_of(report: RunReport, found: CellReport) -> SameFinding:
    """What the smaller cells are to show. Raises UserError for a cell that can't be minimised."""
    if not found.folder or not (report.folder / found.folder / REPLAY_FILE).exists():
        raise UserError(
            f"{found.cell.name} of {report.id} can't be minimised: its guest was not deterministic",
            hint="patchrig run ... --deterministic",
        )
    finding = finding_of(found)
    if finding is None:
        raise UserError(f"{found.cell.name} of {report.id} is {found.verdict.outcome}: there is nothing to keep")
    return finding


def minimise(
    report: RunReport, found: CellReport, budget: TrialBudget, store: Store, listener: Listener, *, sandbox: bool
) -> Minimised:
    """Each trial is a cell of the store's run. The first is the cell as it was."""
    finding = target_of(report, found)
    cell = replace(found.cell, repeat=1, repeats=1)
    store.plan((), report.series or {}, series_title=report.series_title)
    bootable = deterministic_kernel(report, cell, store, listener, sandbox=sandbox)
    store.add_build(bootable.kernel)
    keep(bootable, store)
    trials = _Trials(bootable=bootable, store=store, listener=listener, finding=finding, budget=budget)
    smallest = trials.first(cell)
    complete, parts = True, _parts(report.folder / found.folder, bootable)
    if smallest:
        smallest, complete = _searched(smallest, parts, trials)
    return Minimised(
        finding=finding,
        cell=trials.named(smallest) if smallest else None,
        reductions=tuple(reductions(cell, smallest, parts)) if smallest else (),
        trials=len(trials.done),
        shown=sum(shown for _, shown in trials.done),
        most_trials=budget.trials,
        complete=complete,
    )


def _parts(folder: Path, bootable: Bootable) -> Parts:
    """What the cell's guest said of its load, and where its kernel delays."""
    log = folder / "workload.log"
    parts = Parts()
    with suppress(FileNotFoundError), log.open("rb") as lines:
        parts = parts_in(capped_lines(lines))
    coverage = bootable.kernel.coverage
    targets = tuple(sorted({block.target for block in coverage.blocks if not block.partner})) if coverage else ()
    return replace(parts, targets=targets)


def _searched(cell: Cell, parts: Parts, trials: "_Trials") -> tuple[Cell, bool]:
    """The smallest cell, and whether nothing smaller was left to try."""
    search, smallest, shown = smaller_cells(cell, parts), cell, None
    try:
        candidate = next(search)
        while trials.left():
            shown = trials.shown(candidate)
            smallest = shown or smallest
            candidate = search.send(shown)
    except StopIteration:
        return smallest, True
    return smallest, False


@dataclass(slots=True)
class _Trials:
    """The cells that were run, each once, whatever the search asks for again."""

    bootable: Bootable
    store: Store
    listener: Listener
    finding: SameFinding
    budget: TrialBudget
    done: list[tuple[Cell, bool]] = field(default_factory=list)
    lost: int = 0  # one after the other

    def left(self) -> bool:
        return len(self.done) < self.budget.trials

    def first(self, cell: Cell) -> Cell | None:
        """The cell as it was, where it shows the finding again."""
        return cell if self._try(cell) else None

    def shown(self, cell: Cell) -> Cell | None:
        """The cell, with the first seed with which it shows the finding."""
        for candidate in self._with_seeds(cell):
            known = next((shown for tried, shown in self.done if tried == candidate), None)
            if known is None and not self.left():
                return None
            if known or (known is None and self._try(candidate)):
                return candidate
        return None

    def _with_seeds(self, cell: Cell) -> Iterator[Cell]:
        for number in range(self.budget.seeds):
            yield replace(cell, seed=(cell.seed + number) % (1 << 63))

    def named(self, cell: Cell) -> Cell:
        """The cell as it stands in the run: its number is that of its trial."""
        number = next(at for at, (tried, _) in enumerate(self.done, start=1) if tried == cell)
        return replace(cell, repeat=number, repeats=max(2, self.budget.trials))

    def _try(self, cell: Cell) -> bool:
        self.done.append((cell, False))
        report = run_deterministic(self.named(cell), self.bootable, self.store, self.listener)
        if report.verdict.outcome is Outcome.LOST:
            self._count_lost(report)
            return False
        self.lost = 0
        shown = shows(report, self.finding)
        self.done[-1] = (cell, shown)
        return shown

    def _count_lost(self, report: CellReport) -> None:
        """A trial that is lost shows nothing; several in a row are no matter of the cell's."""
        self.lost += 1
        why = f"{report.cell.name} was lost: {report.verdict.title}"
        if self.lost == _LOST_MOST or len(self.done) == 1:
            raise InfraError(why, hint=f"less {self.store.folder / 'summary.txt'}; patchrig doctor")
        self.listener(Notice(text=why))
