# SPDX-License-Identifier: GPL-2.0-or-later
"""A matrix to its cells, in the order in which they run. Pure: what is read from files comes as values."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pydantic import ValidationError

from orchestrator.host.errors import UserError
from orchestrator.model.arch import ARCHES
from orchestrator.model.blocks import DelaySettings
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Matrix, Variant, Workload
from orchestrator.model.kernel_options import joined_options, option_problem
from orchestrator.plan.delays import parse_delays
from orchestrator.plan.flavours import fitted, is_widened, no_such_build, unfit
from orchestrator.plan.names import repeated, unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What the command line puts in place of the matrix's own values; empty or None leaves the matrix alone."""

    arches: tuple[str, ...] = ()
    flavours: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()  # beside those workloads, or in place of the matrix's
    variants: tuple[Variant, ...] = ()
    seconds: int | None = None
    seed: int | None = None
    repeat: int | None = None
    widen: str | None = None
    config: tuple[str, ...] = ()  # beside the matrix's: of two values of one option, this one


AS_WRITTEN = Selection()

_OPTIONS = {
    "arches": "--arch",
    "flavours": "--flavour",
    "workloads": "--workload",
    "variants": "--variant",
    "seconds": "--seconds",
    "seed": "--seed",
    "repeat": "--repeat",
    "widen": "--widen",
}


def selected(matrix: Matrix, selection: Selection) -> Matrix:
    """The matrix as it is run. Raises UserError for a value that the matrix could not have either."""
    for arch in selection.arches:
        if arch not in ARCHES:
            raise UserError(f"--arch: {unknown('arch', arch, ARCHES)}")
    given = {axis: getattr(selection, axis) for axis in _OPTIONS}
    changes = {
        axis: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value
        for axis, value in given.items()
        if value not in ((), None)
    }
    for text in selection.config:
        if why := option_problem(text):
            raise UserError(f"--config {text}: {why}", hint="--config CONFIG_CMA=y")
    changes["config"] = joined_options(matrix.config, selection.config)
    try:
        return Matrix.model_validate({**matrix.model_dump(), **changes})
    except ValidationError as e:
        wrong = e.errors()[0]
        option = _OPTIONS[str(wrong["loc"][0])]
        raise UserError(f"{option}: {wrong['msg'].replace('Input should', 'must')} (got {wrong['input']!r})") from e


def delays_of(matrix: Matrix, flavour: str) -> DelaySettings | None:
    """How the cells of a flavour delay; None for one that does not."""
    return parse_delays(matrix.widen) if is_widened(flavour) else None


def refuse_idle_delays(matrix: Matrix, selection: Selection) -> None:
    """Raises UserError where the command line widens and `matrix`, the selection applied, has nothing to widen.

    The `widen:` of a file is for those of its flavours that are widened, whichever are chosen.
    """
    if selection.widen and not any(map(is_widened, matrix.flavours)):
        raise UserError("--widen: no flavour of the matrix is widened", hint="--flavour widened")


def on_cores(workloads: Sequence[Workload], cores: int) -> tuple[Workload, ...]:
    """The workloads with guests of as many CPUs as the host has cores, at most; but two may always be asked for.

    Guests with more CPUs than there are cores do less: orchestrator/run/capacity.py.
    """
    most = max(cores, 2)
    return tuple(load.model_copy(update={"cpus": min(load.cpus, most)}) for load in workloads)


def expand(matrix: Matrix, workloads: Sequence[Workload], selection: Selection = AS_WRITTEN) -> tuple[Cell, ...]:
    """The cells of the matrix after `selection`, those of one build side by side.

    `workloads` are the loaded ones, in the order of the matrix. Raises UserError for a workload that is not among them.
    """
    matrix = selected(matrix, selection)
    refuse_idle_delays(matrix, selection)
    chosen = _chosen(workloads, selection.workloads)
    cells: list[Cell] = []
    for variant, flavour, arch in product(matrix.variants, matrix.flavours, matrix.arches):
        if not no_such_build(flavour, arch):
            cells += _cells_of(matrix, variant, flavour, arch, [load for load in chosen if not unfit(load, flavour)])
    return tuple(cells)


