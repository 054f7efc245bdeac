# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of a run: series, builds, cells, verdicts, report."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

from orchestrator.guest.keys import load_keys, new_keys, save_keys
from orchestrator.host.errors import InfraError
from orchestrator.judge.suite_comparison import comparisons
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Build, Cell
from orchestrator.model.events import SOURCE, CellEnded, CellStarted, Listener, Notice, PhaseBegan
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.phases import Phase
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.earlier import read_earlier
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, BootFiles, Guests, Startable, kept_bootable, vm_spec
from orchestrator.run.capacity import Room, available_memory_mib
from orchestrator.run.cell import Observed, observe
from orchestrator.run.crash_source import kept_explainer, new_explainer
from orchestrator.run.delay_targets import check_targets
from orchestrator.run.endings import or_bug
from orchestrator.run.guest_files import guest_folder, keep, write_repro
from orchestrator.run.judging import interrupted_report, judge_cell, lost_report, record, unbuilt_report
from orchestrator.run.kernels import Kernels, Request, open_kernels
from orchestrator.run.losses import LossWatch
from orchestrator.run.order import Schedule, as_given, edited_files, scheduled
from orchestrator.run.sandboxing import guests_in_sandbox
from orchestrator.run.scheduler import Steps, Stop, Unbuilt, working
from orchestrator.run.snapshots import snapshots
from orchestrator.run.stopwatch import Stopwatch
from orchestrator.run.suite_results import keep_parser
from orchestrator.vm.accelerator import qemu_version


def run_matrix(request: Request, store: Store, listener: Listener) -> RunReport:
    """Build and run every cell; what has finished is in the store whatever happens."""
    stopwatch = Stopwatch(SOURCE)
    stopwatch.begin(Phase.FETCH)
    with open_kernels(request, stopwatch.listening(listener)) as kernels:
        store.add_timing(SOURCE, stopwatch.stop())
        store.plan(request.cells, kernels.series.by_file)
        files = _boot_files(request, store, listener, sandbox=kernels.sandbox)
        save_keys(files.guests.keys, files.folder)
        _run_cells(
            _by_earlier_runs(request, kernels, store),
            partial(_new_kernel, kernels, files, store),
            files,
            store,
            request,
        )
    return store.save()


def rerun(report: RunReport, cells: Sequence[Cell], request: Request, store: Store, listener: Listener) -> RunReport:
    """Cells of an earlier run again, from its folder: same kernel, same initramfs, same seeds."""
    sandbox = guests_in_sandbox(request.sandbox, listener)
    files = _boot_files(request, store, listener, sandbox=sandbox)
    files.guests = replace(files.guests, keys=load_keys(report.folder / "guest"))
    _run_cells(as_given(cells), partial(_kept_kernel, report, store, request), files, store, request)
    return store.save()


def _boot_files(request: Request, store: Store, listener: Listener, *, sandbox: bool) -> BootFiles:
    guests = Guests(keys=new_keys(), allow=request.plan.matrix.allow, dump_memory=request.dump_memory, sandbox=sandbox)
    workloads = tuple(cell.workload for cell in request.cells)
    return BootFiles(
        folder=guest_folder(store), guests=guests, workloads=workloads, cache=request.cache, listener=listener
    )


def _by_earlier_runs(request: Request, kernels: Kernels, store: Store) -> Schedule[Build, Cell]:
    """The order in which things are begun, by what earlier runs of the matrix tell."""
    folder = store.folder
    earlier = read_earlier(folder.parent, matrix_path=str(request.plan.path), before=folder.name)
    return scheduled(request.cells, earlier, edited_files(kernels.series.by_file, earlier.series))


def _new_kernel(
    kernels: Kernels, files: BootFiles, store: Store, build: Build, background: bool, listener: Listener
) -> Bootable | BuildFailure:
    folder = store.build_folder(build)
    image = kernels.image(build, log_dir=folder, listener=listener, background=background)
    store.add_build(image)
    if isinstance(image, BuildFailure):
        return image
    listener(PhaseBegan(what=build.name, phase=Phase.PACK))
    cache = kernels.request.cache
    explainer = new_explainer(
        image, kernels.series, diffs=kernels.diffs, cache=cache, run=store.folder, sandbox=kernels.sandbox
    )
    if not kernels.has_suites(build):
        return files.bootable(image, explainer)
    suites = kernels.suites(build, log_dir=folder, listener=listener, background=background)
    if isinstance(suites, BuildFailure):
        return suites
    if suites.not_built:
        listener(Notice(text=f"{build.name}: tests that do not compile here: {', '.join(suites.not_built)}"))
    bootable = files.bootable(image, explainer, tests=suites.tests)
    return replace(bootable, ktap=keep_parser(suites, folder, sandbox=kernels.sandbox))


