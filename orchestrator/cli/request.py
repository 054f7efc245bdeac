# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command line asks to be built and run."""

from pathlib import Path

from orchestrator.cli.options import Choice
from orchestrator.cli.selection import chosen_cells
from orchestrator.run.kernels import Request


def request_of(matrix: Path | None, choice: Choice) -> Request:
    """The matrix with the command line's selection; None: see chosen_cells(). Raises UserError."""
    chosen = chosen_cells(matrix, choice)
    return Request(
        plan=chosen.plan,
        cells=chosen.cells,
        series=chosen.plan.matrix.series,
        series_version=choice.series_version,
        tree=choice.tree,
        revision=chosen.revision,
        choices=chosen.choices,
        sandbox=choice.sandbox,
    )
