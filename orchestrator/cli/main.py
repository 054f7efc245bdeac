# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands; the only reader of argv and the only caller of sys.exit."""

import errno
import io
import logging
import os
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from orchestrator.cli import bug_commands as sensitivity
from orchestrator.cli import coverage_commands as coverage
from orchestrator.cli import guest_commands as guest
from orchestrator.cli import host_commands as host
from orchestrator.cli import judge_commands as judge
from orchestrator.cli import series_commands as series_command
from orchestrator.cli.options import (
    AS_JSON,
    DEFAULT_MATRIX,
    DUMP_MEMORY,
    FAIL_FAST,
    JOBS,
    JUNIT,
    MATRIX,
    NO_SANDBOX,
    RESTORE,
    RESULTS,
    Choice,
    request_of,
    with_choice,
)
from orchestrator.host import signals
from orchestrator.host.errors import Cancelled, ExitCode, InfraError, OrchestratorError, UserError, of_this_machine
from orchestrator.host.text import json_text, printable
from orchestrator.model.arch import ARCHES
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.plan.config import Plan
from orchestrator.plan.delays import parse_widening
from orchestrator.plan.expansion import as_json, builds_of, describe
from orchestrator.report.store import Store, copy_junit, find_cell, find_run, load_run, new_folder, open_run
from orchestrator.report.terminal import print_table, say, screen, terminal
from orchestrator.run.kernels import Request, open_kernels
from orchestrator.run.matrix import rerun, run_matrix, versions


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="patchrig")
@click.option("-v", "--verbose", is_flag=True, help="Show every command that is started.")
def cli(verbose: bool) -> None:
    """Does a kernel series break anything, and would we have noticed?

    Builds the kernel with and without the series, boots it under QEMU on x86_64 and arm64, runs workloads that race the
    changed code, and says what broke and what was proved.

    \b
    patchrig run configs/swapoff.yaml                       # the whole matrix
    patchrig run configs/swapoff.yaml --patch series.mbox --tree ~/linux --arch x86_64
    patchrig repro latest x86_64.swapin --until-fail        # one cell of a run, again
    patchrig sensitivity configs/swapoff.yaml               # would it have noticed?

    Shell completion: eval "$(_PATCHRIG_COMPLETE=bash_source patchrig)" (also zsh_source, fish_source).
    """
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, handlers=[log])
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    logging.getLogger("qemu").setLevel(logging.CRITICAL)


@cli.command()
@click.argument("matrix", type=MATRIX)
@with_choice
@JOBS
@FAIL_FAST
@RESULTS
@JUNIT
@DUMP_MEMORY
@RESTORE
@AS_JSON
def run(  # noqa: PLR0913  # click gives each option as an argument
    matrix: Path,
    jobs: int | None,
    fail_fast: bool,
    results: Path,
    junit: Path | None,
    dump_memory: bool,
    restore: bool,
    as_json_text: bool,
    **choice: Any,
) -> ExitCode:
    """Patch, build, boot and judge every cell of MATRIX.

    \b
    patchrig run configs/swapoff.yaml --arch x86_64 --workload swapin --seconds 60 --repeat 5
    """
    request = request_of(matrix, Choice(**choice))
    request = replace(request, jobs=jobs, fail_fast=fail_fast, dump_memory=dump_memory, restore=restore)
    return _reported(
        request, results, junit, as_json_text, lambda store, listener: run_matrix(request, store, listener)
    )


@cli.command("list")
@click.argument("matrix", type=MATRIX)
@with_choice
@AS_JSON
def list_cells(matrix: Path, as_json_text: bool, **choice: Any) -> ExitCode:
    """Show the cells of MATRIX and what each would do.

    \b
    patchrig list configs/swapoff.yaml --json | jq '.[].name'
    """
    request = request_of(matrix, Choice(**choice))
    if as_json_text:
        click.echo(json_text([dict(as_json(cell)) for cell in request.cells], indent=2))
        return ExitCode.OK
    for cell in request.cells:
        click.echo(printable(describe(cell)))
    return ExitCode.OK