def _kept_kernel(
    report: RunReport, store: Store, request: Request, build: Build, _background: bool, listener: Listener
) -> Bootable:
    listener(PhaseBegan(what=build.name, phase=Phase.PACK))
    image = next((image for image in report.builds if image.build == build), None)
    if not isinstance(image, KernelImage):
        raise InfraError(f"{report.id} has no kernel for {build.name}: it was never built")
    explainer = kept_explainer(image, report.folder, cache=request.cache, run=store.folder, sandbox=request.sandbox)
    bootable = kept_bootable(image, report.folder, explainer, sandbox=request.sandbox)
    store.add_build(bootable.kernel)
    return bootable


KernelOf = Callable[[Build, bool, Listener], Bootable | BuildFailure]


def _run_cells(
    schedule: Schedule[Build, Cell], kernel_of: KernelOf, files: BootFiles, store: Store, request: Request
) -> None:
    """Run the cells and record them as they end. Raises InfraError where this machine loses cells."""
    watch = LossWatch()
    room = Room(cores=os.cpu_count() or 1, memory_mib=available_memory_mib(), jobs=request.jobs)
    with ExitStack() as saved:  # snapshots, until the last cell of the last build has ended
        steps = _Steps(schedule=schedule, kernel_of=kernel_of, files=files, store=store, request=request, saved=saved)
        work = saved.enter_context(
            working(
                schedule,
                room,
                Steps(build=steps.build, observe=steps.observe, judge=steps.judge),
                # Whether there is to be another repeat, the verdict decides.
                until_judged=request.until_fail,
                reports_decide=request.until_fail or request.fail_fast,
            )
        )
        for ended in work:
            skipped = [] if request.until_fail else ended.skipped
            reports = [*ended.reports, *(interrupted_report(cell, ended.why_skipped) for cell in skipped)]
            for report in record(reports, store):
                files.listener(CellEnded(report=report))
                watch.count(report)
            if any(report.run and report.run.suite for report in reports):
                store.set_suites(comparisons(store.report().cells))
            work.stop(_stop(watch, request))
    watch.check(f"less {store.folder / 'summary.txt'}; patchrig doctor")


def _stop(watch: LossWatch, request: Request) -> Stop | None:
    if why := watch.why_hopeless():
        return Stop(why=why, at_once=True)
    if watch.bad and request.fail_fast:
        return Stop(why=f"--fail-fast, and {watch.bad}", at_once=True)
    return Stop(why=watch.bad, at_once=False) if watch.bad and request.until_fail else None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Steps:
    """What is done for a build and for a cell, in threads of their own."""

    schedule: Schedule[Build, Cell]
    kernel_of: KernelOf
    files: BootFiles
    store: Store
    request: Request
    saved: ExitStack

    def build(self, build: Build, background: bool) -> Startable | Unbuilt[CellReport]:
        stopwatch = Stopwatch(build.name)
        cells = [cell for cell in self.schedule.jobs if cell.build == build]
        try:
            listener = stopwatch.listening(self.files.listener)
            bootable = or_bug(lambda: self.kernel_of(build, background, listener))
            if isinstance(bootable, Exception):
                # A series decides on what our code reads of its build: one that finds a bug in it loses its cells.
                folder = self.store.build_folder(build)
                return Unbuilt(reports=tuple(lost_report(cell, bootable, folder) for cell in cells))
            if isinstance(bootable, BuildFailure):
                return Unbuilt(reports=tuple(unbuilt_report(cell, bootable) for cell in cells))
            return self._ready(bootable, cells)
        finally:
            self.store.add_timing(build.name, stopwatch.stop())

    def _ready(self, bootable: Bootable, cells: Sequence[Cell]) -> Startable:
        keep(bootable, self.files.guests.keys, self.store)
        check_targets(cells, bootable.kernel)
        guests = self.files.guests_of(cells[0], bootable)
        specs = [vm_spec(cell, bootable, guests) for cell in cells]
        kept = self.saved.enter_context(snapshots(specs, restoring=self.request.restore))
        return Startable(bootable=bootable, guests=replace(guests, snapshots=kept))

    def observe(self, cell: Cell, ready: Startable) -> Observed:
        folder = self.store.cell_folder(cell)
        write_repro(cell, ready.bootable, ready.guests, folder)
        self.files.listener(CellStarted(cell=cell))
        return observe(cell, ready.bootable, ready.guests, folder=folder, listener=self.files.listener)

    def judge(self, cell: Cell, ready: Startable, observed: Observed) -> CellReport:
        self.files.listener(PhaseBegan(what=cell.name, phase=Phase.JUDGE))
        return judge_cell(cell, observed, ready.bootable, ready.guests.allow)


def versions(arches: Iterable[str]) -> dict[str, str]:
    """What a report says of this machine."""
    known = {"patchrig": version("patchrig"), "python": platform.python_version(), "host": platform.release()}
    return known | {f"qemu {name}": qemu_version(ARCHES[name]) for name in arches}
