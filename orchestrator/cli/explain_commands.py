# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig explain`: its options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON, IN_RESULTS, NO_SANDBOX
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("cell")
@click.option("--all", "everything", is_flag=True, help="Print all that was seen, not only what came last.")
@NO_SANDBOX
@IN_RESULTS
@AS_JSON
def explain(name: str, cell: str, everything: bool, sandbox: bool, results: Path, as_json_text: bool) -> ExitCode:
    """Show both sides of the race in a red CELL of a --deterministic RUN.

    Replays the cell up to just before its splat and prints who took, put,
    freed and used the objects of the splat: task, CPU, function and line.
    patchrig chooses what it looks at from the splat's stack, the changed
    functions, and the functions that are given the same objects.

    Exit code 0: the console was the same to the byte up to the splat. 1: it
    was not. 2: the cell can't be replayed, or has no splat. 3: the host
    failed.

    \b
    Examples:
      patchrig explain latest x86_64.swapin
      patchrig explain latest x86_64.swapin --all --json
    """
    from orchestrator.cli.explain_text import explain_cell

    return explain_cell(name, cell, results, everything=everything, sandbox=sandbox, as_json_text=as_json_text)
