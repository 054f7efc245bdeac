# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of a run: series, builds, cells, verdicts, report."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from orchestrator.guest.keys import RunKeys
from orchestrator.judge.suite_comparison import comparisons
from orchestrator.model.cells import Build, Cell
from orchestrator.model.events import SOURCE, CellEnded, CellStarted, Listener, Notice, PhaseBegan
from orchestrator.model.images import BuildFailure
from orchestrator.model.phases import Phase
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, BootFiles, Guests, root_mib_of, vm_spec
from orchestrator.run.bootable_kernels import earlier_bootable, new_bootable
from orchestrator.run.capacity import room_here
from orchestrator.run.cell import Observed
from orchestrator.run.cluster_guests import ClusterGuests, cluster_guests
from orchestrator.run.delay_targets import check_targets
from orchestrator.run.endings import or_bug
from orchestrator.run.guest_files import guest_folder, keep
from orchestrator.run.judging import interrupted_report, judge_cell, lost_report, record, unbuilt_report
from orchestrator.run.kept_plan import keep_inputs
from orchestrator.run.kernels import Building, Kernels, Request, open_kernels
from orchestrator.run.losses import LossWatch, watch_over
from orchestrator.run.observed_cell import observed_cell
from orchestrator.run.order import Schedule, as_given
from orchestrator.run.recording import series_reach
from orchestrator.run.rest import rest_of_run
from orchestrator.run.run_keys import keys_of_run, keys_to_repeat
from orchestrator.run.sandboxing import guests_in_sandbox
from orchestrator.run.scheduler import Steps, Stop, Unbuilt, Work, working
from orchestrator.run.snapshots import snapshots
from orchestrator.run.stopwatch import Stopwatch


def run_matrix(request: Request, store: Store, listener: Listener) -> None:
    """Build and run every cell; what has finished is in the store whatever happens. Whoever opened it saves."""
    stopwatch = Stopwatch(SOURCE)
    stopwatch.begin(Phase.FETCH)
    with open_kernels(request, stopwatch.listening(listener)) as kernels:
        store.add_timing(SOURCE, stopwatch.stop())
        run_kernels(kernels, request, store, listener)


def run_kernels(kernels: Kernels, request: Request, store: Store, listener: Listener) -> None:
    """Build and run every cell of the request with these kernels, for a command that has opened them."""
    keep_inputs(store.folder, kernels)
    series = kernels.tested
    store.plan(request.cells, series.by_file, request.left_out, series_title=series.title)
    for text in request.left_out:
        listener(Notice(text=f"left out: {text}"))
    keys = keys_of_run(guest_folder(store))
    files = _boot_files(request, store, listener, keys, sandbox=kernels.sandbox)
    # A run that goes on has it: the maps may have changed since.
    reach = store.report().reach or series_reach(request, kernels, listener)
    store.add_reach(reach)
    schedule = rest_of_run(request, series.by_file, store, reach)
    _run_cells(schedule, partial(_new_kernel, kernels), files, store, request)


def rerun(report: RunReport, cells: Sequence[Cell], request: Request, store: Store, listener: Listener) -> None:
    """Cells of an earlier run again, from its folder: same kernel, same initramfs, same seeds."""
    sandbox = guests_in_sandbox(request.sandbox, listener)
    keys = keys_to_repeat(report.folder / "guest", deterministic=request.deterministic)
    files = _boot_files(request, store, listener, keys, sandbox=sandbox)
    _run_cells(as_given(cells), partial(_kept_kernel, report), files, store, request)


def _boot_files(request: Request, store: Store, listener: Listener, keys: RunKeys, *, sandbox: bool) -> BootFiles:
    guests = Guests(
        keys=keys,
        allow=request.plan.matrix.allow,
        dump_memory=request.dump_memory,
        sandbox=sandbox,
        deterministic=request.deterministic,
    )
    workloads = tuple(cell.workload for cell in request.cells)
    return BootFiles(
        folder=guest_folder(store), guests=guests, workloads=workloads, cache=request.cache, listener=listener
    )


def _new_kernel(
    kernels: Kernels, cells: "_Cells", build: Build, background: bool, listener: Listener
) -> Bootable | BuildFailure:
    store = cells.store
    how = Building(log_dir=store.build_folder(build), listener=listener, background=background)
    image = kernels.image(build, how)
    store.add_build(image)
    if isinstance(image, BuildFailure):
        return image
    listener(PhaseBegan(what=build.name, phase=Phase.PACK))
    return new_bootable(image, kernels, cells.files, how, run=store.folder)


def _kept_kernel(report: RunReport, cells: "_Cells", build: Build, _background: bool, listener: Listener) -> Bootable:
    listener(PhaseBegan(what=build.name, phase=Phase.PACK))
    bootable = earlier_bootable(report, build, cells.files, run=cells.store.folder, sandbox=cells.request.sandbox)
    cells.store.add_build(bootable.kernel)
    return bootable


