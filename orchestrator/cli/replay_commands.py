# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig replay`: its options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON, IN_RESULTS, NO_SANDBOX
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("cell")
@NO_SANDBOX
@IN_RESULTS
@AS_JSON
def replay(name: str, cell: str, sandbox: bool, results: Path, as_json_text: bool) -> ExitCode:
    """Run a CELL of a --deterministic RUN again and compare the consoles.

    Same QEMU, image, initramfs and seed: then all that the guest does is the
    same, each race too. RUN is an id, the start of one, a path, or "latest";
    CELL is a cell's name, or an end or a part of it that no other cell has.

    Exit code 0: the consoles are the same to the byte. 1: they differ; the
    first difference and what it comes from are printed. 2: the cell can't be
    replayed. 3: the host failed.

    \b
    Examples:
      patchrig run swapoff --deterministic --arch x86_64 --workload swapin
      patchrig replay latest x86_64.swapin
    """
    from orchestrator.cli.replay_text import replay_cell

    return replay_cell(name, cell, results, sandbox=sandbox, as_json_text=as_json_text)
