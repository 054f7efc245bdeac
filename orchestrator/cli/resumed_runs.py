# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig resume` does: the cells of a run that have no verdict yet, in the run's own folder."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.cli.options import Output
from orchestrator.cli.reported_runs import exit_code, reported, show_json, show_report
from orchestrator.cli.request import versions
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.judge.suite_comparison import comparisons
from orchestrator.model.cells import Cell
from orchestrator.model.events import Event, Listener, Notice
from orchestrator.model.reports import RunReport
from orchestrator.plan.division import cells_of
from orchestrator.report.reopened import ended_cells, is_reported, reopened
from orchestrator.report.run_files import at_work
from orchestrator.report.store import Store, find_run, load_run
from orchestrator.report.terminal import say, screen, terminal
from orchestrator.run.kept_plan import (
    KeptPlan,
    inputs_of,
    load_plan_of,
    other_inputs,
    other_matrix,
    other_program,
    program,
)
from orchestrator.run.kernels import open_kernels
from orchestrator.run.losses import watch_over
from orchestrator.run.matrix import run_matrix
from orchestrator.run.run_history import LAST


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """A run that goes on."""

    kept: KeptPlan
    report: RunReport

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All that the run has."""
        return cells_of(self.kept.request.cells, self.kept.request.shard)

    @property
    def report_in_order(self) -> RunReport:
        """The report with its cells as the matrix has them, and not as they ended."""
        places = {cell.name: place for place, cell in enumerate(self.cells)}
        ordered = sorted(self.report.cells, key=lambda cell: places.get(cell.cell.name, len(places)))
        return replace(self.report, cells=tuple(ordered))

    @property
    def left(self) -> tuple[Cell, ...]:
        """The cells without a verdict; () also where --fail-fast ended the run at a bad one."""
        ended = ended_cells(self.report)
        if self.kept.request.fail_fast and watch_over(ended.values()).bad:
            return ()
        return tuple(cell for cell in self.cells if cell.name not in ended)

    def refuse(self, reasons: Sequence[str]) -> None:
        """Raise UserError if there are reasons why its cells would not be those of one run."""
        if reasons:
            again = shlex.join(self.report.argv)
            raise UserError(
                f"{self.report.id} can't be resumed: {'; '.join(reasons)}",
                hint=f"{again}  # a new run; or put back what has changed, and resume again",
            )


def resume(name: str, output: Output, **how: Any) -> ExitCode:
    """Run what is left of a run; `how`: fields of its request that are others now.

    Raises UserError where it would not be the same run.
    """
    folder = find_run(output.results, name)
    with at_work(folder):
        run = _run_of(folder)
        output = replace(output, junit=output.junit or run.kept.junit, since=_since(run.kept, folder))
        if not run.left and is_reported(run.report):
            console = screen(beside_output=output.as_json)
            report = run.report_in_order
            show_report(report, output)
            say(console, _finished(run))
            show_json(report, output)
            return exit_code(report)
        if not run.left:
            # Everything but the report: nothing is built for that.
            return reported(reopened(run.report, run.cells), output, lambda store, _: _begin(run, store))
        run.refuse([*other_program(run.kept.program, program()), *other_matrix(run.kept)])
        _check_inputs(run, output)
        request = replace(run.kept.request, **how)

        def work(store: Store, listener: Listener) -> None:
            for text in _progress(run):
                listener(Notice(text=text))
            _begin(run, store)
            run_matrix(request, store, listener)

        return reported(reopened(run.report, run.cells), output, work)


def _since(kept: KeptPlan, folder: Path) -> str:
    """What the run is compared with: the runs that were there when it began, also where others have ended meanwhile."""
    return folder.name if kept.since == LAST else kept.since


def _run_of(folder: Path) -> Resumed:
    report, kept = load_run(folder), load_plan_of(folder)
    if kept is None:
        raise UserError(
            f"{report.id} can't be resumed: only what `patchrig run` began can, and it had not begun a cell",
            hint=f"{shlex.join(report.argv)}  # a new run",
        )
    return Resumed(kept=kept, report=report)


def _check_inputs(run: Resumed, output: Output) -> None:
    """Before anything of the run is touched: run_matrix() reads series and source again, and they may be large."""
    if run.kept.inputs is None:
        return
    with (
        terminal(screen(beside_output=output.as_json)) as listener,
        open_kernels(run.kept.request, partial(_without_notices, listener)) as kernels,
    ):
        now = inputs_of(kernels)
    run.refuse(list(other_inputs(run.kept, now)))


def _without_notices(listener: Listener, event: Event) -> None:
    if not isinstance(event, Notice):
        listener(event)


def _finished(run: Resumed) -> str:
    if len(ended_cells(run.report)) < len(run.cells):
        return f"{run.report.id} has finished: --fail-fast ended it at the first bad cell. Nothing was run."
    return f"{run.report.id} has finished: {len(run.cells)} cells. Nothing was run."


def _progress(run: Resumed) -> Iterator[str]:
    yield f"{run.report.id}: {len(run.cells) - len(run.left)} of {len(run.cells)} cells have ended"
    now = versions(sorted({cell.build.arch for cell in run.cells}))
    for name, version in now.items():
        if (before := run.report.versions.get(name, version)) != version:
            yield f"{name} was {before} when the run began, and is {version} now"


def _begin(run: Resumed, store: Store) -> None:
    store.order(run.kept.request.cells)
    # The run may have ended between a cell and the comparison with it.
    store.set_suites(comparisons(store.report().cells))
