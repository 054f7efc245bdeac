# SPDX-License-Identifier: GPL-2.0-or-later
"""The cells that a command line selects. What builds and boots them is not imported here: `patchrig list` is quick."""

from dataclasses import replace
from pathlib import Path

from orchestrator.cli.options import Choice
from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.plan.config import Plan, load_kernel_source, load_plan
from orchestrator.plan.expansion import Selection, expand


def chosen_cells(matrix: Path, choice: Choice) -> tuple[Plan, tuple[Cell, ...]]:
    """The matrix with the command line's selection, which also says which kernel and series; its cells.

    Raises UserError.
    """
    if choice.tree and choice.kernel:
        raise UserError("--tree and --kernel both say which kernel to build: give one of them")
    selection = Selection(
        arches=choice.arch,
        flavours=choice.flavour,
        workloads=choice.workload,
        suites=choice.suite,
        variants=tuple(Variant(name) for name in choice.variant),
        seconds=choice.seconds,
        seed=choice.seed,
        repeat=choice.repeat,
        widen=choice.widen,
    )
    plan = load_plan(matrix, selection)
    series = choice.patch or plan.matrix.series
    if Variant.PATCHED in plan.matrix.variants and not series:
        raise UserError(f"{matrix}: the variant patched needs a series", hint="--patch PATH, or --variant baseline")
    if choice.kernel:
        load_kernel_source(choice.kernel)
    # Reports name what was tested, and not what the matrix would have tested.
    kernel = str(choice.tree or choice.kernel or plan.matrix.kernel)
    plan = replace(plan, matrix=plan.matrix.model_copy(update={"series": tuple(series), "kernel": kernel}))
    return plan, tuple(expand(plan.matrix, plan.workloads))
