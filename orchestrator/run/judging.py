# SPDX-License-Identifier: GPL-2.0-or-later
"""What was observed of a cell -> its report: crashes with their source, and the verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from orchestrator.host.deadline import now
from orchestrator.judge.races import weighed
from orchestrator.judge.upstream_bugs import annotated
from orchestrator.judge.verdict import judge
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Allowed, Results
from orchestrator.model.crashes import Crash
from orchestrator.model.guests import Ending, Observation
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Verdict
from orchestrator.model.phases import Phase
from orchestrator.model.reports import CellReport
from orchestrator.report.kept_replay import load_replay
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable
from orchestrator.run.cell import Observed
from orchestrator.run.crash_source import explained_tasks
from orchestrator.run.endings import End, guarded, lost
from orchestrator.run.progress_watch import crashes_of, shown_tasks_of
from orchestrator.run.proof import with_proof
from orchestrator.run.suite_results import suite_result


def judge_cell(cell: Cell, observed: Observed, bootable: Bootable) -> CellReport:
    """The report of a cell whose guest has ended. Our own trouble does not raise: it makes the cell lost."""
    observed.stopwatch.begin(Phase.JUDGE)
    judged = guarded(lambda: _judged(cell, observed, bootable), observed.folder)
    if isinstance(judged, End):
        judged = _report(cell, Observation(**asdict(judged)))
    return replace(
        judged,
        seconds=now() - observed.started,
        kernel={"release": bootable.kernel.release, **bootable.kernel.hashes},
        folder=observed.folder.name,
        spans=observed.stopwatch.stop(),
    )


def _judged(cell: Cell, observed: Observed, bootable: Bootable) -> CellReport:
    run, console_log = observed.observation, observed.folder / "console.log"
    if cell.workload.results is Results.KTAP:
        log = observed.folder / "workload.log"
        printed = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        run = replace(run, suite=suite_result(run, printed, bootable.ktap))
    # The kernel's own stacks of the tasks that hang have more than those of /proc.
    stuck = explained_tasks(shown_tasks_of(run, console_log), bootable.explainer)
    crashes = crashes_of(console_log)
    if bootable.explainer:
        crashes = bootable.explainer.explained(crashes)
    run = with_proof(replace(run, stuck=stuck), cell.workload, bootable.located, bootable.kernel.coverage)
    report = _report(cell, run, weighed(crashes, cell.build.variant), bootable.guests.allow)
    noted = annotated(report.verdict, release=bootable.kernel.release, workload=cell.workload.name)
    record = load_replay(observed.folder)
    return replace(report, verdict=noted, key=record.key if record else "")


def _report(cell: Cell, run: Observation, crashes: Iterable[Crash] = (), allow: tuple[Allowed, ...] = ()) -> CellReport:
    verdict, marked = judge(cell, run, crashes, allow)
    return CellReport(cell=cell, verdict=verdict, run=run, crashes=marked)


def lost_report(cell: Cell, error: Exception, folder: Path) -> CellReport:
    """The report of a cell of which nothing but its error is known."""
    return _report(cell, Observation(**asdict(lost(error, folder))))


def interrupted_report(cell: Cell, why: str) -> CellReport:
    """A cell that was never started, because the run was ended first."""
    return _report(cell, Observation(ending=Ending.INTERRUPTED, detail=why))


def unbuilt_report(cell: Cell, failure: BuildFailure) -> CellReport:
    """A cell whose kernel the series or the configuration keeps from being built."""
    verdict = Verdict(outcome=failure.outcome, title=failure.title, reasons=(failure.detail,))
    return CellReport(cell=cell, verdict=verdict, run=None)


def record(reports: Sequence[CellReport], store: Store) -> Sequence[CellReport]:
    """Record reports; one that can't be written as it is, for what is in it, is recorded as lost."""
    try:
        store.add_cells(reports)
    except (ValueError, TypeError, RecursionError) as e:
        if len(reports) > 1:
            return [one for report in reports for one in record([report], store)]
        reports = [lost_report(reports[0].cell, e, store.cell_folder(reports[0].cell))]
        store.add_cells(reports)
    return reports