def _cells_of(
    matrix: Matrix, variant: Variant, flavour: str, arch: str, workloads: Sequence[Workload]
) -> Iterator[Cell]:
    # All repeats share these: a million cells have a few hundred workloads.
    flavours = [with_own(flavour, workload) for workload in workloads]
    builds = [Build(variant=variant, flavour=own, arch=arch) for own in flavours]
    loads = [fitted(workload, own) for workload, own in zip(workloads, flavours, strict=True)]
    widening = delays_of(matrix, flavour)
    # Repeats outside, workloads inside: each workload has run once before any runs twice.
    for repeat in range(1, matrix.repeat + 1):
        for build, load in zip(builds, loads, strict=True):
            yield Cell(
                build=build,
                workload=load,
                seconds=matrix.seconds,
                seed=cell_seed(matrix.seed, workload=load.name, repeat=repeat),
                repeat=repeat,
                repeats=matrix.repeat,
                widening=widening,
            )


def left_out(matrix: Matrix, workloads: Sequence[Workload]) -> tuple[str, ...]:
    """What a matrix, selections applied, asks for and expand() has no cells of, each with its reason."""
    pairs = ((flavour, arch, no_such_build(flavour, arch)) for flavour, arch in product(matrix.flavours, matrix.arches))
    builds = [f"{flavour} on {arch} ({why})" for flavour, arch, why in pairs if why]
    return (*builds, *dict.fromkeys(filter(None, (unfit(*pair) for pair in product(workloads, matrix.flavours)))))


def refuse_left_out(matrix: Path, selection: Selection, cells: Sequence[Cell], missing: Sequence[str]) -> None:
    """Raises UserError where nothing is left of the matrix, or of a value that the command line names."""
    why = "; ".join(missing)
    if not cells:
        raise UserError(f"{matrix}: no cell is left: {why}", hint=f"patchrig list {matrix}")
    there = {
        "arches": {cell.build.arch for cell in cells},
        "flavours": {cell.build.flavour for cell in cells},
        "workloads": {cell.workload.name for cell in cells},
    }
    for axis, names in there.items():
        for value in getattr(selection, axis):
            # A workload may be given by its file, or add a part of its own to the flavour.
            own = any(with_own(value, cell.workload) == cell.build.flavour for cell in cells)
            if value not in names and Path(value).stem not in names and not (axis == "flavours" and own):
                raise UserError(f"{_OPTIONS[axis]} {value}: no cell is left: {why}", hint=f"patchrig list {matrix}")


def with_own(flavour: str, workload: Workload) -> str:
    """The flavour of the kernels that a workload runs on: its own part beside that of the matrix."""
    parts = flavour.split("+")
    return "+".join((*parts, *(part for part in workload.flavour.split("+") if part and part not in parts)))


def _chosen(workloads: Sequence[Workload], names: Sequence[str]) -> tuple[Workload, ...]:
    if twice := repeated([workload.name for workload in workloads]):
        raise UserError(f"two workloads are called {twice[0]!r}; cells need names of their own")
    by_name = {workload.name: workload for workload in workloads}
    for name in names:
        if name not in by_name:
            raise UserError(f"--workload: {unknown('workload', name, by_name)}")
    return tuple(by_name[name] for name in dict.fromkeys(names or by_name))


def cell_seed(seed: int, *, workload: str, repeat: int) -> int:
    """A cell's own seed, below 2**63.

    It does not depend on the build, so that variants and arches race the same random sequence, nor on the other cells,
    so that a cell has the same seed when it runs alone.
    """
    digest = hashlib.sha256(f"{seed} {workload} {repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def builds_of(cells: Sequence[Cell]) -> tuple[Build, ...]:
    """Each build that the cells need, once, in their order."""
    return tuple(dict.fromkeys(cell.build for cell in cells))


def workloads_on(build: Build, cells: Sequence[Cell], workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """Those of the workloads that have a cell on the build, as they were loaded: expand() fits them to a flavour."""
    names = {cell.workload.name for cell in cells if cell.build == build}
    return tuple(load for load in workloads if load.name in names)


def describe(cell: Cell) -> str:
    """One line for `patchrig list`."""
    devices = ", ".join(f"{device.kind} {device.size_mib} MiB" for device in cell.workload.devices)
    return f"{cell.name}  {cell.seconds} s, seed {cell.seed}, swap on {devices}: {cell.workload.summary}"


def as_json(cell: Cell) -> Mapping[str, object]:
    """What `patchrig list --json` says about a cell: only what json.dumps takes."""
    return {
        "name": cell.name,
        "build": cell.build.name,
        "variant": str(cell.build.variant),
        "flavour": cell.build.flavour,
        "arch": cell.build.arch,
        "seconds": cell.seconds,
        "seed": cell.seed,
        "repeat": cell.repeat,
        "repeats": cell.repeats,
        "workload": cell.workload.model_dump(mode="json"),
    }
