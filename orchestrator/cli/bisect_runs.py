# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig bisect` does: a cell of a run is bisected with the kernels that the run asked for."""

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import click

from orchestrator.cli.options import Output
from orchestrator.cli.request import versions
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import json_text
from orchestrator.judge.bisected import BISECTED, posterior_of
from orchestrator.judge.hunted import what_of
from orchestrator.model.arch import ARCHES
from orchestrator.model.bisections import Bisection, BisectTask, Ended
from orchestrator.model.configuration import Variant
from orchestrator.model.reports import CellReport
from orchestrator.report.bisect_files import PREFIX
from orchestrator.report.bisect_text import bisect_json, bisect_text
from orchestrator.report.store import find_cell, find_run, load_run, new_folder
from orchestrator.report.terminal import say, screen, terminal
from orchestrator.run.bisect import BisectLedger, run_bisection
from orchestrator.run.kept_plan import KeptPlan, inputs_of, load_plan_of, other_inputs, programs_of
from orchestrator.run.kernels import Kernels, Request, open_kernels


@dataclass(frozen=True, kw_only=True, slots=True)
class BisectChoice:
    """The options of a bisection."""

    limit: float  # a probability
    budget: int
    jobs: int | None


def bisect_cell(name: str, cell: str, choice: BisectChoice, output: Output) -> ExitCode:
    """Bisect a cell of a run. Raises UserError where there is nothing to bisect."""
    folder = find_run(output.results, name)
    report = load_run(folder)
    found = find_cell(report, cell)
    kept = load_plan_of(folder)
    _check_cell(report.id, found, kept)
    assert kept is not None
    request = _request_of(kept, choice)
    console = screen(beside_output=output.as_json)
    ledger: BisectLedger | None = None
    try:
        with terminal(console) as listener, open_kernels(request, listener) as kernels:
            _check_inputs(report.id, kept, kernels)
            ledger = BisectLedger(_new_bisection(report.id, found, choice, kernels, output), _results_named(output))
            run_bisection(ledger, kernels, found.cell, request, listener)
    finally:
        if ledger is not None:
            _end(ledger, output)
    return ExitCode.OK if ledger.bisection.ended is Ended.FOUND else ExitCode.BAD_KERNEL


def _check_cell(run: str, found: CellReport, kept: KeptPlan | None) -> None:
    cell, outcome = found.cell, found.verdict.outcome
    if outcome not in BISECTED:
        raise UserError(f"{cell.name} of {run} is {outcome}: there is no failure to bisect")
    if cell.build.variant is Variant.BASELINE:
        raise UserError(f"{cell.name} of {run} ran without the series: no patch of it can be at fault")
    if cell.build.arch not in ARCHES:
        raise UserError(f"{run} is of an arch that this version does not know: {cell.build.arch}")
    if kept is None:
        raise UserError(
            f"{run} can't be bisected: only what `patchrig run` began can",
            hint="patchrig bisect RUN CELL  # RUN is the run that built the kernel",
        )
    if programs_of((cell.workload,)) != {cell.workload.name: kept.workloads.get(cell.workload.name)}:
        raise UserError(f"{run} can't be bisected: the program of {cell.workload.name} has changed")


def _request_of(kept: KeptPlan, choice: BisectChoice) -> Request:
    request = kept.request
    return replace(
        request, jobs=choice.jobs or request.jobs, shard=None, fail_fast=False, until_fail=False, in_order=True
    )


def _check_inputs(run: str, kept: KeptPlan, kernels: Kernels) -> None:
    if reasons := list(other_inputs(kept, inputs_of(kernels))):
        raise UserError(f"{run} can't be bisected: {'; '.join(reasons)}")
    number = len(kernels.series.patches)
    if number < 2:
        raise UserError(f"{run} can't be bisected: its series has {number or 'no'} patch{'' if number else 'es'}")


def _new_bisection(run: str, found: CellReport, choice: BisectChoice, kernels: Kernels, output: Output) -> Bisection:
    started = datetime.now(UTC)
    folder = new_folder(output.results, started, prefix=PREFIX)
    cell, verdict = found.cell, found.verdict
    task = BisectTask(
        run=run,
        cell=cell.name,
        outcome=verdict.outcome,
        title=verdict.title,
        what=what_of(found),
        patches=tuple(patch.subject or patch.name for patch in kernels.series.patches),
        limit=choice.limit,
        budget=choice.budget,
    )
    return Bisection(
        id=folder.name,
        folder=folder.resolve(),
        argv=("patchrig", *sys.argv[1:]),
        started=started.isoformat(timespec="seconds"),
        versions=versions([cell.build.arch]),
        task=task,
    )


def _end(ledger: BisectLedger, output: Output) -> None:
    bisection, console = ledger.bisection, screen(beside_output=output.as_json)
    posterior = posterior_of(bisection)
    for line in bisect_text(bisection, posterior, ledger.results).splitlines():
        say(console, line)
    say(console, f"results: {bisection.folder}")
    if output.as_json:
        click.echo(json_text(bisect_json(bisection, posterior), indent=2))


def _results_named(output: Output) -> str:
    """What commands have to say of where the results are; "" for nothing."""
    return "" if output.results.resolve() == paths.RESULTS.resolve() else str(output.results)
