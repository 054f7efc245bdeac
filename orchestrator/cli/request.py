# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command line asks to be built and run, and where: the versions of what does it."""

import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from orchestrator.cli.options import Choice
from orchestrator.cli.selection import chosen_cells
from orchestrator.model.arch import ARCHES
from orchestrator.run.kernels import Request
from orchestrator.vm.accelerator import qemu_version


def request_of(matrix: Path, choice: Choice) -> Request:
    """Load the matrix with the command line's selection. Raises UserError."""
    plan, cells = chosen_cells(matrix, choice)
    return Request(
        plan=plan,
        cells=cells,
        series=plan.matrix.series,
        series_version=choice.series_version,
        tree=choice.tree,
        sandbox=choice.sandbox,
    )


def versions(arches: Iterable[str]) -> dict[str, str]:
    """What a report says of this machine."""
    known = {"patchrig": version("patchrig"), "python": platform.python_version(), "host": platform.release()}
    return known | {f"qemu {name}": qemu_version(ARCHES[name]) for name in arches}
