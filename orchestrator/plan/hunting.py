# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hunt runs: in which files it delays, in which order its workloads go, and which cells are next. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Matrix, Workload
from orchestrator.model.hunts import Hunted, Tally
from orchestrator.model.reach import ReachMap, SourceFunction
from orchestrator.plan.expansion import cell_seed, expand

FLAVOURS = ("plain", "widened")
# Beside the files that the workloads are meant to reach.
DEFAULT_PATTERNS = ("mm/swap*.c",)
# In all functions of a dozen files a task comes through many times as many blocks as in those that a series changes.
CHANCE = "chance=0.2%"
_PATTERN = re.compile(r"(?!/|.*\.\.)[\w./+*?\[\]-]+")


def all_workloads(first: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """The names of all workloads: those of the default matrix, then the others, each in the order of its matrix."""
    return tuple(dict.fromkeys((*first, *others)))


def patterns_of(text: str) -> tuple[str, ...]:
    """The value of --in: `mm/swap*.c,mm/zswap.c`; a folder stands for the C files in it. Raises UserError."""
    found = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if not _PATTERN.fullmatch(name):
            raise UserError(f"--in: {name!r} is no file of a kernel tree", hint="--in 'mm/swap*.c,mm/zswap.c'")
        found.append(name if name.endswith(".c") else f"{name.rstrip('/')}/*.c")
    if text and not found:
        raise UserError("--in: there is no file in it", hint="--in 'mm/swap*.c,mm/zswap.c'")
    return tuple(dict.fromkeys(found))


def files_of(patterns: Sequence[str], names: Iterable[str], *, all_mean_some: bool = True) -> tuple[str, ...]:
    """The names that are meant. Raises UserError for a pattern that means none where each has to mean some."""
    files = sorted(set(names))
    for pattern in patterns if all_mean_some else ():
        if not any(_is_meant(file, pattern) for file in files):
            raise UserError(f"--in: this kernel has no C file {pattern}", hint="--in 'mm/swap*.c,mm/zswap.c'")
    return tuple(file for file in files if any(_is_meant(file, pattern) for pattern in patterns))


def _is_meant(file: str, pattern: str) -> bool:
    """As a shell has it: a star is no slash."""
    names, parts = file.split("/"), pattern.split("/")
    return len(names) == len(parts) and all(map(fnmatchcase, names, parts))


def delays_text_of(asked: str) -> str:
    """How a hunt delays: as the user says, but for the chance, which is smaller where he says nothing of it."""
    parts = [part for part in asked.split(",") if part]
    return ",".join(parts if any(part.startswith("chance=") for part in parts) else [CHANCE, *parts])


def hunt_cells(matrix: Matrix, workloads: Sequence[Workload]) -> tuple[Cell, ...]:
    """One cell of each workload on each build: all builds of a workload side by side."""
    # `widen_only` is a choice among the few functions that a series changes.
    everywhere = [load.model_copy(update={"widen_only": ()}) for load in workloads]
    places = {load.name: at for at, load in enumerate(workloads)}
    once = matrix.model_copy(update={"repeat": 1})
    return tuple(sorted(expand(once, everywhere), key=lambda cell: places[cell.workload.name]))


def next_cells(cells: Sequence[Cell], seed: int, hunted: Hunted, most_rounds: int | None = None) -> tuple[Cell, ...]:
    """Those that have run least often, each with its next seed; () where nothing is left to run."""
    live = [(cell, _tally(hunted, cell)) for cell in cells if cell.build.name not in hunted.unbuilt]
    live = [(cell, tally) for cell, tally in live if not tally.dropped]
    number = min((tally.last for _, tally in live), default=0) + 1
    if most_rounds is not None and number > most_rounds:
        return ()
    return tuple(
        replace(cell, repeat=number, seed=cell_seed(seed, workload=cell.workload.name, repeat=number))
        for cell, tally in live
        if tally.last < number
    )


def _tally(hunted: Hunted, cell: Cell) -> Tally:
    return hunted.tallies.get(f"{cell.build.name}.{cell.workload.name}", Tally())


def most_reach_first(
    workloads: Sequence[Workload], files: Sequence[str], maps: Sequence[ReachMap], seconds: int
) -> tuple[Workload, ...]:
    """Next is what runs most functions of the files, that none before it runs, for each second of its load.

    Those that no map knows follow, and then those that run nothing new, in the order in which they are given.
    """
    mapped = {one.workload for map_ in maps for one in map_.workloads}
    reach = {load.name: _functions_of(load.name, files, maps) for load in workloads}
    cost = {load.name: max(seconds, load.most_seconds) for load in workloads}
    left, ordered, covered = list(workloads), list[Workload](), set[SourceFunction]()

    def worth(load: Workload) -> tuple[float, bool]:
        return len(reach[load.name] - covered) / cost[load.name], load.name not in mapped

    while left:
        best = max(left, key=worth)
        covered |= reach[best.name]
        left.remove(best)
        ordered.append(best)
    return tuple(ordered)


def _functions_of(workload: str, files: Sequence[str], maps: Iterable[ReachMap]) -> set[SourceFunction]:
    of_it = (one for map_ in maps for one in map_.workloads if one.workload == workload)
    return {function for one in of_it for function in one.ran if function.file in files}
