# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells ran side by side (pure)."""

from collections.abc import Iterable

from orchestrator.model.reports import CellReport


def guest_lanes(cells: Iterable[CellReport]) -> list[list[CellReport]]:
    """The cells that ran on as few lanes as there were guests at once; those on one lane ran after one another."""
    lanes: list[list[CellReport]] = []
    for cell in sorted((cell for cell in cells if cell.spans), key=lambda cell: cell.spans[0].start):
        free = next((lane for lane in lanes if lane[-1].spans[-1].end <= cell.spans[0].start), None)
        if free is None:
            lanes.append(free := [])
        free.append(cell)
    return lanes
