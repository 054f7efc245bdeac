# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig list` prints."""

from pathlib import Path

import click

from orchestrator.cli.options import Choice
from orchestrator.cli.selection import as_run, chosen_cells
from orchestrator.host.errors import ExitCode
from orchestrator.host.text import json_text, printable
from orchestrator.plan.expansion import as_json, describe


def print_cells(matrix: Path | None, choice: Choice, *, as_json_text: bool) -> ExitCode:
    chosen = chosen_cells(matrix, as_run(matrix, choice))
    cells = chosen.cells
    # Beside the list, which scripts read.
    for text in (*chosen.notices, *(f"left out: {one}" for one in chosen.left_out)):
        click.echo(printable(text), err=True)
    if as_json_text:
        click.echo(json_text([dict(as_json(cell)) for cell in cells], indent=2))
        return ExitCode.OK
    for cell in cells:
        click.echo(printable(describe(cell)))
    return ExitCode.OK
