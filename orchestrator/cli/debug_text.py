# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig replay --gdb` prints."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from orchestrator.host.errors import ExitCode
from orchestrator.host.text import printable
from orchestrator.report.store import find_cell, find_run, load_run
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.debugging import Asked, Debugged, debug
from orchestrator.run.sandboxing import guests_in_sandbox


def debug_cell(
    name: str, cell: str, results: Path, places: tuple[str, ...], commands: tuple[str, ...], *, sandbox: bool
) -> ExitCode:
    """Replay a cell with gdb, and say whether its console was the same."""
    report = load_run(find_run(results, name))
    found = find_cell(report, cell)
    asked = Asked(places=places, commands=commands, terminal=sys.stdin.isatty() and sys.stdout.isatty())
    # The picture of the work would be drawn over what gdb prints.
    with terminal(screen(beside_output=True)) as listener:
        in_sandbox = guests_in_sandbox(sandbox, listener)
        done = debug(report, found, asked, listener, sandbox=in_sandbox)
    click.echo("\n".join(debugged_lines(done)))
    return ExitCode.OK if done.stopped is not False and not done.line else ExitCode.BAD_KERNEL


def debugged_lines(done: Debugged) -> Iterator[str]:
    """For a person: what gdb said, then what is to be known of it."""
    yield from (printable(line.replace("\t", " ")) for line in done.output.splitlines())
    if done.stopped is False:
        yield f"not stopped   the guest ended before it came to {' or '.join(done.places)}"
    else:
        yield f"place         {' or '.join(done.places)}"
    if done.passes:
        yield f"passed over   {done.passes}: earlier splats stop there too. At each the other CPUs ran on for a moment,"
        yield "              so what came after it may be another execution"
    if not done.line:
        yield f"console       the same to the byte so far, {done.lines} lines"
        return
    yield f"console       different from line {done.line} on"
    yield f"then          {printable(done.said_before) or '(no such line)'}"
    yield f"now           {printable(done.says_now) or '(no such line)'}"
