# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig history` prints."""

from pathlib import Path

import click

from orchestrator.cli.messages import tell
from orchestrator.host.errors import ExitCode, InfraError, UserError
from orchestrator.host.text import json_text, printable
from orchestrator.report.history.history_text import history_json, history_lines
from orchestrator.report.history.index_page import INDEX_FILE
from orchestrator.run.run_history import read_history, write_index


def print_history(results: Path, *, as_json_text: bool) -> ExitCode:
    """Raises UserError where there is no run."""
    if not results.is_dir():
        raise UserError(f"{results} is no folder of runs", hint="patchrig run")
    try:
        history = write_index(results)
    except InfraError as trouble:
        # A folder that can only be read has its history, too.
        tell(trouble)
        history = read_history(results)
    if not history.runs:
        raise UserError(f"there is no run in {results}", hint="patchrig run")
    if as_json_text:
        click.echo(json_text(history_json(history), indent=2))
        return ExitCode.OK
    for line in history_lines(history):
        click.echo(printable(line))
    click.echo(printable(f"page: {results / INDEX_FILE}"))
    return ExitCode.OK
