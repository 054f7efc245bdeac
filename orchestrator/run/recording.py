# SPDX-License-Identifier: GPL-2.0-or-later
"""Reach maps: what is to be recorded, what a run recorded, and what the maps tell of a series before its run."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.paths import scratch_folder
from orchestrator.judge.frames import plain_name
from orchestrator.kernel.code.named_calls import calls_in
from orchestrator.kernel.compile.image_cache import recorded_of
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.events import Listener, Step
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reach import ChangedReach, KernelIdentity, ReachMap, SourceFunction, WorkloadReach
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.series_diff import ChangedFile, SeriesDiff
from orchestrator.plan.reach_order import Changes, changed_reach, nearest_maps
from orchestrator.plan.suite_workloads import suite_name
from orchestrator.run.delay_targets import fill_tree
from orchestrator.run.kernels import Kernels, Request
from orchestrator.run.reach_maps import content_of, extents, functions_run, keep_map, kept_map, kept_maps

_HASH_SECONDS = 60.0
# Their counts are of a kernel that had gone wrong, or of none.
_TELLS_NOTHING = (Outcome.CRASHED, Outcome.BOOT_FAILED, Outcome.BUILD_FAILED, Outcome.LOST)


@dataclass(frozen=True, kw_only=True, slots=True)
class NotRecorded:
    """A cell that contributed nothing to a map, and why."""

    cell: str
    why: str


def identities(builds: Sequence[Build], kernels: Kernels) -> dict[Build, KernelIdentity]:
    """The kernels of which maps are asked for, before they are built."""
    source, until = kernels.source, Deadline.after(_HASH_SECONDS, "the versions of the compilers")
    with scratch_folder() as scratch:
        return {
            build: KernelIdentity(
                source=source.sha256,
                version=source.version,
                arch=build.arch,
                build=kernels.key(build, Path(scratch) / "log", until),
                flavour=build.flavour,
                selftests=kernels.targets(build),
            )
            for build in builds
        }


def not_in_maps(
    cells: Sequence[Cell], kernels: Mapping[Build, KernelIdentity], folders: Collection[str], cache: Path
) -> tuple[Cell, ...]:
    """The cells whose workload is in no map as it is now, or was recorded for a shorter time."""
    known = {build: kept_map(cache, kernel, folders) for build, kernel in kernels.items()}
    missing = {cell.name for cell in cells if not _is_in(cell, known[cell.build])}
    # Their kernel has the options that all of their folders ask for: with fewer of them it would be another one.
    together = {cell.build for cell in cells if cell.workload.selftests and cell.name in missing}
    return tuple(cell for cell in cells if cell.name in missing or cell.build in together)


def _is_in(cell: Cell, map_: ReachMap | None) -> bool:
    content, command = content_of(cell.workload), cell.workload.command
    # A command that is not told the seconds ends when it has done all.
    timed = not command or "{seconds}" in " ".join(command)
    return map_ is not None and any(
        one.workload == cell.workload.name and one.content == content and (one.seconds >= cell.seconds or not timed)
        for one in map_.workloads
    )


def keep_recorded(report: RunReport, kernels: Mapping[Build, KernelIdentity], cache: Path) -> tuple[NotRecorded, ...]:
    """Put what the guests of a run recorded into the maps; returns the cells that recorded nothing."""
    missing: list[NotRecorded] = []
    for image in report.builds:
        cells = [cell for cell in report.cells if cell.cell.build == image.build]
        recorded = [cell for cell in cells if _tells(cell)]
        if recorded and not isinstance(image, BuildFailure):
            _keep(image, kernels[image.build], recorded, cache)
        missing += [NotRecorded(cell=cell.cell.name, why=_why(cell)) for cell in cells if cell not in recorded]
    return tuple(missing)


def _tells(cell: CellReport) -> bool:
    return bool(cell.run and cell.run.executed) and cell.verdict.outcome not in _TELLS_NOTHING


def _why(cell: CellReport) -> str:
    if cell.verdict.outcome in _TELLS_NOTHING:
        return f"{cell.verdict.outcome}: {cell.verdict.title}"
    return f"{cell.verdict.outcome}, and the guest did not say what it ran"


def _keep(image: KernelImage, kernel: KernelIdentity, cells: Sequence[CellReport], cache: Path) -> None:
    code = recorded_of(image)
    if code is None:
        raise InfraError(
            f"{image.vmlinux.parent} is gone: nothing tells which function a block is of", hint="patchrig reach --again"
        )
    workloads = tuple(
        WorkloadReach(
            workload=cell.cell.workload.name,
            content=content_of(cell.cell.workload),
            seconds=cell.cell.seconds,
            outcome=str(cell.verdict.outcome),
            ran=functions_run(code, cell.run.executed),
            suite=suite_name(cell.cell.workload),
            guest_seconds=cell.run.guest_seconds,
        )
        for cell in cells
        if cell.run and cell.run.executed
    )
    keep_map(cache, ReachMap(kernel=kernel, folders=code.folders, functions=extents(code), workloads=workloads))


def maps_at(kernels: Mapping[Build, KernelIdentity], folders: Collection[str], cache: Path) -> tuple[ReachMap, ...]:
    """The maps of these kernels that there are."""
    found = (kept_map(cache, kernel, folders) for kernel in kernels.values())
    return tuple(map_ for map_ in found if map_)


def series_reach(request: Request, kernels: Kernels, listener: Listener) -> ChangedReach | None:
    """What the maps of the cache tell of the series that is about to be run; None for no series, or a part of one."""
    patched = [cell for cell in request.cells if cell.build.variant is Variant.PATCHED]
    if not patched or not kernels.series.patches or kernels.part is not None:
        return None
    source, hint = kernels.source, _hint(request)
    lookups = request.lookups
    maps = lookups.maps if lookups.version == source.version else kept_maps(request.cache, source.sha256)
    maps = nearest_maps(maps, source=source.sha256, version=source.version)
    if not maps:
        return ChangedReach(hint=hint)
    listener(Step(text="looking up what the series changes in the reach maps"))
    try:
        fill_tree(source, kernels.series, cache=request.cache, listener=listener)
        diff = kernels.diffs.of_source(kernels.series, cache=request.cache, source_sha256=source.sha256)
    except (InfraError, OSError):
        # A series that does not fit is an outcome of the build, and told there with file and hunk. Another run may be
        # replacing the tree at this moment, which costs this one no more than its list.
        return None
    workloads = tuple(dict.fromkeys(cell.workload.name for cell in patched))
    return changed_reach(workloads, changes_of(diff), maps, source=source.sha256, hint=hint)


def _hint(request: Request) -> str:
    # What patchrig chose was chosen from all workloads.
    matrix = "mm" if request.choices else str(request.plan.path)
    suites = [suite_name(load) for load in request.plan.workloads]
    matrix_or_suites = [matrix, *(word for name in suites for word in ("--suite", name))] if all(suites) else [matrix]
    which = ["--tree", str(request.tree)] if request.tree else ["--kernel", request.plan.matrix.kernel]
    return shlex.join(["patchrig", "reach", *matrix_or_suites, *which])


def changes_of(diff: SeriesDiff) -> Changes:
    """The changed functions, and what calls them in the files of the series; system calls as maps name them."""
    functions = (SourceFunction(one.file, plain_name(one.name)) for one in diff.functions)
    calls = {
        SourceFunction(path, plain_name(name)): words
        for path, text in diff.texts.items()
        for name, words in calls_in(text)
    }
    new = frozenset(file.path for file in diff.files if _is_new(file))
    return Changes(functions=tuple(dict.fromkeys(functions)), calls=calls, new_files=new)


def _is_new(file: ChangedFile) -> bool:
    return all(line.kind == "+" for hunk in file.hunks for line in hunk)