@cli.command()
@click.argument("matrix", type=MATRIX, default=DEFAULT_MATRIX)
@with_choice
@RESULTS
@AS_JSON
def build(matrix: Path, results: Path, as_json_text: bool, **choice: Any) -> ExitCode:
    """Build the kernels of MATRIX and print where they are; run nothing.

    \b
    patchrig build configs/swapoff.yaml --arch arm64 --flavour debug
    """
    request = request_of(matrix, Choice(**choice))
    images = []
    with terminal(screen(beside_output=True)) as listener, open_kernels(request, listener) as kernels:
        # Another build of the same may be at work.
        logs = new_folder(results / "builds", datetime.now(UTC))
        for one in builds_of(request.cells):
            folder = logs / one.name
            folder.mkdir()
            images.append(kernels.image(one, log_dir=folder, listener=listener))
    if as_json_text:
        click.echo(json_text([_image_json(image) for image in images], indent=2))
    else:
        for image in images:
            where = f"{image.outcome}: {image.title}" if isinstance(image, BuildFailure) else image.image
            click.echo(printable(f"{image.build.name}  {where}"))
    bad = any(isinstance(image, BuildFailure) for image in images)
    return ExitCode.BAD_KERNEL if bad else ExitCode.OK


def _image_json(image: Any) -> dict[str, object]:
    if isinstance(image, BuildFailure):
        log = str(image.log) if image.log else None
        return {"build": image.build.name, "outcome": str(image.outcome), "title": image.title, "log": log}
    places = {name: str(getattr(image, name)) for name in ("image", "vmlinux", "config", "log")}
    return {"build": image.build.name, "outcome": "built", **places, "hashes": dict(image.hashes)}


@cli.command()
@click.argument("name", metavar="RUN")
@click.argument("cell")
@click.option("--repeat", type=click.IntRange(1), help="Run it so many times; once if not given.")
@click.option("--until-fail", is_flag=True, help="Go on until it fails (at most --repeat times, 1000 if not given).")
@click.option("--seconds", type=click.IntRange(1), help="Load seconds instead of the run's.")
@click.option("--seed", type=click.IntRange(0), help="Seed instead of the cell's.")
@DUMP_MEMORY
@click.option("--widen", metavar="K=V,...", help="Delays of a widened cell instead of the run's: chance=2%,max=30ms.")
@RESTORE
@NO_SANDBOX
@JOBS
@RESULTS
@AS_JSON
def repro(  # noqa: PLR0913  # click gives each option as an argument
    name: str, cell: str, repeat: int | None, until_fail: bool, seconds: int | None, seed: int | None,
    dump_memory: bool, widen: str | None, restore: bool, sandbox: bool,
    jobs: int | None, results: Path, as_json_text: bool,
) -> ExitCode:  # fmt: skip
    """Run a CELL of an earlier RUN again: same kernel, same guest files, same seed, same command line.

    RUN is an id, the start of one, a path, or "latest"; CELL a cell's name, or a part of it that no other cell has.

    \b
    patchrig repro latest x86_64.swapin --until-fail
    """
    old = load_run(find_run(results, name))
    found = find_cell(old, cell).cell
    if found.build.arch not in ARCHES:
        raise UserError(f"{old.id} is of an arch that this version does not know: {found.build.arch}")
    times = repeat or (1000 if until_fail else 1)
    base = replace(found, seconds=seconds or found.seconds, seed=found.seed if seed is None else seed)
    if widen is not None:
        if found.widening is None:
            raise UserError(f"--widen: {found.name} is not of a widened flavour")
        base = replace(base, widening=parse_widening(widen))
    again = tuple(replace(base, repeat=number, repeats=times) for number in range(1, times + 1))
    plan = Plan(path=Path(old.matrix_path), matrix=old.matrix, workloads=(found.workload,))
    request = Request(
        plan=plan, cells=again, series=(), jobs=jobs, until_fail=until_fail, dump_memory=dump_memory, restore=restore,
        sandbox=sandbox,
    )  # fmt: skip
    return _reported(
        request, results, None, as_json_text, lambda store, listener: rerun(old, again, request, store, listener)
    )


