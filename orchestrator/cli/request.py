# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command line asks to be built and run."""

from pathlib import Path

from orchestrator.cli.options import Choice
from orchestrator.cli.selection import chosen_cells
from orchestrator.run.kernels import Request


def request_of(matrix: Path, choice: Choice) -> Request:
    """Load the matrix with the command line's selection. Raises UserError."""
    plan, cells, left_out = chosen_cells(matrix, choice)
    return Request(
        plan=plan,
        cells=cells,
        left_out=left_out,
        series=plan.matrix.series,
        series_version=choice.series_version,
        tree=choice.tree,
        sandbox=choice.sandbox,
    )
