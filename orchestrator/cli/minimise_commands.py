# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig minimise`: its options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON, GUESTS_WITHOUT_SANDBOX, IN_RESULTS
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("cell")
@click.option("--trials", type=click.IntRange(1, 10_000), default=60, show_default=True,
              help="Run at most so many cells.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1, 100), default=2, show_default=True,
              help="Schedules that are tried for each smaller cell.")  # fmt: skip
@GUESTS_WITHOUT_SANDBOX
@IN_RESULTS
@AS_JSON
def minimise(  # noqa: PLR0913  # click gives each option as an argument
    name: str, cell: str, trials: int, seeds: int, sandbox: bool, results: Path, as_json_text: bool
) -> ExitCode:  # fmt: skip
    """Take parts of a red CELL of a --deterministic RUN away, one by one.

    patchrig tries less of each: seconds, threads, numbers of the workload, swap
    devices, settings, delays, CPUs. The smaller value stays if a cell with it
    shows the same finding. Each trial is a deterministic cell of a run in the
    folder RUN/minimised/CELL; the smallest of them is printed.

    RUN is an id, the start of one, a path, or "latest". CELL is a cell's name,
    its end, or else a part that no other cell has.

    Exit code 0: the finding showed again. 1: it did not, with the cell as it
    was. 2: the cell can't be minimised. 3: the host failed.

    \b
    Examples:
      patchrig minimise latest x86_64.swapin
      patchrig minimise latest x86_64.swapin --trials 200 --seeds 5
    """
    from orchestrator.cli.minimise_text import minimise_cell
    from orchestrator.run.minimising import TrialBudget

    budget = TrialBudget(trials=trials, seeds=seeds)
    return minimise_cell(name, cell, results, budget, sandbox=sandbox, as_json_text=as_json_text)
