# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig sensitivity`: its options."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import (
    AGAIN,
    AS_JSON,
    DETERMINISTIC,
    JOBS,
    JUNIT,
    MATRIX,
    REFUSED_SUITE,
    RESULTS,
    Output,
    with_build_choice,
)
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("matrix", type=MATRIX)
@click.option(
    "--bugs",
    type=click.Path(path_type=Path),
    default=paths.KERNELS / "bugs",
    show_default="kernels/bugs/",
    help="A folder of seeded bugs: patches that apply on top of the series, one bug each.",
)
@click.option(
    "--bug", "ids", multiple=True, metavar="ID", help=f"Only this bug: its file's name without .patch. {AGAIN}"
)
@click.option(
    "--seconds",
    type=click.IntRange(1),
    help="Load seconds that each bug gets over all its cells (default: 30, 120 or 300 for a bug whose header puts it "
    "into class A, B or C, and 300 for any other).",
)
@with_build_choice(suite=REFUSED_SUITE)
@JOBS
@RESULTS
@JUNIT
@DETERMINISTIC
@AS_JSON
def sensitivity(  # noqa: PLR0913  # one parameter an option
    matrix: Path,
    bugs: Path,
    ids: tuple[str, ...],
    seconds: int | None,
    jobs: int | None,
    results: Path,
    junit: Path | None,
    deterministic: bool,
    as_json_text: bool,
    **choice: Any,
) -> ExitCode:
    """Break the series on purpose and see which workload notices.

    Each bug is applied on top of the series of MATRIX, built and booted. The
    workloads that reach it run, the most promising first, until one of them
    fails, crashes, hangs or reads wrong data, or the bug's time is up. The
    flavour is widened unless --flavour says otherwise.

    Exit code 0: every bug was found, and the control (the kernel without a bug)
    passed. 1: the control failed, or a bug was tried and not found, or was not
    tried, or does not apply or build. 2: the command line or a file is wrong.
    3: a bug or a workload of the control was lost, or no bug is left to count.
    130: you interrupted it.

    \b
    Examples:
      patchrig sensitivity swapoff --arch x86_64
      patchrig sensitivity swapoff --bugs my-bugs/ --seconds 60 --json
    """
    from orchestrator.cli.bug_runs import BugChoice, run_bugs

    output = Output(results=results, junit=junit, as_json=as_json_text)
    asked = BugChoice(folder=bugs, ids=ids, seconds=seconds, jobs=jobs, deterministic=deterministic)
    return run_bugs(matrix, asked, output, choice)
