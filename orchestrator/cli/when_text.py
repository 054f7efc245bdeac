# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig explain --when` prints, and keeps in the cell's folder."""

from pathlib import Path

import click

from orchestrator.host.errors import ExitCode
from orchestrator.host.text import json_text
from orchestrator.judge.rates import interval
from orchestrator.report.parted_text import parted_json, parted_lines, parted_svg
from orchestrator.report.run_files import write_whole
from orchestrator.report.store import find_cell, find_run, load_run
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.parting import part
from orchestrator.run.sandboxing import guests_in_sandbox


def when_cell(name: str, cell: str, results: Path, trials: int, *, sandbox: bool, as_json_text: bool) -> ExitCode:
    """Run the trials of a cell, and print what came of them."""
    report = load_run(find_run(results, name))
    found = find_cell(report, cell)
    with terminal(screen(beside_output=True)) as listener:
        parted = part(report, found, trials, listener, sandbox=guests_in_sandbox(sandbox, listener))
    intervals = {moment.before: interval(moment.crashed, moment.trials) for moment in parted.moments}
    lines, said = list(parted_lines(parted, intervals)), json_text(parted_json(parted, intervals), indent=2)
    folder = report.folder / found.folder
    write_whole(folder / "when.txt", "\n".join([*lines, ""]))
    write_whole(folder / "when.json", f"{said}\n")
    write_whole(folder / "when.svg", parted_svg(parted, intervals))
    click.echo(said if as_json_text else "\n".join([*lines, f"plot          {folder / 'when.svg'}"]))
    return ExitCode.OK
