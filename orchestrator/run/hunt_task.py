# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hunt is to run, found out once at its begin: the files that it delays in, and the order of its workloads."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.host.errors import UserError
from orchestrator.kernel.series.load import BASELINE
from orchestrator.kernel.source.tree import kept_tree
from orchestrator.model.configuration import Workload
from orchestrator.model.events import Listener
from orchestrator.model.hunts import HuntTask
from orchestrator.plan.expansion import builds_of
from orchestrator.plan.flavours import is_widened
from orchestrator.plan.hunting import DEFAULT_PATTERNS, files_of, most_reach_first
from orchestrator.plan.reach_order import nearest_maps
from orchestrator.run.delay_targets import fill_tree
from orchestrator.run.kernels import Kernels, Request, open_kernels
from orchestrator.run.reach_maps import kept_maps


def hunt_task(request: Request, patterns: Sequence[str], most_rounds: int | None, listener: Listener) -> HuntTask:
    """The task of a hunt with the cells of a request, in the files of these patterns; (): those of swap.

    Raises UserError for a pattern that means no file of this kernel, InfraError without a source.
    """
    with open_kernels(request, listener) as kernels:
        files = _delayed_files(request, patterns, kernels, listener)
        source = kernels.source
    workloads, order = _ordered(request, files, source.sha256, source.version)
    plan = request.plan
    return HuntTask(
        matrix_path=str(plan.path),
        matrix=plan.matrix,
        workloads=workloads,
        order=order,
        files=files,
        source=source.sha256,
        series_version=request.series_version,
        tree=request.tree,
        revision=request.revision,
        choices=request.choices,
        left_out=request.left_out,
        sandbox=request.sandbox,
        most_rounds=most_rounds,
        deterministic=request.deterministic,
    )


def same_source(task: HuntTask, request: Request, listener: Listener) -> None:
    """Raise UserError where the source is no longer the one that the hunt has begun with."""
    with open_kernels(request, listener) as kernels:
        if kernels.source.sha256 != task.source:
            where = task.tree or task.matrix.kernel
            raise UserError(f"{where} has changed since the hunt began, and not all of its kernels were built by then")


def _delayed_files(request: Request, patterns: Sequence[str], kernels: Kernels, listener: Listener) -> tuple[str, ...]:
    if not any(is_widened(build.flavour) for build in builds_of(request.cells)):
        return ()
    fill_tree(kernels.source, BASELINE, cache=request.cache, listener=listener)
    tree = kept_tree(request.cache, kernels.source.sha256)
    added = [str(file) for file in kernels.series.touched if file.suffix == ".c"]
    wanted = patterns or tuple(dict.fromkeys((*DEFAULT_PATTERNS, *_meant(request.plan.workloads), *added)))
    names = {*added, *(_c_files(tree.src, wanted) if tree else ())}
    # What a workload is meant for may have another name in this kernel, or not be there.
    found = files_of(wanted, names, all_mean_some=bool(patterns))
    if not found:
        raise UserError("this kernel has none of the files that the workloads are meant for", hint="--in 'mm/*.c'")
    return found


def _meant(workloads: Iterable[Workload]) -> Iterator[str]:
    yield from (file for load in workloads for file in load.files if file.endswith(".c"))


def _c_files(src: Path, patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        yield from (path.relative_to(src).as_posix() for path in src.glob(pattern) if path.is_file())


def _ordered(request: Request, files: Sequence[str], source: str, version: str) -> tuple[tuple[Workload, ...], str]:
    workloads = request.plan.workloads
    maps = nearest_maps(kept_maps(request.cache, source), source=source, version=version)
    mapped = {one.workload for map_ in maps for one in map_.workloads}
    if not files or not any(load.name in mapped for load in workloads):
        return workloads, "in the order in which they are given, as there is no reach map (patchrig reach makes one)"
    names = ", ".join(sorted({f"{one.kernel.version} {one.kernel.arch}" for one in maps}))
    ordered = most_reach_first(workloads, files, maps, request.plan.matrix.seconds)
    return ordered, f"most functions of these files for each guest second first, by the reach map of {names}"
