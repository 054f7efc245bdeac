# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig explain`: its options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON, GUESTS_WITHOUT_SANDBOX, IN_RESULTS
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("cell")
@click.option("--all", "everything", is_flag=True, help="Print all that was seen, not only what came last.")
@click.option("--last", type=click.FloatRange(0.001), metavar="SECONDS",
              help="Look only at so many seconds of guest time before the splat.")  # fmt: skip
@click.option("--when", is_flag=True, help="Find from which moment the crash could no longer be avoided.")
@click.option("--trials", type=click.IntRange(1, 10_000), metavar="N",
              help="With --when: run at most N guests (default: 24).")  # fmt: skip
@GUESTS_WITHOUT_SANDBOX
@IN_RESULTS
@AS_JSON
def explain(  # noqa: PLR0913  # click gives each option as an argument
    name: str, cell: str, everything: bool, last: float | None, when: bool, trials: int | None,
    sandbox: bool, results: Path, as_json_text: bool,
) -> ExitCode:  # fmt: skip
    """Show both sides of the race in a red CELL of a --deterministic RUN.

    Replays the cell up to just before its splat and prints who took, put,
    freed and used the objects of the splat: task, CPU, function and line.
    patchrig chooses what it looks at from the splat's stack, the changed
    functions, and the functions that are given the same objects.

    RUN is an id, the start of one, a path, or "latest". CELL is a cell's name,
    its end, or else a part that no other cell has.

    --when runs the cell again and again. Each guest leaves the cell's
    schedule at another moment before the splat; the share of those that crash
    nevertheless is printed. when.txt, when.json and when.svg in the cell's
    folder have the same.

    Exit code 0: the console was the same to the byte up to the splat. 1: it
    was not. 2: the cell can't be replayed, or has no splat. 3: the host
    failed.

    \b
    Examples:
      patchrig explain latest x86_64.swapin
      patchrig explain latest x86_64.swapin --all --json
      patchrig explain latest x86_64.swapin --when --trials 40
    """
    if when and (everything or last is not None):
        raise click.UsageError("--all and --last are for the table of acts, and --when prints another one")
    if trials is not None and not when:
        raise click.UsageError("--trials is for --when")
    if when:
        from orchestrator.cli.when_text import when_cell

        return when_cell(name, cell, results, trials or 24, sandbox=sandbox, as_json_text=as_json_text)
    from orchestrator.cli.explain_text import explain_cell

    return explain_cell(
        name, cell, results, everything=everything, last=last, sandbox=sandbox, as_json_text=as_json_text
    )
