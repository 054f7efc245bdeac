# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run` and `patchrig repro`: cells are run, and what came of them is stored and shown."""

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.ci_output import show_in_ci
from orchestrator.cli.fetched_series import keep_threads
from orchestrator.cli.messages import tell
from orchestrator.cli.options import Choice, Output
from orchestrator.cli.request import request_of, versions
from orchestrator.cli.selection import as_run, selection_of
from orchestrator.host.errors import Cancelled, ExitCode, InfraError, UserError
from orchestrator.host.text import json_text
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Cell
from orchestrator.model.events import Listener
from orchestrator.model.history import News
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.subtests import Change
from orchestrator.plan.config import Plan
from orchestrator.plan.delays import parse_delays
from orchestrator.plan.division import shard_of
from orchestrator.report.changed_reach import reach_json
from orchestrator.report.kept_replay import REPLAY_FILE
from orchestrator.report.reached_elsewhere import excused, unproved
from orchestrator.report.store import Store, copy_junit, find_cell, find_run, load_run, open_run
from orchestrator.report.suite_text import suite_json
from orchestrator.report.terminal import print_table, say, screen, terminal
from orchestrator.run.kept_plan import keep_plan, new_plan
from orchestrator.run.kernels import Request
from orchestrator.run.matrix import rerun, run_matrix
from orchestrator.run.run_history import runs_up_to, what_is_new, write_index

