# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants to the cells that may notice them: the workload that passes their place most often comes first (pure)."""

import random
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Matrix, Workload
from orchestrator.model.mutants import MOST_NUMBER, Guard, Mutant
from orchestrator.plan.bug_cells import control_cell

# Load seconds of a cell where the command line does not say. A hundred mutants are to be tried within minutes.
SECONDS = 5
# Workloads that a mutant is run in at most, where the command line does not say: most of the time goes to survivors.
TRIES = 3
Passed = Mapping[str, Mapping[int, int]]  # workload -> mutant -> how often the control passed its place


def control_cells(
    build: Build, workloads: Sequence[Workload], matrix: Matrix, mutants: Sequence[Mutant], seconds: int | None
) -> tuple[Cell, ...]:
    """Each workload once, in a guest that is none of the mutants. A mutant's cells differ by the number alone."""
    length = seconds or min(SECONDS, matrix.seconds)
    none = no_mutant(mutants)
    return tuple(replace(control_cell(build, load, matrix, length), seconds=length, mutant=none) for load in workloads)


def no_mutant(mutants: Sequence[Mutant]) -> int:
    """A number that none of them has."""
    return min(MOST_NUMBER, max((one.number for one in mutants), default=0) + 1)


def reaching(mutant: Mutant, mutants: Sequence[Mutant], passed: Passed) -> tuple[str, ...]:
    """The workloads that pass the mutant's place, most often first.

    One with a build of its own has no count: those that pass other places of its function, or all where there is none.
    """
    numbers = [mutant.number]
    if mutant.guard is Guard.OWN_BUILD:
        numbers = [
            one.number
            for one in mutants
            if (one.file, one.function) == (mutant.file, mutant.function) and one.guard is not Guard.OWN_BUILD
        ]
        if not numbers:
            return tuple(passed)
    counts = {name: max(counted.get(number, 0) for number in numbers) for name, counted in passed.items()}
    return tuple(sorted((name for name in counts if counts[name]), key=lambda name: -counts[name]))


def most_promising(
    mutant: Mutant, names: Sequence[str], workloads: Sequence[Workload], red: Container[str]
) -> tuple[str, ...]:
    """These workloads, in the order in which the mutant is run in them.

    First those that are meant for its file: others pass the place, too, but don't look at what is done there. Last
    those that are `red` without any mutant.
    """
    meant = {load.name for load in workloads if mutant.file in load.files}
    return tuple(sorted(names, key=lambda name: (name in red, name not in meant)))


def cells_of_mutant(mutant: Mutant, controls: Sequence[Cell], workloads: Sequence[str]) -> tuple[Cell, ...]:
    """The mutant's cells in their order: as long as the control's, with the same seeds."""
    by_name = {cell.workload.name: cell for cell in controls}
    number = None if mutant.guard is Guard.OWN_BUILD else mutant.number
    return tuple(replace(by_name[name], mutant=number) for name in workloads)


def trial_order(mutants: Sequence[Mutant], seed: int, *, sampled: bool) -> tuple[Mutant, ...]:
    """By number, what needs a kernel of its own last; shuffled where the time may not be enough for all of them."""
    ordered = list(mutants)
    if sampled:
        random.Random(seed).shuffle(ordered)  # a sample, and no secret
    return tuple(sorted(ordered, key=lambda mutant: mutant.guard is Guard.OWN_BUILD))
