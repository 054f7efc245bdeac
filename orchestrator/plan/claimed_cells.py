# SPDX-License-Identifier: GPL-2.0-or-later
"""`do_swap_page | mm/swapfile.c:swapoff:2801` as a value, and the workloads for it (pure)."""

import re
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.claims import ClaimedPlace, Place
from orchestrator.model.configuration import Matrix, Workload
from orchestrator.model.reach import ReachMap, SourceFunction
from orchestrator.plan.choice import by_reach, choose
from orchestrator.plan.expansion import expand
from orchestrator.plan.reach_order import Changes, changed_reach

EXAMPLE = "patchrig settle 'do_swap_page | mm/swapfile.c:try_to_unuse'"
# More would leave each too few schedules.
_MOST_WORKLOADS = 3
# A, B, or nothing; a file; a function; a line.
_PLACE = re.compile(
    r"(?:[AB]:)?(?:(?P<file>[\w+-][\w./+-]*\.[ch]):)?(?P<function>[A-Za-z_]\w*)(?:\(\))?(?::(?P<line>\d{1,7}))?",
    re.ASCII,
)


def parse_claim(text: str) -> tuple[Place, Place]:
    """Two places, each `[FILE:]FUNCTION[:LINE]`, with `A:` and `B:` before them or not. Raises UserError."""
    parts = [part.strip() for part in text.split("|")]
    if len(parts) != len(("A", "B")):
        raise UserError(f"{text!r} is no claim: it names two places, with | between them", hint=EXAMPLE)
    first, second = map(_place, parts)
    return first, second


def _place(text: str) -> Place:
    m = _PLACE.fullmatch(text)
    if m is None or ".." in text:
        raise UserError(f"{text!r} is no place: it is [FILE:]FUNCTION[:LINE]", hint=EXAMPLE)
    return Place(function=m["function"], file=m["file"] or "", line=int(m["line"] or 0))


def workloads_for(
    places: Sequence[ClaimedPlace], workloads: Sequence[Workload], maps: Sequence[ReachMap]
) -> tuple[tuple[Workload, ...], str]:
    """The workloads that are likeliest to run both functions, best first, and how that is known.

    By reach maps where they know any, else by the `files:` and sites of the workloads.
    """
    usable = [load for load in workloads if not load.flavour]
    functions = tuple(SourceFunction(one.file, one.name) for one in places)
    meant = choose(usable, {one.file for one in places}, {one.name for one in places})
    reach = changed_reach(meant.order, Changes(functions=functions), maps)
    counts = {one.workload: one.reached for one in reach.ranked if one.reached}
    if counts:
        names = [name for name, count in counts.items() if count == max(counts.values())]
        how = f"they run {max(counts.values())} of {len(set(functions))} functions by the reach map of {reach.maps[0]}"
    else:
        chosen = by_reach(meant, reach).chosen
        names = [one.name for one in chosen if one.meant] or [one.name for one in chosen]
        how = "by the files that they are meant for, as no reach map knows the functions (patchrig reach makes one)"
    known = {load.name: load for load in usable}
    return tuple(known[name] for name in names[:_MOST_WORKLOADS]), how


def claim_cells(matrix: Matrix, workloads: Sequence[Workload], schedules: int) -> tuple[Cell, ...]:
    """As many cells as there are schedules, the workloads in turn, each time with another seed."""
    # It is a choice among the functions that a series changes.
    everywhere = [load.model_copy(update={"widen_only": ()}) for load in workloads]
    repeats = -(-schedules // len(everywhere))
    return expand(matrix.model_copy(update={"repeat": max(repeats, 2)}), everywhere)[:schedules]


def without_delays(cell: Cell, number: int) -> Cell:
    """The same cell, with the same seed, but nobody is held or delayed; `number` is its own in the run."""
    assert cell.widening
    return replace(cell, repeat=number, widening=replace(cell.widening, chance_ppm=0, hold_us=0))
