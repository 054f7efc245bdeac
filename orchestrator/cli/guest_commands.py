# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig boot` and `patchrig shell`: their options."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import MATRIX, Choice, with_choice
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("matrix", type=MATRIX, required=False)
@with_choice(seconds=None, repeat=None, seed=None, widen=None)
def boot(matrix: Path | None, **choice: Any) -> ExitCode:
    """Boot the first kernel that `patchrig run` would test, to a prompt here.

    The swap devices of its first cell are attached. Ctrl-A X ends QEMU. Without
    MATRIX: what `patchrig run` would choose for --patch, --tree or --kernel;
    else swapoff.

    \b
    Example:
      patchrig boot swapoff --arch arm64 --flavour debug
    """
    from orchestrator.cli.single_guest import boot_to_prompt

    return boot_to_prompt(matrix, Choice(**choice, seconds=None, repeat=None, seed=None, widen=None))


@click.command()
@click.argument("cell")
@click.option("--matrix", type=MATRIX,
              help="The matrix that has the cell (default: as for `patchrig run`).")  # fmt: skip
@with_choice(
    seconds=click.option("--seconds", type=click.IntRange(1), help="Load seconds in the command that is printed."),
    repeat=click.option(
        "--repeat", type=click.IntRange(1), help="The run's --repeat: CELL may then be one of the repeats."
    ),
)
def shell(cell: str, matrix: Path | None, **choice: Any) -> ExitCode:
    """Boot the guest of a CELL and open an SSH session in it.

    CELL is a cell's name, its end, or else a part that no other cell has. Its
    workload starts when you type its command, which is printed. The guest ends
    with the session. For the guest of an earlier run's cell, give the options
    of that run: --flavour, --patch, --tree, --kernel.

    \b
    Example:
      patchrig shell patched.plain.x86_64.swapin
    """
    from orchestrator.cli.single_guest import open_shell

    return open_shell(cell, matrix, Choice(**choice))
