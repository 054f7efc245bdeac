# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells ran side by side (pure)."""

from collections.abc import Iterable
from heapq import heappop, heappush

from orchestrator.model.reports import CellReport


def guest_lanes(cells: Iterable[CellReport]) -> list[list[CellReport]]:
    """The cells that ran on as few lanes as there were guests at once; those on one lane ran after one another."""
    lanes: list[list[CellReport]] = []
    # Heaps: a thousand workers have thousands of lanes, and each cell of a million looks for one.
    busy: list[tuple[float, int]] = []  # when a lane is free again, and its number
    free: list[int] = []  # the first of them is taken
    for cell in sorted((cell for cell in cells if cell.spans), key=lambda cell: cell.spans[0].start):
        while busy and busy[0][0] <= cell.spans[0].start:
            heappush(free, heappop(busy)[1])
        if not free:
            lanes.append([])
            free.append(len(lanes) - 1)
        number = heappop(free)
        lanes[number].append(cell)
        heappush(busy, (cell.spans[-1].end, number))
    return lanes
