# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that several commands share, and the request that they make up."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.host import paths
from orchestrator.host.errors import UserError
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.plan.config import load_kernel_source, load_plan
from orchestrator.plan.expansion import Selection, expand
from orchestrator.run.kernels import Request


class OutputFile(click.Path):
    """A file to be written at the end of what may take hours; that it can be is asked at the start."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not os.access(path.parent, os.W_OK):
            self.fail(f"{path}: {path.parent} is no folder that can be written to", param, ctx)
        return path


def _version_alone(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    return value.strip().removeprefix("v").removeprefix("V")


MATRIX = click.Path(dir_okay=False, path_type=Path)
DEFAULT_MATRIX = paths.CONFIGS / "swapoff.yaml"
F = TypeVar("F", bound=Callable[..., Any])
SERIES_VERSION = click.option("--series-version", default="", metavar="N", callback=_version_alone,
                              help="Of a mailbox that has several versions of the series, take this one.")  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The options that say which cells, which kernel and which series; as click gives them."""

    patch: tuple[Path, ...]
    series_version: str
    tree: Path | None
    kernel: str | None
    arch: tuple[str, ...]
    flavour: tuple[str, ...]
    workload: tuple[str, ...]
    variant: tuple[str, ...]
    seconds: int | None
    seed: int | None
    repeat: int | None
    widen: str | None
    sandbox: bool


NO_SANDBOX = click.option("--no-sandbox", "sandbox", flag_value=False, default=True, type=bool,
                          help="Build, and run QEMU, without bubblewrap: the series' build files and what breaks out "
                          "of a guest then have your rights.")  # fmt: skip
_BUILD_CHOICE = (
    click.option("--patch", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
                 help="Series under test instead of the matrix's: a patch, a mail, an mbox, a folder of patches, or a "
                 "git range of --tree. May be given several times. `patchrig series PATH` shows what is in it."),
    SERIES_VERSION,
    click.option("--tree", type=click.Path(exists=True, file_okay=False, path_type=Path),
                 help="Build this kernel tree, which is copied and never touched, instead of the matrix's kernel."),
    click.option("--kernel", metavar="NAME", help="Build kernels/NAME.yaml instead of the matrix's kernel."),
    click.option("--arch", multiple=True, type=click.Choice(sorted(ARCHES)), help="Only this architecture."),
    click.option("--flavour", multiple=True, metavar="F",
                 help="Only this flavour: plain, debug, widened, kasan, kcsan, or several as a+b."),
    click.option("--workload", multiple=True, metavar="W",
                 help="Only this workload: a name, or the path of its YAML file."),
    click.option("--seed", type=click.IntRange(0), help="Where all randomness of the workloads comes from."),
    click.option("--widen", metavar="K=V,...",
                 help="How a widened flavour delays: chance=2%,max=30ms,spin=1ms,hold=500ms,rest=10%,"
                 "only=FUNCTION+FUNCTION; what is left out is so."),
    NO_SANDBOX,
)  # fmt: skip
_CHOICE = (
    *_BUILD_CHOICE,
    click.option("--variant", multiple=True, type=click.Choice([str(one) for one in Variant]),
                 help="Only this variant: with the series or without."),
    click.option("--seconds", type=click.IntRange(1), help="Load seconds of each cell."),
    click.option("--repeat", type=click.IntRange(1), help="Run each cell so many times, with a seed each."),
)  # fmt: skip
IN_RESULTS = click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=paths.RESULTS,
                          show_default="results/", help="Where the folders of runs lie.")  # fmt: skip
RESULTS = click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=paths.RESULTS,
                        show_default="results/", help="Where the run's folder is made.")  # fmt: skip
JOBS = click.option("--jobs", type=click.IntRange(1), help="Guests side by side; as cores and memory allow if unset.")
FAIL_FAST = click.option("--fail-fast/--keep-going", default=False, help="Stop after the first cell that is bad.")
DUMP_MEMORY = click.option("--dump-memory", is_flag=True, help="Keep the memory of a guest that hangs: memory.elf.")
RESTORE = click.option("--no-restore", "restore", flag_value=False, default=True, type=bool,
                        help="Boot every guest, also where one was saved that others have booted.")  # fmt: skip
JUNIT = click.option("--junit", type=OutputFile(), metavar="FILE", help="Also write the JUnit XML here.")
AS_JSON = click.option("--json", "as_json_text", is_flag=True, help="Print JSON for scripts.")


def with_choice(command: F) -> F:
    for option in reversed(_CHOICE):
        command = option(command)
    return command


def with_build_choice(command: F) -> F:
    """with_choice() for a command that has its own mind on variants, repeats and seconds."""
    for option in reversed(_BUILD_CHOICE):
        command = option(command)
    return command


def request_of(matrix: Path, choice: Choice) -> Request:
    """Load the matrix with the command line's selection. Raises UserError."""
    if choice.tree and choice.kernel:
        raise UserError("--tree and --kernel both say which kernel to build: give one of them")
    selection = Selection(
        arches=choice.arch,
        flavours=choice.flavour,
        workloads=choice.workload,
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
    cells: tuple[Cell, ...] = expand(plan.matrix, plan.workloads)
    return Request(
        plan=plan,
        cells=cells,
        series=series,
        series_version=choice.series_version,
        tree=choice.tree,
        sandbox=choice.sandbox,
    )