def _reported(
    request: Request,
    results: Path,
    junit: Path | None,
    as_json_text: bool,
    work: Callable[[Store, Any], RunReport],
) -> ExitCode:
    # What a script reads goes to standard output, the view of the work beside it.
    console = screen(beside_output=as_json_text)
    arches = {cell.build.arch for cell in request.cells}
    with open_run(
        results,
        argv=["patchrig", *sys.argv[1:]],
        matrix_path=str(request.plan.path),
        matrix=request.plan.matrix,
        versions=versions(sorted(arches)),
    ) as store:
        trouble: InfraError | None = None
        try:
            with terminal(console) as listener:
                work(store, listener)
        except InfraError as e:
            trouble = e
        finally:
            why = sys.exc_info()[1]
            report = store.save(interrupted=isinstance(why, KeyboardInterrupt | Cancelled))
            # After a mistake on the command line there is nothing to show, and no folder is left.
            if report.cells or not isinstance(why, UserError):
                print_table(report, console)
                say(console, f"results: {report.folder}")
                if junit:
                    copy_junit(report.folder, junit)
        # A kernel that is bad is so, whatever else this machine did.
        if trouble and exit_code(report) is not ExitCode.BAD_KERNEL:
            raise trouble
    if as_json_text:
        click.echo(json_text(_report_json(report), indent=2))
    if trouble:
        tell(trouble)
    return exit_code(report)


def _report_json(report: RunReport) -> dict[str, object]:
    cells = [
        {"cell": cell.cell.name, "outcome": str(cell.verdict.outcome), "title": cell.verdict.title}
        for cell in report.cells
    ]
    return {
        "run": report.id,
        "folder": str(report.folder),
        "seconds": report.seconds,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "cells": cells,
    }


def exit_code(report: RunReport) -> ExitCode:
    """0 when all cells passed, 3 when something was lost and nothing worse is known of the kernel, else 1."""
    outcomes = {cell.verdict.outcome for cell in report.cells}
    if any(not outcome.good and outcome is not Outcome.LOST for outcome in outcomes):
        return ExitCode.BAD_KERNEL
    # A run without a single cell that passed has found out nothing.
    return ExitCode.OK if Outcome.PASSED in outcomes and Outcome.LOST not in outcomes else ExitCode.INFRA


for _command in (
    *(sensitivity.sensitivity, series_command.series, judge.judge, coverage.coverage),
    *(guest.boot, guest.shell, host.doctor, host.clean, host.schema),
):
    cli.add_command(_command)


_UMASK = 0o022


def main() -> NoReturn:
    # A title may hold any character, and the user's terminal may have an encoding without it.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signals.install()
    # The user of the sandbox has to read sources and images, whatever our own umask is. Other users of this machine are
    # kept out by the folders around them: the cache's, and that of each run.
    os.umask(_UMASK)
    try:
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.OK)
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except OrchestratorError as e:
        tell(e)
        sys.exit(e.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # `patchrig list ... | head`: nobody reads on, and that is fine.
        sys.stderr.close()
        sys.exit(ExitCode.OK)
    except Exception as e:
        if isinstance(e, OSError) and e.errno == errno.ENAMETOOLONG:
            tell(UserError(str(e)))
            sys.exit(ExitCode.USAGE)
        if isinstance(e, OSError) and e.errno is not None:
            tell(of_this_machine(e))
            sys.exit(ExitCode.INFRA)
        click.echo(printable(traceback.format_exc()), err=True)
        click.echo("patchrig: this is a bug of patchrig's own; nothing was found out about the kernel", err=True)
        sys.exit(ExitCode.BUG)


def tell(error: OrchestratorError) -> None:
    """What is wrong, and what to type next."""
    click.secho(printable(f"patchrig: {error}"), fg="red", err=True)
    if error.hint:
        click.echo(printable(f"  {error.hint}"), err=True)


class _Printable(logging.Formatter):
    """Commands have the names of strangers' files in them."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