KernelOf = Callable[["_Cells", Build, bool, Listener], Bootable | BuildFailure]


def _run_cells(
    schedule: Schedule[Build, Cell], kernel_of: KernelOf, files: BootFiles, store: Store, request: Request
) -> None:
    """Run the cells and record them as they end. Raises InfraError where this machine loses cells."""
    watch = watch_over(store.report().cells)
    with ExitStack() as saved:  # snapshots, until the last cell of the last build has ended
        saved.callback(lambda: store.set_suites(comparisons(store.report().cells)))
        cluster = saved.enter_context(cluster_guests(request, store.folder, files.listener))
        cells = _Cells(
            schedule=schedule,
            kernel_of=kernel_of,
            files=files,
            store=store,
            request=request,
            saved=saved,
            cluster=cluster,
        )
        work = saved.enter_context(
            working(
                Work(
                    schedule=schedule,
                    room=cluster.room(request.jobs)
                    if cluster
                    else room_here(request.jobs, one_thread=request.deterministic),
                    steps=Steps(build=cells.start, root_mib=root_mib_of, observe=cells.observe, judge=cells.judge),
                    # Whether there is to be another repeat, the verdict decides.
                    until_judged=request.until_fail,
                    reports_decide=request.until_fail or request.fail_fast or request.until_finding,
                    until=request.until,
                )
            )
        )
        work.stop(_stop(watch, request))
        for ended in work:
            skipped = [] if request.until_fail or request.until_finding else ended.skipped
            reports = [*ended.reports, *(interrupted_report(cell, ended.why_skipped) for cell in skipped)]
            for report in record(reports, store):
                files.listener(CellEnded(report=report))
                watch.count(report)
            work.stop(_stop(watch, request))
    watch.check(f"less {store.folder / 'summary.txt'}; patchrig doctor")


def _stop(watch: LossWatch, request: Request) -> Stop | None:
    if why := watch.why_hopeless():
        return Stop(why=why, at_once=True)
    if watch.finding and request.until_finding:
        return Stop(why=watch.finding, at_once=True)
    if watch.bad and request.fail_fast:
        return Stop(why=f"--fail-fast, and {watch.bad}", at_once=True)
    return Stop(why=watch.bad, at_once=False) if watch.bad and request.until_fail else None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cells:
    """What is done for the cells of a build, and for each of them, in threads of their own."""

    schedule: Schedule[Build, Cell]
    kernel_of: KernelOf
    files: BootFiles
    store: Store
    request: Request
    saved: ExitStack
    cluster: ClusterGuests | None  # None: guests run here

    def start(self, build: Build, background: bool) -> Bootable | Unbuilt[CellReport]:
        stopwatch = Stopwatch(build.name)
        cells = [cell for cell in self.schedule.jobs if cell.build == build]
        try:
            listener = stopwatch.listening(self.files.listener)
            bootable = or_bug(lambda: self.kernel_of(self, build, background, listener))
            if isinstance(bootable, Exception):
                # A series decides on what our code reads of its build: one that finds a bug in it loses its cells.
                folder = self.store.build_folder(build)
                return Unbuilt(reports=tuple(lost_report(cell, bootable, folder) for cell in cells))
            if isinstance(bootable, BuildFailure):
                return Unbuilt(reports=tuple(unbuilt_report(cell, bootable) for cell in cells))
            return self._ready(bootable, cells)
        finally:
            self.store.add_timing(build.name, stopwatch.stop())

    def _ready(self, bootable: Bootable, cells: Sequence[Cell]) -> Bootable:
        keep(bootable, self.store)
        check_targets(cells, bootable.kernel)
        if self.cluster:
            # KVM and snapshots are each machine's own.
            return bootable
        bootable = self.files.with_usable_kvm(bootable, cells[0])
        specs = [vm_spec(cell, bootable) for cell in cells]
        restoring = self.request.restore and not self.request.deterministic
        kept = self.saved.enter_context(snapshots(specs, restoring=restoring))
        return replace(bootable, guests=replace(bootable.guests, snapshots=kept))

    def observe(self, cell: Cell, bootable: Bootable) -> Observed:
        folder = self.store.cell_folder(cell)
        if self.cluster:
            return self.cluster.observe(cell, bootable, folder)
        self.files.listener(CellStarted(cell=cell))
        return observed_cell(cell, bootable, folder=folder, listener=self.files.listener)

    def judge(self, cell: Cell, bootable: Bootable, observed: Observed) -> CellReport:
        self.files.listener(PhaseBegan(what=cell.name, phase=Phase.JUDGE))
        return judge_cell(cell, observed, bootable)
