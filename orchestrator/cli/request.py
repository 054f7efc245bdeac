# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command line asks to be built and run, and where: the versions of what does it."""

import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from orchestrator.cli.options import Choice
from orchestrator.cli.selection import ChosenCells, chosen_cells
from orchestrator.model.arch import ARCHES
from orchestrator.run.kernels import Lookups, Request
from orchestrator.vm.accelerator import qemu_version


def request_of(matrix: Path | None, choice: Choice) -> Request:
    """The matrix with the command line's selection; None: see chosen_cells(). Raises UserError."""
    return request_for(chosen_cells(matrix, choice), choice)


def request_for(chosen: ChosenCells, choice: Choice) -> Request:
    """The cells that were chosen, with what else the command line says."""
    return Request(
        plan=chosen.plan,
        cells=chosen.cells,
        left_out=chosen.left_out,
        series=chosen.plan.matrix.series,
        series_version=choice.series_version,
        tree=choice.tree,
        revision=chosen.revision,
        choices=chosen.choices,
        lookups=chosen.lookups or Lookups(),
        sandbox=choice.sandbox,
        deterministic=choice.deterministic,
    )


def versions(arches: Iterable[str]) -> dict[str, str]:
    """What a report says of this machine."""
    known = {"patchrig": version("patchrig"), "python": platform.python_version(), "host": platform.release()}
    return known | {f"qemu {name}": qemu_version(ARCHES[name]) for name in arches}
