# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig bisect`: its options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON, IN_RESULTS, JOBS, Output
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("cell", metavar="CELL")
@click.option("--limit", type=click.FloatRange(50, 99.99), default=95.0, show_default=True, metavar="PERCENT",
              help="A patch is found when it is so likely.")  # fmt: skip
@click.option("--budget", type=click.IntRange(2), default=1000, show_default=True, metavar="CELLS",
              help="End after so many cells.")  # fmt: skip
@JOBS
@IN_RESULTS
@AS_JSON
def bisect(  # noqa: PLR0913  # click gives each option as an argument
    name: str, cell: str, limit: float, budget: int, jobs: int | None, results: Path, as_json_text: bool
) -> ExitCode:
    """Find the patch of a series that a failure comes with.

    Runs CELL of an earlier RUN again and again, each time with another seed, on
    kernels with the first patches of the series: the failure may show in one
    cell of twenty. After each batch, patchrig computes how likely the failure
    comes with each patch, and which kernel tells most. Then the patch that was
    found is reverted on top of the series: the failure must be gone.

    Only the same outcome with the same title counts. Lost cells, cells that
    were not exercised, kernels that do not build and other failures tell
    nothing. RUN is an id, the start of one, a path, or "latest".

    Exit code 0: a patch was found. 1: none was. 2: the command line is wrong,
    or there is nothing to bisect. 3: the host failed.

    \b
    Examples:
      patchrig bisect latest x86_64.swapin
      patchrig bisect latest x86_64.swapin --jobs 4 --budget 400
    """
    from orchestrator.cli.bisect_runs import BisectChoice, bisect_cell

    choice = BisectChoice(limit=limit / 100, budget=budget, jobs=jobs)
    return bisect_cell(name, cell, choice, Output(results=results, junit=None, as_json=as_json_text))
