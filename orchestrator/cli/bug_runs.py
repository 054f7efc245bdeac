# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig sensitivity` does: how much the silence of a run is worth."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import Choice, Output
from orchestrator.cli.request import request_of, versions
from orchestrator.cli.trial_runs import refuse_suites, run_shown, tell_trouble
from orchestrator.host.errors import ExitCode
from orchestrator.host.text import json_text
from orchestrator.kernel.series.bug_patches import read_bugs
from orchestrator.model.bugs import BugStatus, SeededBug, Sensitivity
from orchestrator.model.configuration import Variant
from orchestrator.report.bugs_report import Ledger, as_json
from orchestrator.report.store import copy_junit, new_folder
from orchestrator.report.terminal import print_sensitivity, say, screen
from orchestrator.run.kernels import Request
from orchestrator.run.seeded_bugs import measure

# Without widened windows no workload loses a race within minutes, whichever flavours the matrix runs otherwise.
FLAVOURS = ("widened",)


@dataclass(frozen=True, kw_only=True, slots=True)
class BugChoice:
    """Which seeded bugs are tried, and how."""

    folder: Path
    ids: tuple[str, ...]
    seconds: int | None
    jobs: int | None
    deterministic: bool = False


def run_bugs(matrix: Path, bugs: BugChoice, output: Output, choice: Mapping[str, Any]) -> ExitCode:
    """`choice`: the fields of Choice that this command has options for."""
    flavours = choice["flavour"] or FLAVOURS
    patched = (str(Variant.PATCHED),)
    chosen = {**choice, "flavour": flavours, "variant": patched, "seconds": None, "repeat": 1}
    whole = Choice(**chosen, deterministic=bugs.deterministic)
    request = replace(request_of(matrix, whole), jobs=bugs.jobs)
    refuse_suites(request, "each seeded bug")
    to_try, not_counted = read_bugs(bugs.folder, bugs.ids)
    ledger = Ledger(_new_report(request, output.results, not_counted))
    report, trouble = run_shown(
        ledger,
        lambda listener: measure(request, to_try, bugs.seconds, ledger, listener),
        lambda report: _show(report, output),
        beside_output=output.as_json,
    )
    tell_trouble(trouble, missed=is_missed(report))
    return exit_code(report)


def _show(report: Sensitivity, output: Output) -> None:
    console = screen(beside_output=output.as_json)
    print_sensitivity(report, console)
    say(console, f"results: {report.folder}")
    if output.junit:
        copy_junit(report.folder, output.junit)
    if output.as_json:
        click.echo(json_text(as_json(report), indent=2))


def _new_report(request: Request, results: Path, not_counted: Sequence[SeededBug]) -> Sensitivity:
    started = datetime.now(UTC)
    folder = new_folder(results, started, prefix="sensitivity-")
    return Sensitivity(
        id=folder.name,
        folder=folder,
        argv=("patchrig", *sys.argv[1:]),
        matrix_path=str(request.plan.path),
        started=started.isoformat(timespec="seconds"),
        versions=versions(sorted({cell.build.arch for cell in request.cells})),
        not_counted=tuple(not_counted),
    )


def is_missed(report: Sensitivity) -> bool:
    """Whether a bug was tried and not found, or the kernel without any bug is red."""
    statuses = {bug.status for bug in report.bugs if bug.counts}
    open_or_found = {BugStatus.FOUND, BugStatus.LOST, BugStatus.UNTRIED}
    return bool(statuses - open_or_found) or any(one.attempt.found for one in report.control)


def exit_code(report: Sensitivity) -> ExitCode:
    """0: every bug was found and the control is green; 3: one was lost or none counts, no more is known; 1: else."""
    statuses = {bug.status for bug in report.bugs if bug.counts}
    unknown = any(one.unknown for one in report.control)
    if is_missed(report) or BugStatus.UNTRIED in statuses:
        return ExitCode.BAD_KERNEL
    return ExitCode.OK if statuses == {BugStatus.FOUND} and not unknown else ExitCode.INFRA