Work = Callable[[Store, Any], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """How a cell of an earlier run is run again; None: as it was."""

    repeat: int | None
    until_fail: bool
    seconds: int | None
    seed: int | None
    widen: str | None

    @property
    def times(self) -> int:
        return self.repeat or (1000 if self.until_fail else 1)


def run(matrix: Path | None, choice: Choice, output: Output, *, shard: str, **how: Any) -> ExitCode:
    """`how`: the fields of Request that only this command has options for."""
    part = shard_of(shard) if shard else None
    choice = as_run(matrix, choice)
    request = replace(request_of(matrix, choice), shard=part, **how)
    kept = new_plan(request, selection_of(choice), output.junit, output.since)

    def work(store: Store, listener: Listener) -> None:
        keep_plan(kept, store.folder)
        keep_threads(request.series, store.folder)
        run_matrix(request, store, listener)

    return reported(new_run(request, output.results), output, work)


def repro(name: str, cell: str, again: Again, output: Output, **how: Any) -> ExitCode:
    """Run a cell of an earlier run again; `how` as for run()."""
    old = load_run(find_run(output.results, name))
    found = find_cell(old, cell).cell
    if found.build.arch not in ARCHES:
        raise UserError(f"{old.id} is of an arch that this version does not know: {found.build.arch}")
    base = _changed(found, again)
    cells = tuple(replace(base, repeat=number, repeats=again.times) for number in range(1, again.times + 1))
    plan = Plan(path=Path(old.matrix_path), matrix=old.matrix, workloads=(found.workload,))
    # A cell of a deterministic run stays one, with another seed or load too.
    how["deterministic"] = (old.folder / "cells" / found.name / REPLAY_FILE).exists()
    request = Request(plan=plan, cells=cells, series=(), until_fail=again.until_fail, **how)
    return reported(new_run(request, output.results), output, lambda *to: rerun(old, cells, request, *to))


def _changed(found: Cell, again: Again) -> Cell:
    seed = found.seed if again.seed is None else again.seed
    base = replace(found, seconds=again.seconds or found.seconds, seed=seed)
    if again.widen is None:
        return base
    if found.widening is None:
        raise UserError(f"--widen: {found.name} is not of a widened flavour")
    return replace(base, widening=parse_delays(again.widen, found.widening))


def reported(opened: AbstractContextManager[Store], output: Output, work: Work) -> ExitCode:
    """Run what is to be run, its folder being open, and show what came of it."""
    report, trouble = _stored(opened, output, work)
    show_json(report, output)
    if trouble:
        tell(trouble)
    return exit_code(report)


def run_request(request: Request, output: Output, work: Work) -> RunReport:
    """Run the cells of a request, with a folder of results and the view of the work, for a command with more to do."""
    report, trouble = _stored(new_run(request, output.results), output, work)
    if trouble:
        tell(trouble)
    return report


@contextmanager
def new_run(request: Request, results: Path) -> Iterator[Store]:
    """The folder of a run that is about to begin."""
    with open_run(
        results,
        argv=["patchrig", *sys.argv[1:]],
        matrix_path=str(request.plan.path),
        matrix=request.plan.matrix,
        versions=versions(sorted({cell.build.arch for cell in request.cells})),
    ) as store:
        store.add_choices(request.choices)
        if request.shard:
            store.add_shard(request.shard)
        yield store


def _stored(opened: AbstractContextManager[Store], output: Output, work: Work) -> tuple[RunReport, InfraError | None]:
    """The report of a run, and what went wrong beside a kernel that is bad. Raises InfraError where that is all."""
    # What a script reads goes to standard output, the view of the work beside it.
    console = screen(beside_output=output.as_json)
    before = runs_up_to(output.results, output.since) if output.since else None
    with opened as store:
        trouble: InfraError | None = None
        try:
            with terminal(console) as listener:
                work(store, listener)
        except InfraError as e:
            trouble = e
        finally:
            why = sys.exc_info()[1]
            if before is not None:
                store.set_news(what_is_new(store.report(), before))
            report = store.save(interrupted=isinstance(why, KeyboardInterrupt | Cancelled))
            # After a mistake on the command line there is nothing to show, and no folder is left.
            if report.cells or not isinstance(why, UserError):
                show_report(report, output)
        # A kernel that is bad is so, whatever else this machine did.
        if trouble and not _is_bad(report):
            raise trouble
    refresh_index(output.results, report)
    return report, trouble


def show_report(report: RunReport, output: Output) -> None:
    """What a person reads of a run, and the second JUnit file."""
    console = screen(beside_output=output.as_json)
    print_table(report, console)
    say(console, f"results: {report.folder}")
    if output.junit:
        copy_junit(report.folder, output.junit)
    show_in_ci(report)


def show_json(report: RunReport, output: Output) -> None:
    """What a script reads of a run."""
    if output.as_json:
        click.echo(json_text(_report_json(report), indent=2))


def refresh_index(results: Path, ended: RunReport | None = None) -> None:
    """The page of all runs, which decides on nothing; `ended`: one of them that need not be read."""
    try:
        write_index(results, ended)
    except InfraError as trouble:
        tell(trouble)


def _report_json(report: RunReport) -> dict[str, object]:
    known = excused(report)
    cells = [
        {
            "cell": cell.cell.name,
            "outcome": str(cell.verdict.outcome),
            "title": cell.verdict.title,
            **({"known": known[cell.cell.name]} if cell.cell.name in known else {}),
        }
        for cell in report.cells
    ]
    chosen = {"base": report.choices.base.text, "chosen": list(report.choices.lines())} if report.choices else {}
    return {
        "run": report.id,
        **chosen,
        "folder": str(report.folder),
        "seconds": report.seconds,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "cells": cells,
        "reach": reach_json(report.reach),
        "suites": [suite_json(suite) for suite in report.suites],
    }


def exit_code(report: RunReport) -> ExitCode:
    """1 for a red cell or a worse subtest that is not excused, or where nothing of the series ran; else 3 or 0.

    3 if a cell was lost, or none ended.

    A shard may have no cell at all: what it found out is that nothing was left for it.
    """
    if _is_bad(report) or unproved(report):
        return ExitCode.BAD_KERNEL
    if report.shard and not report.cells and not report.interrupted:
        return ExitCode.OK
    # A run without a single cell that came to its end has found out nothing.
    outcomes = {cell.verdict.outcome for cell in report.cells}
    ended = outcomes & {Outcome.PASSED, Outcome.SUBTESTS_FAILED} or any(map(_is_red, report.cells))
    return ExitCode.OK if ended and Outcome.LOST not in outcomes else ExitCode.INFRA


def _is_bad(report: RunReport) -> bool:
    """Whether a kernel is: a red cell or a worse subtest that is not excused."""
    known, news = excused(report), report.news or News(since="", runs=0)
    worse = (f"{suite.name} {one.path}" for suite in report.suites for one in suite.of(Change.REGRESSED))
    red = (cell.cell.name for cell in report.cells if _is_red(cell))
    return any(name not in known for name in red) or any(name not in news.known_subtests for name in worse)


def _is_red(cell: CellReport) -> bool:
    return not cell.verdict.outcome.good and cell.verdict.outcome is not Outcome.LOST
