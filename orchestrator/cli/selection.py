# SPDX-License-Identifier: GPL-2.0-or-later
"""The cells that a command line selects. What builds and boots them is not imported here: `patchrig list` is quick."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.options import DEFAULT_MATRIX, Choice
from orchestrator.host.cores import host_cores
from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.matrix_choices import MatrixChoices
from orchestrator.plan.checks import is_version, known_kernels
from orchestrator.plan.config import Plan, load_kernel_source, load_plan
from orchestrator.plan.expansion import Selection, expand, left_out, on_cores, refuse_left_out

if TYPE_CHECKING:
    from orchestrator.run.chosen_plan import ChosenPlan, Wanted
    from orchestrator.run.kernels import Lookups


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenCells:
    """The matrix with the command line's selection, which also says which kernel and series; its cells."""

    plan: Plan
    cells: tuple[Cell, ...]
    left_out: tuple[str, ...] = ()  # what the matrix asks for and can't be, each with its reason
    choices: MatrixChoices | None = None  # where patchrig put the matrix together
    lookups: "Lookups | None" = None  # what was read for that
    revision: str = ""  # of the tree
    notices: tuple[str, ...] = ()  # of the series, where it was read: a run says them when it opens its kernels


def chosen_cells(matrix: Path | None, choice: Choice) -> ChosenCells:
    """The cells of a matrix; of None: of a matrix for the series, tree or kernel that is given, else of swapoff.

    Raises UserError.
    """
    if choice.tree and choice.kernel:
        raise UserError("--tree and --kernel both say which kernel to build: give one of them")
    if choice.kernel and choice.kernel not in known_kernels() and not is_version(choice.kernel):
        load_kernel_source(choice.kernel)
    selection = selection_of(choice)
    choice = _fetched(choice)
    if matrix is None and (choice.patch or choice.tree or choice.kernel):
        return _without_matrix(choice, selection)
    return _of_matrix(matrix or DEFAULT_MATRIX, choice, selection)


# The kernel as it is, and one that delays tasks where the series changed code, and counts what ran of it.
_FLAVOURS_OF_SERIES = ("plain", "widened")


def as_run(matrix: Path | None, choice: Choice) -> Choice:
    """The choice with what `patchrig run` adds where it puts the matrix together: a series gets two flavours.

    Not so a suite, whose results don't depend on delays, and a deterministic run, whose seeds are its schedules. Suites
    are added to workloads that patchrig chooses, and to none that are given.
    """
    open_to_us = matrix is None and choice.patch and not (choice.flavour or choice.suite or choice.deterministic)
    if not open_to_us:
        return choice
    return replace(choice, flavour=_FLAVOURS_OF_SERIES, suites_by_reach=not choice.workload)


def _fetched(choice: Choice) -> Choice:
    if all(path.exists() or "@" not in str(path) for path in choice.patch):
        return choice
    from orchestrator.cli.fetched_series import with_threads

    return replace(choice, patch=with_threads(choice.patch))


def selection_of(choice: Choice) -> Selection:
    """What the options put in place of the matrix's own values."""
    return Selection(
        arches=choice.arch,
        flavours=choice.flavour,
        workloads=choice.workload,
        suites=choice.suite,
        variants=tuple(Variant(name) for name in choice.variant),
        seconds=choice.seconds,
        seed=choice.seed,
        repeat=choice.repeat,
        widen=choice.widen,
        config=choice.config,
    )


def _of_matrix(matrix: Path, choice: Choice, selection: Selection) -> ChosenCells:
    plan = load_plan(matrix, selection)
    series = choice.patch or plan.matrix.series
    if Variant.PATCHED in plan.matrix.variants and not series:
        raise UserError(f"{matrix}: the variant patched needs a series", hint="--patch PATH, or --variant baseline")
    # Reports name what was tested, and not what the matrix would have tested.
    kernel = str(choice.tree or choice.kernel or plan.matrix.kernel)
    plan = replace(plan, matrix=plan.matrix.model_copy(update={"series": tuple(series), "kernel": kernel}))
    plan = _for_this_host(plan, choice)
    cells, missing = expand(plan.matrix, plan.workloads), left_out(plan.matrix, plan.workloads)
    refuse_left_out(matrix, selection, cells, missing)
    return ChosenCells(plan=plan, cells=cells, left_out=missing)


def _without_matrix(choice: Choice, selection: Selection) -> ChosenCells:
    # These read series and sources: a matrix needs neither to be listed.
    from orchestrator.report.terminal import screen, terminal
    from orchestrator.run.chosen_plan import chosen_plan

    with terminal(screen(beside_output=True)) as listener:
        return cells_of(chosen_plan(wanted_of(choice, selection), listener), choice)


def _for_this_host(plan: Plan, choice: Choice) -> Plan:
    """The CPUs of a deterministic guest share one thread, and its run is to be the same on each host."""
    return plan if choice.deterministic else replace(plan, workloads=on_cores(plan.workloads, host_cores()))


def wanted_of(choice: Choice, selection: Selection) -> "Wanted":
    """What a command line without a matrix asks for."""
    from orchestrator.run.chosen_plan import Wanted

    return Wanted(
        patches=choice.patch,
        series_version=choice.series_version,
        tree=choice.tree,
        kernel=choice.kernel or "",
        selection=selection,
        suites_by_reach=choice.suites_by_reach,
        sandbox=choice.sandbox,
    )


def cells_of(found: "ChosenPlan", choice: Choice) -> ChosenCells:
    """The cells of a matrix that was put together."""
    plan = _for_this_host(found.plan, choice)
    cells, missing = expand(plan.matrix, plan.workloads), left_out(plan.matrix, plan.workloads)
    return ChosenCells(
        plan=plan,
        cells=cells,
        left_out=missing,
        choices=found.choices,
        lookups=found.lookups,
        revision=found.revision,
        notices=found.notices,
    )
