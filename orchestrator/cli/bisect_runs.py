# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig bisect` does: a cell of a run is bisected with the kernels that the run asked for."""

import hashlib
import shlex
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

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
from orchestrator.report.bisect_files import PREFIX, load_bisection
from orchestrator.report.bisect_text import bisect_json, bisect_text
from orchestrator.report.run_files import at_work
from orchestrator.report.store import find_cell, find_run, load_run, new_folder
from orchestrator.report.terminal import say, screen, terminal
from orchestrator.run.bisect import BisectLedger, run_bisection
from orchestrator.run.kept_plan import (
    KeptPlan,
    inputs_of,
    load_plan_of,
    other_inputs,
    other_program,
    program,
    programs_of,
)
from orchestrator.run.kernels import Kernels, Request, open_kernels


@dataclass(frozen=True, kw_only=True, slots=True)
class BisectChoice:
    """The options of a bisection."""

    limit: float  # a probability
    budget: int
    jobs: int | None
    commits: str = ""  # GOOD..BAD; "": the patches of the run's series
    tree: Path | None = None  # of these commits; None: that of the run


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bisected:
    """A cell that is bisected."""

    run: str  # the id of its run
    found: CellReport
    kept: KeptPlan
    commits: str  # "": the patches of the run's series

    def check_inputs(self, kernels: Kernels) -> None:
        """Raise UserError where kernels can't be those of the run, or nothing is to be told apart."""
        # The commits of a range are another source by intention.
        if not self.commits and (reasons := list(other_inputs(self.kept, inputs_of(kernels)))):
            raise UserError(f"{self.run} can't be bisected: {'; '.join(reasons)}")
        number = len(kernels.series.patches)
        if number < 2 and self.commits:
            raise UserError(f"{self.commits} has one commit that changes a file", hint=f"git log {self.commits}")
        if number < 2:
            raise UserError(
                f"{self.run} can't be bisected: its series has {number or 'no'} patch{'' if number else 'es'}"
            )


def bisect_cell(name: str, cell: str, choice: BisectChoice, output: Output) -> ExitCode:
    """Bisect a cell of a run. Raises UserError where there is nothing to bisect."""
    bisected = _bisected(name, cell, choice.commits, output)
    request = _request_of(bisected.kept, choice)
    with ExitStack() as ended, terminal(screen(beside_output=output.as_json)) as listener:
        kernels = ended.enter_context(open_kernels(request, listener))
        bisected.check_inputs(kernels)
        ledger = BisectLedger(_new_bisection(bisected, choice, kernels, output), _results_named(output))
        ended.enter_context(at_work(ledger.bisection.folder))
        # When the live view is over, and however the bisection ends.
        ended.callback(_end, ledger, output)
        run_bisection(ledger, kernels, bisected.found.cell, request, listener)
    return _code(ledger)


def go_on(name: str, budget: int | None, jobs: int | None, output: Output) -> ExitCode:
    """Go on with a bisection that was stopped, with all that its cells told. Raises UserError."""
    bisection = load_bisection(output.results, name)
    task = bisection.task
    with at_work(bisection.folder):
        ledger = BisectLedger(bisection, _results_named(output))
        if bisection.ended is Ended.FOUND:
            _end(ledger, output)
            return ExitCode.OK
        if reasons := list(other_program(bisection.program, program())):
            raise UserError(f"{bisection.id} can't go on: {'; '.join(reasons)}", hint=shlex.join(bisection.argv))
        bisected = _bisected(task.run, task.cell, task.commits, output)
        tree = Path(task.tree) if task.tree else None
        choice = BisectChoice(limit=task.limit, budget=task.budget, jobs=jobs, commits=task.commits, tree=tree)
        request = _request_of(bisected.kept, choice)
        with ExitStack() as ended, terminal(screen(beside_output=output.as_json)) as listener:
            kernels = ended.enter_context(open_kernels(request, listener))
            bisected.check_inputs(kernels)
            if _inputs_digest(kernels) != task.inputs:
                raise UserError(f"{bisection.id} can't go on: {task.whole} or its source has changed since it began")
            ledger.bisection = replace(bisection, task=replace(task, budget=budget or task.budget), ended=None, why="")
            ended.callback(_end, ledger, output)
            run_bisection(ledger, kernels, bisected.found.cell, request, listener)
    return _code(ledger)


def _code(ledger: BisectLedger) -> ExitCode:
    return ExitCode.OK if ledger.bisection.ended is Ended.FOUND else ExitCode.BAD_KERNEL


def _bisected(name: str, cell: str, commits: str, output: Output) -> _Bisected:
    folder = find_run(output.results, name)
    report = load_run(folder)
    found, kept = find_cell(report, cell), load_plan_of(folder)
    _check_cell(report.id, found, kept, commits)
    assert kept is not None
    return _Bisected(run=report.id, found=found, kept=kept, commits=commits)


def _check_cell(run: str, found: CellReport, kept: KeptPlan | None, commits: str) -> None:
    cell, outcome = found.cell, found.verdict.outcome
    if outcome not in BISECTED:
        raise UserError(f"{cell.name} of {run} is {outcome}: there is no failure to bisect")
    baseline = cell.build.variant is Variant.BASELINE
    if commits and ".." not in commits:
        raise UserError(f"--range {commits}: must be like GOOD..BAD", hint="git log GOOD..BAD")
    if commits and not baseline:
        raise UserError(
            f"{cell.name} of {run} ran with a series: --range is for a cell without one",
            hint=f"patchrig bisect {run} {cell.name}  # looks among the patches of the series",
        )
    if baseline and not commits:
        raise UserError(
            f"{cell.name} of {run} ran without the series: no patch of it can be at fault",
            hint=f"patchrig bisect {run} {cell.name} --range GOOD..BAD --tree DIR  # which commit is it?",
        )
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
    if choice.commits:
        # As a series, whose patches are the commits and whose base is the first of them.
        tree = choice.tree or request.tree
        request = replace(request, series=(Path(choice.commits),), series_version="", tree=tree, revision="")
    return replace(
        request, jobs=choice.jobs or request.jobs, shard=None, fail_fast=False, until_fail=False, in_order=True
    )


def _inputs_digest(kernels: Kernels) -> str:
    return hashlib.sha256(f"{kernels.series.sha256} {kernels.source.sha256}".encode()).hexdigest()


def _new_bisection(bisected: _Bisected, choice: BisectChoice, kernels: Kernels, output: Output) -> Bisection:
    started = datetime.now(UTC)
    folder = new_folder(output.results, started, prefix=PREFIX)
    cell, verdict = bisected.found.cell, bisected.found.verdict
    tree = choice.tree or bisected.kept.request.tree
    task = BisectTask(
        run=bisected.run,
        cell=cell.name,
        outcome=verdict.outcome,
        title=verdict.title,
        what=what_of(bisected.found),
        patches=tuple(
            " ".join([*filter(None, [patch.commit[:12]]), patch.subject or patch.name])
            for patch in kernels.series.patches
        ),
        limit=choice.limit,
        budget=choice.budget,
        commits=choice.commits,
        tree=str(tree.absolute()) if tree and choice.commits else "",
        inputs=_inputs_digest(kernels),
    )
    return Bisection(
        id=folder.name,
        folder=folder.resolve(),
        argv=("patchrig", *sys.argv[1:]),
        started=started.isoformat(timespec="seconds"),
        versions=versions([cell.build.arch]),
        program=program(),
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
