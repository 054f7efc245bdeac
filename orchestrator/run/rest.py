# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a run is to be run now, and in which order: all of its cells, those of a shard, or what is left of them."""

from collections.abc import Mapping

from orchestrator.model.cells import Build, Cell
from orchestrator.model.reach import ChangedReach
from orchestrator.plan.division import cells_of
from orchestrator.report.earlier import read_earlier
from orchestrator.report.store import Store
from orchestrator.run.kernels import Request
from orchestrator.run.order import Schedule, as_given, edited_files, ranks, scheduled


def cells_left(request: Request, store: Store) -> tuple[Cell, ...]:
    """The cells of the request's shard that the store has no report of."""
    ended = {report.cell.name for report in store.report().cells}
    return tuple(cell for cell in cells_of(request.cells, request.shard) if cell.name not in ended)


def rest_of_run(
    request: Request, series: Mapping[str, str], store: Store, reach: ChangedReach | None
) -> Schedule[Build, Cell]:
    """The order in which things are begun, by what earlier runs of the matrix and reach maps tell.

    `series`: what it does to each file.
    """
    left = cells_left(request, store)
    if request.in_order:
        return as_given(left)
    folder = store.folder
    earlier = read_earlier(folder.parent, matrix_path=str(request.plan.path), before=folder.name)
    edited = edited_files(series, earlier.series)
    return scheduled(left, earlier, edited, ranks(request.choices, reach))
