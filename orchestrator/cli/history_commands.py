# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig history`: its options."""

from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON, IN_RESULTS
from orchestrator.host.errors import ExitCode


@click.command()
@IN_RESULTS
@AS_JSON
def history(results: Path, as_json_text: bool) -> ExitCode:
    """Show what became of each cell over all runs.

    The state of a cell is "new" (its failure is new), "still bad", "flaky",
    "never exercised", "fixed", "good" or "not observed" (it was only lost,
    skipped or not built). Each splat has the runs that saw it first and last.
    The command also writes index.html in the results folder, as each run does.

    \b
    Examples:
      patchrig history
      patchrig history --json | jq '.cells[] | select(.state == "new")'
    """
    from orchestrator.cli.history_listing import print_history

    return print_history(results, as_json_text=as_json_text)
