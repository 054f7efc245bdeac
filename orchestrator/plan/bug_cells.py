# SPDX-License-Identifier: GPL-2.0-or-later
"""Seeded bugs to the cells that may find them, most promising first, within a bug's seconds. Pure."""

import re
from collections.abc import Container, Iterator, Sequence

from orchestrator.model.bugs import SeededBug
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Matrix, Workload
from orchestrator.plan.expansion import cell_seed, delays_of
from orchestrator.plan.flavours import fitted, unfit

# Guest seconds of load by class, where the command line does not say: what a suite of any worth should need.
BUDGETS = {"A": 30, "B": 120, "C": 300}
UNKNOWN_CLASS_BUDGET = 300
# Below this a workload has hardly set itself up.
SHORTEST = 5


def budget_of(bug: SeededBug, seconds: int | None) -> int:
    """The load seconds that a bug gets, over all its cells."""
    return seconds or BUDGETS.get(bug.bug_class, UNKNOWN_CLASS_BUDGET)


def rebuild_order(bugs: Sequence[SeededBug]) -> tuple[SeededBug, ...]:
    """The order in which little is compiled: by file, and last what touches a header that hundreds of objects read."""
    return tuple(sorted(bugs, key=lambda bug: (any(file.endswith(".h") for file in bug.touched), bug.touched, bug.id)))


def promising(bug: SeededBug, workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """The workloads that reach the bug, most promising first; all of them when nothing tells.

    Those that its header names, and no other. Else those with a site in a function that its diff is in, and then those
    that name a file that it touches, the earlier in their list the better.
    """
    by_name = {workload.name: workload for workload in workloads}
    if named := tuple(by_name[name] for name in bug.workloads if name in by_name):
        return named
    ranked = sorted(workloads, key=lambda workload: _rank(bug, workload))
    return tuple(workload for workload in ranked if _rank(bug, workload) != _NOWHERE) or tuple(workloads)


def leading(bug: SeededBug, workloads: Sequence[Workload]) -> int:
    """How many of the workloads that promising() gave are as good as the first of them."""
    if any(workload.name in bug.workloads for workload in workloads):
        return len(workloads)
    return sum(1 for workload in workloads if _rank(bug, workload) == _rank(bug, workloads[0]))


_NOT_NAMED = 1000
_NOWHERE = (True, _NOT_NAMED)


def _rank(bug: SeededBug, workload: Workload) -> tuple[bool, int]:
    if _meets_site(bug, workload):
        return False, 0
    return True, _file_rank(bug, workload)


def _file_rank(bug: SeededBug, workload: Workload) -> int:
    places = [workload.files.index(file) for file in bug.touched if file in workload.files]
    return min(places, default=_NOT_NAMED)


def _meets_site(bug: SeededBug, workload: Workload) -> bool:
    functions = {name for site in workload.sites for name in workload.site_functions(site)}
    return not functions.isdisjoint(functions_in(bug.diff))


def functions_in(diff: str) -> frozenset[str]:
    """The C functions that a diff is in: named by its hunk headers, or defined in what its hunks show."""
    return frozenset(_functions(diff))


def _functions(diff: str) -> Iterator[str]:
    for line in diff.splitlines():
        # A definition begins in the first column; a call does not.
        if found := re.match(r"(?:@@ [^@]* @@ |[ +-])(?=[A-Za-z_])(?:[\w*]+[\s*]+)*?(\w+)\(", line):
            yield found[1]


def slices(count: int, *, lead: int, budget: int, first: int) -> Iterator[tuple[int, int]]:
    """(index of the workload, load seconds) of each cell: rounds over all `count`, each twice as long as the last.

    In the first round each gets `first` seconds, or its share of a small budget, where the `lead` first come first.
    A new cell has a new seed: many short ones see more than a long one, and long ones what takes time to build up.
    """
    length = max(SHORTEST, min(first, budget // lead))
    rest = min(length, (budget - length * lead) // max(1, count - lead))
    left = budget
    while True:
        for index in range(count):
            wanted = min(length if index < lead else rest, left)
            # A budget that is smaller than that is what the user wants.
            if wanted >= min(SHORTEST, budget):
                yield index, wanted
                left -= wanted
        if left < SHORTEST:
            return
        length, rest = length * 2, rest * 2


def workloads_for(bugs: Sequence[SeededBug], workloads: Sequence[Workload], flavour: str) -> tuple[Workload, ...]:
    """Those that any of the bugs is tried with on kernels of the flavour, in their order."""
    fit = _fit(workloads, flavour)
    used = {load.name for bug in bugs for load in promising(bug, fit)}
    return tuple(load for load in fit if load.name in used)


def _fit(workloads: Sequence[Workload], flavour: str) -> tuple[Workload, ...]:
    return tuple(load for load in workloads if not unfit(load, flavour))


def cells_for(
    bug: SeededBug,
    build: Build,
    workloads: Sequence[Workload],
    matrix: Matrix,
    *,
    seconds: int | None,
    red: Container[str],
) -> tuple[Cell, ...]:
    """The bug's cells, in the order in which they run; () where each workload that reaches it is one of `red`."""
    chosen = [load for load in promising(bug, _fit(workloads, build.flavour)) if load.name not in red]
    if not chosen:
        return ()
    budget = budget_of(bug, seconds)
    lead, first = leading(bug, chosen), min(matrix.seconds, budget)
    return bug_cells(build, chosen, matrix, lead=max(1, lead), budget=budget, first=first)


def control_cell(build: Build, workload: Workload, matrix: Matrix, seconds: int | None) -> Cell:
    """The cell in which a workload runs without any bug."""
    length = min(matrix.seconds, seconds or matrix.seconds)
    (cell,) = bug_cells(build, [workload], matrix, lead=1, budget=length, first=length)
    return cell


def bug_cells(
    build: Build, workloads: Sequence[Workload], matrix: Matrix, *, lead: int, budget: int, first: int
) -> tuple[Cell, ...]:
    """The cells of one bug in the order in which they run, until one finds it; `workloads` most promising first."""
    delays = delays_of(matrix, build.flavour)
    planned = list(slices(len(workloads), lead=lead, budget=budget, first=first))
    times = {index: sum(1 for other, _ in planned if other == index) for index, _ in planned}
    so_far: dict[int, int] = {}
    cells = []
    for index, seconds in planned:
        so_far[index] = so_far.get(index, 0) + 1
        name = workloads[index].name
        cells.append(
            Cell(
                build=build,
                workload=fitted(workloads[index], build.flavour),
                seconds=seconds,
                seed=cell_seed(matrix.seed, workload=name, repeat=so_far[index]),
                repeat=so_far[index],
                repeats=times[index],
                widening=delays,
            )
        )
    return tuple(cells)
