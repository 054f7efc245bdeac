# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig settle`: find the two places, build a kernel that holds tasks there, force both orders."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.guest.place_counts import meetings_in
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.text import capped_lines
from orchestrator.judge.same_finding import finding_of, shows
from orchestrator.judge.settled import ClaimCell, first_finding, settled
from orchestrator.kernel.code.claimed_places import defines, missing, place_in
from orchestrator.kernel.code.whole_diff import patched_files
from orchestrator.kernel.series.load import BASELINE
from orchestrator.kernel.source.tree import kept_tree
from orchestrator.model.cells import Build
from orchestrator.model.claims import SIDES, ClaimedPlace, Decision, Place, Settled
from orchestrator.model.configuration import Variant, Workload
from orchestrator.model.events import Listener, Notice, Step
from orchestrator.model.images import BuildFailure
from orchestrator.model.reach import DEFAULT_FOLDERS
from orchestrator.model.reports import CellReport
from orchestrator.plan.claimed_cells import claim_cells, without_delays, workloads_for
from orchestrator.plan.reach_order import nearest_maps
from orchestrator.report.store import Store
from orchestrator.run.delay_targets import fill_tree
from orchestrator.run.deterministic_cells import deterministic_kernel, run_deterministic
from orchestrator.run.kernels import Building, Kernels, Request, open_kernels
from orchestrator.run.matrix import run_kernels
from orchestrator.run.reach_maps import kept_maps

_APPLY_SECONDS = 60.0
# A definition there is none of the kernel's own.
_NOT_KERNEL = ("tools/", "samples/", "scripts/", "Documentation/", "usr/")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimTask:
    """What is to be settled, and how much is to be tried."""

    places: tuple[Place, Place]
    schedules: int
    choose: bool  # the workloads of the request are those to choose from; else all of them run


def settle(request: Request, task: ClaimTask, store: Store, listener: Listener) -> Settled:
    """Each schedule is a cell of the store's run; the first that finds a bug of its kernel is the last."""
    with open_kernels(request, listener) as kernels:
        build = request.cells[0].build
        found = claimed_places(kernels, build, task.places, listener)
        if not isinstance(found, tuple):
            return Settled(decision=Decision.NOT_REACHABLE, why=found)
        workloads = _workloads(kernels, found, task, listener)
        files = tuple(dict.fromkeys(place.file for place in found))
        request = replace(
            request,
            cells=claim_cells(request.plan.matrix, workloads, task.schedules),
            delayed_files=files,
            claimed=found,
            deterministic=True,
            until_finding=True,
            in_order=True,
        )
        kernels = replace(kernels, request=request)
        if stopped := _built(kernels, build, found, store, listener):
            return stopped
        run_kernels(kernels, request, store, listener)
        return _settled(found, store, request, listener, sandbox=kernels.sandbox)


def _settled(
    places: tuple[ClaimedPlace, ...], store: Store, request: Request, listener: Listener, *, sandbox: bool
) -> Settled:
    ended = [_claim_cell(report, store.folder) for report in store.report().cells]
    found = first_finding(ended)
    alone = _shown_alone(found.report, store, len(request.cells) + 1, listener, sandbox=sandbox) if found else None
    return settled(places, ended, alone=alone)


def _claim_cell(report: CellReport, run: Path) -> ClaimCell:
    console = run / report.folder / "console.log"
    if not report.folder or not console.exists():
        return ClaimCell(report=report, meetings=None)
    with console.open("rb") as lines:
        return ClaimCell(report=report, meetings=meetings_in(capped_lines(lines)))


def _shown_alone(found: CellReport, store: Store, number: int, listener: Listener, *, sandbox: bool) -> bool | None:
    """Whether the same cell shows its finding where nobody is delayed; None: the guest was lost."""
    finding = finding_of(found)
    assert finding
    listener(Notice(text=f"{found.cell.name}: {finding.title}; the same cell without delays is next"))
    cell = without_delays(found.cell, number)
    bootable = deterministic_kernel(store.report(), cell, store, listener, sandbox=sandbox)
    try:
        return shows(run_deterministic(cell, bootable, store, listener), finding)
    except InfraError as why:
        listener(Notice(text=f"the cell without delays found out nothing: {why}"))
        return None


def _built(
    kernels: Kernels, build: Build, places: tuple[ClaimedPlace, ...], store: Store, listener: Listener
) -> Settled | None:
    """None where the kernel is there and has code at both places."""
    image = kernels.image(build, Building(log_dir=store.build_folder(build), listener=listener))
    if isinstance(image, BuildFailure):
        store.add_build(image)
        return Settled(decision=Decision.UNDECIDED, why=f"{build.name}: {image.outcome}: {image.title}")
    why = missing(image.coverage, places) if image.coverage else f"{build.name} has no blocks that can be counted"
    return Settled(decision=Decision.NOT_REACHABLE, why=why) if why else None


def _workloads(
    kernels: Kernels, places: tuple[ClaimedPlace, ...], task: ClaimTask, listener: Listener
) -> tuple[Workload, ...]:
    request, source = kernels.request, kernels.source
    own = request.plan.workloads
    if not task.choose:
        return own
    maps = nearest_maps(kept_maps(request.cache, source.sha256), source=source.sha256, version=source.version)
    chosen, how = workloads_for(places, own, maps)
    listener(Notice(text=f"workloads: {', '.join(load.name for load in chosen)}: {how}"))
    return chosen


def claimed_places(
    kernels: Kernels, build: Build, places: tuple[Place, Place], listener: Listener
) -> tuple[ClaimedPlace, ...] | str:
    """Both places in the source that the build has; a text that says which is not there."""
    listener(Step(text="looking for the two places in the source"))
    source, cache = kernels.source, kernels.request.cache
    series = BASELINE if build.variant is Variant.BASELINE else kernels.tested
    fill_tree(source, series, cache=cache, listener=listener)
    tree = kept_tree(cache, source.sha256)
    if tree is None:
        raise InfraError("the private source tree is gone", hint="the same command again")
    found = []
    for side, place in zip(SIDES, places, strict=True):
        touched = [str(path) for path in series.touched if path.suffix == ".c"]
        paths = {place.file} if place.file else {*touched, *_files_with(tree.src, place.function)}
        until = Deadline.after(_APPLY_SECONDS, "the source with the series")
        contents = patched_files(series, tree, paths, until=until)
        texts = {path: data.decode(errors="replace") for path, data in contents.items() if path.endswith(".c")}
        one = place_in(place, texts)
        if isinstance(one, str):
            return f"{side}: {place.text}: {one}"
        found.append(one)
    return tuple(found)


def _files_with(src: Path, function: str) -> tuple[str, ...]:
    """C files of a pristine tree that define a function: those of mm/, or else those of all folders."""
    for folders in (DEFAULT_FOLDERS, ("",)):
        paths = (path for folder in folders for path in sorted((src / folder).rglob("*.c")))
        if found := tuple(_that_define(paths, src, function)):
            return found
    return ()


def _that_define(paths: Iterable[Path], src: Path, function: str) -> Iterator[str]:
    for path in paths:
        name = path.relative_to(src).as_posix()
        if name.startswith(_NOT_KERNEL) or not path.is_file() or path.is_symlink():
            continue
        if defines(path.read_bytes().decode(errors="replace"), function):
            yield name
