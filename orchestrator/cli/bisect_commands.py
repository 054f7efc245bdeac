# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig bisect`: its options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON, IN_RESULTS, JOBS, Output
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="RUN", required=False)
@click.argument("cell", metavar="CELL", required=False)
@click.option("--range", "commits", metavar="GOOD..BAD", default="",
              help="Bisect these commits of --tree instead of the patches of the run's series.")  # fmt: skip
@click.option("--tree", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="The git checkout that the range is of (default: the run's).")  # fmt: skip
@click.option("--resume", metavar="BISECTION",
              help='Go on with a bisection: an id, the start of one, a path, or "latest". No cell runs twice.'
              )  # fmt: skip
@click.option("--limit", type=click.FloatRange(50, 99.99), metavar="PERCENT",
              help="A patch is found when it is so likely (default: 95).")  # fmt: skip
@click.option("--budget", type=click.IntRange(2), metavar="CELLS",
              help="End after so many cells (default: 1000).")  # fmt: skip
@JOBS
@IN_RESULTS
@AS_JSON
def bisect(  # noqa: PLR0913  # click gives each option as an argument
    name: str | None, cell: str | None, commits: str, tree: Path | None, resume: str | None, limit: float | None,
    budget: int | None, jobs: int | None, results: Path, as_json_text: bool,
) -> ExitCode:  # fmt: skip
    """Find the patch of a series, or the commit of a range, that a failure comes with.

    Runs CELL of an earlier RUN again and again, each time with another seed, on
    kernels with the first patches of the series: the failure may show in one
    cell of twenty. After each batch, patchrig computes how likely the failure
    comes with each patch, and which kernel tells most. Then the patch that was
    found is reverted on top of the series: the failure must be gone.

    Only the same outcome with the same title counts. Lost cells, cells that
    were not exercised, kernels that do not build and other failures tell
    nothing. RUN is an id, the start of one, a path, or "latest". CELL is a
    cell's name, its end, or else a part that no other cell has.

    With --range, CELL is one without a series, and the kernels are those of the
    commits from GOOD to BAD.

    Exit code 0: a patch was found. 1: none was. 2: the command line is wrong,
    or there is nothing to bisect. 3: the host failed.

    \b
    Examples:
      patchrig bisect latest x86_64.swapin
      patchrig bisect latest x86_64.swapin --jobs 4 --budget 400
      patchrig bisect latest x86_64.swapin --range v6.19..HEAD --tree ~/linux
      patchrig bisect --resume latest
    """
    from orchestrator.cli.bisect_runs import BisectChoice, bisect_cell, go_on

    output = Output(results=results, junit=None, as_json=as_json_text)
    if resume is not None:
        if name or commits or tree or limit:
            raise click.UsageError("--resume: all but --budget and --jobs was decided when it began")
        return go_on(resume, budget, jobs, output)
    if not name or not cell:
        raise click.UsageError("which cell of which run? patchrig bisect RUN CELL; or --resume BISECTION")
    if tree and not commits:
        raise click.UsageError("--tree: which commits of it? --range GOOD..BAD")
    choice = BisectChoice(limit=(limit or 95.0) / 100, budget=budget or 1000, jobs=jobs, commits=commits, tree=tree)
    return bisect_cell(name, cell, choice, output)
