# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig sensitivity`: how much the silence of a run is worth."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import AS_JSON, JOBS, JUNIT, MATRIX, RESULTS, Choice, request_of, with_build_choice
from orchestrator.host import paths
from orchestrator.host.errors import Cancelled, ExitCode, UserError
from orchestrator.host.text import json_text
from orchestrator.model.bugs import BugStatus, SeededBug, Sensitivity
from orchestrator.model.configuration import Variant
from orchestrator.report.bugs_report import Ledger, as_json
from orchestrator.report.store import copy_junit, new_folder
from orchestrator.report.terminal import print_sensitivity, say, screen, terminal
from orchestrator.run.kernels import Request
from orchestrator.run.matrix import versions
from orchestrator.run.seeded_bugs import measure, read_bugs

# Without widened windows no workload loses a race within minutes, whichever flavours the matrix runs otherwise.
FLAVOURS = ("widened",)


@click.command()
@click.argument("matrix", type=MATRIX)
@click.option(
    "--bugs",
    type=click.Path(path_type=Path),
    default=paths.KERNELS / "bugs",
    show_default="kernels/bugs/",
    help="A folder of seeded bugs: any patches that apply on top of the series, one bug each.",
)
@click.option("--bug", "ids", multiple=True, metavar="ID", help="Only this bug: its file's name without .patch.")
@click.option(
    "--seconds",
    type=click.IntRange(1),
    help="Load seconds that each bug gets over all its cells; if unset 30, 120 or 300 for a bug that its header "
    "puts into class A, B or C, and 300 for any other.",
)
@with_build_choice
@JOBS
@RESULTS
@JUNIT
@AS_JSON
def sensitivity(  # noqa: PLR0913  # one parameter an option
    matrix: Path,
    bugs: Path,
    ids: tuple[str, ...],
    seconds: int | None,
    jobs: int | None,
    results: Path,
    junit: Path | None,
    as_json_text: bool,
    **choice: Any,
) -> ExitCode:
    """Break the series of MATRIX on purpose, bug by bug, and see which workload notices.

    Each bug is applied on top of the series, built and booted, and the workloads that reach it run, most promising
    first, until one of them fails, crashes, hangs or reads wrong data, or its time is used up. Race windows are widened
    (flavour widened) unless --flavour says otherwise.

    \b
    patchrig sensitivity configs/swapoff.yaml --arch x86_64
    patchrig sensitivity configs/swapoff.yaml --bugs my-bugs/ --seconds 60 --json
    """  # fmt: skip
    flavours = choice.pop("flavour") or FLAVOURS
    whole = Choice(**choice, flavour=flavours, variant=(str(Variant.PATCHED),), seconds=None, repeat=1)
    request = replace(request_of(matrix, whole), jobs=jobs)
    to_try, not_counted = read_bugs(bugs, ids)
    ledger = Ledger(_new_report(request, results, not_counted))
    try:
        with terminal(screen(beside_output=as_json_text)) as listener:
            measure(request, to_try, seconds, ledger, listener)
    finally:
        why = sys.exc_info()[1]
        report = ledger.save(interrupted=isinstance(why, KeyboardInterrupt | Cancelled))
        if isinstance(why, UserError) and not report.bugs:
            # After a mistake on the command line there is nothing to show, and no folder is left.
            shutil.rmtree(report.folder, ignore_errors=True)
        else:
            _show(report, junit, as_json_text=as_json_text)
    return exit_code(report)


def _show(report: Sensitivity, junit: Path | None, *, as_json_text: bool) -> None:
    console = screen(beside_output=as_json_text)
    print_sensitivity(report, console)
    say(console, f"results: {report.folder}")
    if junit:
        copy_junit(report.folder, junit)
    if as_json_text:
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


def exit_code(report: Sensitivity) -> ExitCode:
    """0: every bug was found and the control is green; 3: one was lost or none counts, no more is known; 1: else."""
    statuses = {bug.status for bug in report.bugs if bug.counts}
    red = any(one.attempt.found for one in report.control)
    unknown = any(one.unknown for one in report.control)
    if red or statuses - {BugStatus.FOUND, BugStatus.LOST}:
        return ExitCode.BAD_KERNEL
    return ExitCode.OK if statuses == {BugStatus.FOUND} and not unknown else ExitCode.INFRA
