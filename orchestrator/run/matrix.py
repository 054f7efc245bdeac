# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of a run: source, series, builds, guests, verdicts, report."""

import os
import platform
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from orchestrator.guest.archive import add_blocks
from orchestrator.guest.keys import RunKeys, load_keys, new_keys, save_keys
from orchestrator.host import deadline, paths, process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, of_this_machine
from orchestrator.host.files import sha256_of
from orchestrator.host.lock import in_use
from orchestrator.kernel.build.prepare import BuildContext, from_tarball, from_tree, prepare
from orchestrator.kernel.series.load import BASELINE, Series, load_series
from orchestrator.kernel.source.overlay import Overlay, load_overlay
from orchestrator.kernel.source.tree import PreparedSource
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.events import SOURCE, CellEnded, CellStarted, Listener, Notice, PhaseBegan, Step
from orchestrator.model.guests import Fault
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.phases import Phase
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.plan.config import Plan, load_kernel_source
from orchestrator.plan.flavours import needs_of
from orchestrator.report.earlier import read_earlier
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, Guests, vm_spec
from orchestrator.run.capacity import Room, available_memory_mib
from orchestrator.run.cell import run_cell
from orchestrator.run.crash_source import kept_explainer, new_explainer
from orchestrator.run.delay_targets import check_changed, check_targets
from orchestrator.run.endings import interrupted_report, lost_report, or_bug, recorded
from orchestrator.run.guest_files import (
    guest_folder,
    initramfs_name,
    keep,
    make_initramfs,
    workload_sources,
    write_repro,
)
from orchestrator.run.order import Schedule, as_given, edited_files, scheduled
from orchestrator.run.sandboxing import builds_in_sandbox, guests_in_sandbox
from orchestrator.run.scheduler import INTERRUPTED, Duties, Stop, dispatch
from orchestrator.run.snapshots import snapshots
from orchestrator.run.stopwatch import Stopwatch
from orchestrator.vm.accelerator import kvm_impossible, kvm_state, qemu_version

HOURS = 3600.0
# One lost cell may be an accident; two in a row say that this machine can't do it.
_LOST_IN_A_ROW = 2
_ONE_CELLS = (Fault.GUEST, Fault.OURS)
GOOD = frozenset({Outcome.PASSED, Outcome.SKIPPED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a command was asked to do, paths resolved."""

    plan: Plan
    cells: tuple[Cell, ...]
    series: tuple[Path, ...]
    series_version: str = ""  # of those in a mailbox; "": there is one only
    tree: Path | None = None
    jobs: int | None = None  # None: as cores and memory allow
    fail_fast: bool = False
    until_fail: bool = False  # the cells are repeats: the first that is bad ends them, and the rest were never wanted
    sandbox: bool = True
    dump_memory: bool = False  # keep the whole memory of a guest that hangs
    restore: bool = True  # cells with the same guest: it is booted once, and restored for the others
    cache: Path = field(default_factory=paths.cache_root)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kit:
    """What all builds of a request share."""

    request: Request
    source: PreparedSource
    series: Series
    sandbox: bool

    def image(
        self,
        build: Build,
        *,
        log_dir: Path,
        listener: Listener,
        more: Series = BASELINE,
        background: bool = False,
    ) -> KernelImage | BuildFailure:
        """Build one kernel, or take it from the cache; `more` is applied on top of the series.

        In the background, guests go first.
        """
        series = BASELINE if build.variant is Variant.BASELINE else self.series
        series = replace(series, patches=(*series.patches, *more.patches))
        context = BuildContext(
            cache=self.request.cache,
            log_dir=log_dir,
            sandbox=self.sandbox,
            on_event=listener,
            background=background,
        )
        reached = {file for load in self.request.plan.workloads for file in load.files}
        overlay = overlay_of(build, self.series, reached)
        return prepare(
            build, source=self.source, series=series, fragments=fragments_of(build), context=context, overlay=overlay
        )


@contextmanager
def open_kit(request: Request, listener: Listener) -> Iterator[Kit]:
    """Fetch the source and read the series. Raises UserError for a bad patch or tree, InfraError without a source."""
    _check_cache(request.cache)
    until = Deadline.after(2 * HOURS, "the kernel source")
    with paths.scratch_folder() as scratch, in_use(request.cache, until):
        log = Path(scratch) / "log"
        # git reads the series, so the sandbox is asked for before.
        sandbox = builds_in_sandbox(request.sandbox, listener)
        # The series first: a patch that is none should not wait for a download.
        wanted_version = request.series_version
        series = load_series(request.series, tree=request.tree, log=log, until=until, version=wanted_version)
        for text in series.notices:
            listener(Notice(text=text))
        if request.tree:
            source = from_tree(request.tree, revision=series.base, cache=request.cache, log=log)
        else:
            wanted = load_kernel_source(request.plan.matrix.kernel)
            source = from_tarball(wanted, cache=request.cache, on_event=listener)
        check_changed(request.cells, source, series, cache=request.cache, log_dir=Path(scratch), listener=listener)
        yield Kit(request=request, source=source, series=series, sandbox=sandbox)


def _check_cache(cache: Path) -> None:
    """Raise InfraError where nothing can be written to the cache: asked at once, and not after a download."""
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if cache == paths.cache_root() and not paths.cache_is_named() and cache.stat().st_uid == os.geteuid():
            cache.chmod(0o700)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as e:
        why = of_this_machine(e)
        raise InfraError(f"the cache can't be written: {why}", hint=why.hint) from e


def fragments_of(build: Build) -> tuple[Path, ...]:
    """The kconfig fragments of a build, in the order in which they are merged."""
    names = ("base", build.arch, *build.flavour.split("+"))
    return tuple(paths.KCONFIG / f"{name}.config" for name in names)


def overlay_of(build: Build, series: Series, reached: Collection[str]) -> Overlay | None:
    """The code that a flavour adds to the kernel, aimed at the series; the baseline is widened in the same places."""
    name = next((part for part in build.flavour.split("+") if needs_of(part).overlay), "")
    return load_overlay(paths.OVERLAYS / name, series, reached) if name else None


def run_matrix(request: Request, store: Store, listener: Listener) -> RunReport:
    """Build and run every cell; what has finished is in the store whatever happens."""
    stopwatch = Stopwatch(SOURCE)
    stopwatch.begin(Phase.FETCH)
    with open_kit(request, stopwatch.listening(listener)) as kit:
        store.add_timing(SOURCE, stopwatch.stop())
        keys = new_keys()
        save_keys(keys, guest_folder(store))
        runner = _Runner(request=request, store=store, listener=listener, keys=keys, sandbox=kit.sandbox)

        def load(build: Build, background: bool, listener: Listener) -> Bootable | None:
            folder = store.build_folder(build)
            image = kit.image(build, log_dir=folder, listener=listener, background=background)
            store.add_build(image)
            if isinstance(image, BuildFailure):
                runner.record(*(unbuilt_report(cell, image) for cell in request.cells if cell.build == build))
                return None
            listener(PhaseBegan(what=build.name, phase=Phase.PACK))
            explainer = new_explainer(image, kit.series, cache=request.cache, folder=folder, sandbox=kit.sandbox)
            return replace(runner.bootable(image), explainer=explainer)

        runner.run(_scheduled(request, kit.series, store), load)
    return store.save()


def rerun(report: RunReport, cells: Sequence[Cell], request: Request, store: Store, listener: Listener) -> RunReport:
    """Cells of an earlier run again, from its folder: same kernel, same initramfs, same seeds."""
    old = report.folder
    keys = load_keys(old / "guest")
    sandbox = guests_in_sandbox(request.sandbox, listener)
    runner = _Runner(request=request, store=store, listener=listener, keys=keys, sandbox=sandbox)

    def load(build: Build, background: bool, listener: Listener) -> Bootable:
        del background
        listener(PhaseBegan(what=build.name, phase=Phase.PACK))
        known = next((image for image in report.builds if image.build == build), None)
        if not isinstance(known, KernelImage):
            raise InfraError(f"{report.id} has no kernel for {build.name}: it was never built")
        image = kept_image(known, old)
        store.add_build(image)
        explainer = kept_explainer(
            image, old, cache=request.cache, folder=store.build_folder(build), sandbox=request.sandbox
        )
        bootable = Bootable(kernel=image, initramfs=old / "guest" / initramfs_name(image), explainer=explainer)
        keep(bootable, keys, store)
        return bootable

    runner.run(as_given(cells), load)
    return store.save()


def _scheduled(request: Request, series: Series, store: Store) -> Schedule:
    """The order in which things are begun, by what earlier runs of the matrix tell."""
    store.plan(request.cells, series.by_file)
    folder = store.folder
    earlier = read_earlier(folder.parent, matrix_path=str(request.plan.path), before=folder.name)
    return scheduled(request.cells, earlier, edited_files(series.by_file, earlier.series))


def kept_image(image: KernelImage, folder: Path) -> KernelImage:
    """The image as a run's own folder holds it: the cache may have been cleaned since."""
    builds = folder / "builds" / image.build.name
    if not (builds / "image").exists():
        raise InfraError(f"{builds / 'image'} is gone", hint="patchrig run ...  # makes a run of its own again")
    if image.hashes.get("image") not in (None, sha256_of(builds / "image")):
        raise InfraError(
            f"{builds / 'image'} is not what was booted", hint="patchrig run ...  # makes a run of its own"
        )
    return replace(image, image=builds / "image", config=builds / "config", log=builds / "build.log")


def unbuilt_report(cell: Cell, failure: BuildFailure) -> CellReport:
    verdict = Verdict(outcome=failure.outcome, title=failure.title, reasons=(failure.detail,))
    return CellReport(cell=cell, verdict=verdict, run=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Loaded:
    """What the cells of one build start from."""

    bootable: Bootable
    guests: Guests


@dataclass(slots=True)
class _Runner:
    """Runs cells side by side and records them as they end."""

    request: Request
    store: Store
    listener: Listener
    keys: RunKeys
    sandbox: bool
    _kvm: dict[str, bool] = field(default_factory=dict)
    _recording: threading.Lock = field(default_factory=threading.Lock)
    _lost: int = 0
    _bad: str = ""  # the first cell that was, and how

    def bootable(self, image: KernelImage) -> Bootable:
        """The image with this run's initramfs for its arch; both kept in the run's folder, for repro."""
        arch = ARCHES[image.build.arch]
        initramfs = guest_folder(self.store) / f"initramfs.{arch.name}"
        if not initramfs.exists():
            self.listener(Step(text=f"the guest's root file system for {arch.name}"))
            workloads = workload_sources(cell.workload for cell in self.request.cells)
            initramfs = make_initramfs(arch, workloads, self.keys, cache=self.request.cache, output=initramfs)
        if image.coverage:
            initramfs = add_blocks(initramfs, image.coverage, output=initramfs.with_name(initramfs_name(image)))
        bootable = Bootable(kernel=image, initramfs=initramfs)
        keep(bootable, self.keys, self.store)
        return bootable

    def run(self, schedule: Schedule, load: Callable[[Build, bool, Listener], Bootable | None]) -> None:
        """Run the cells on what `load` makes of their builds; raises InfraError where this machine loses cells."""
        room = Room(cores=os.cpu_count() or 1, memory_mib=available_memory_mib(), jobs=self.request.jobs)

        def build(one: Build, background: bool) -> _Loaded | None:
            stopwatch = Stopwatch(one.name)
            try:
                cells = [cell for cell in schedule.cells if cell.build == one]
                bootable = or_bug(lambda: load(one, background, stopwatch.listening(self.listener)))
                if isinstance(bootable, Exception):
                    # A series decides on what our code reads of its build: one that finds a bug in it loses its cells.
                    self.record(*(lost_report(cell, bootable, self.store.build_folder(one)) for cell in cells))
                    return None
                if bootable is None:
                    return None
                check_targets(cells, bootable.kernel)
                guests = self._guests(cells[0], bootable)
                specs = [vm_spec(cell, bootable, guests) for cell in cells]
                states = saved.enter_context(snapshots(specs, restoring=self.request.restore))
                return _Loaded(bootable=bootable, guests=replace(guests, states=states))
            finally:
                self.store.add_timing(one.name, stopwatch.stop())

        duties = Duties(build=build, run=self._one, stop=self._stop, skip=self._skip, end=end_guests)
        with ExitStack() as saved:  # until the last cell of the last build has ended
            dispatch(schedule, room, duties)
        if self._lost >= _LOST_IN_A_ROW:
            raise InfraError(
                f"{self._lost} cells in a row were lost to this machine's own trouble",
                hint=f"less {self.store.folder / 'summary.txt'}; patchrig doctor",
            )

    def record(self, *reports: CellReport) -> None:
        self.store.add_cells(reports)
        self._count(*reports)

    def _count(self, *reports: CellReport) -> None:
        with self._recording:
            for report in reports:
                self.listener(CellEnded(report=report))
                outcome = report.verdict.outcome
                # What a guest or a bug of ours did says nothing of the next cell; what this machine did may.
                if outcome is Outcome.LOST and not (report.run and report.run.fault in _ONE_CELLS):
                    self._lost += 1
                elif outcome is not Outcome.SKIPPED:
                    self._lost = 0
                if outcome not in GOOD:
                    self._bad = self._bad or f"{report.cell.name}: {outcome}"

    def _one(self, cell: Cell, loaded: _Loaded, guest_ended: Callable[[], None]) -> None:
        folder = self.store.cell_folder(cell)
        write_repro(cell, loaded.bootable, loaded.guests, folder)
        self.listener(CellStarted(cell=cell))
        if self.request.until_fail:
            # Whether there is to be another one, the verdict decides.
            guest_ended = _later
        bootable, guests = loaded.bootable, loaded.guests
        report = run_cell(cell, bootable, guests, folder=folder, listener=self.listener, guest_ended=guest_ended)
        self._count(recorded(report, self.store.add_cell, folder))

    def _stop(self) -> Stop | None:
        if self._lost >= _LOST_IN_A_ROW:
            return Stop(why=f"{self._lost} cells in a row were lost to this machine's own trouble", at_once=True)
        if self._bad and self.request.fail_fast:
            return Stop(why=f"--fail-fast, and {self._bad}", at_once=True)
        return Stop(why=self._bad, at_once=False) if self._bad and self.request.until_fail else None

    def _skip(self, cells: Sequence[Cell], why: str) -> None:
        if not self.request.until_fail:
            self.record(*(interrupted_report(cell, why) for cell in cells))

    def _guests(self, cell: Cell, bootable: Bootable) -> Guests:
        arch = cell.build.arch
        allow, dump = self.request.plan.matrix.allow, self.request.dump_memory
        guests = Guests(keys=self.keys, kvm=frozenset(), allow=allow, dump_memory=dump, sandbox=self.sandbox)
        if arch not in self._kvm:
            self._kvm[arch] = usable_kvm(cell, bootable, guests, cache=self.request.cache, listener=self.listener)
        return replace(guests, kvm=frozenset({arch}) if self._kvm[arch] else frozenset())


def _later() -> None:
    """The room of a guest is given back with its cell's end."""


def end_guests(why: str = INTERRUPTED) -> None:
    """End every wait and every child process: the run is over."""
    deadline.cancel(why)
    process.end_all()


def usable_kvm(cell: Cell, bootable: Bootable, guests: Guests, *, cache: Path, listener: Listener) -> bool:
    """Whether this cell's guests run under KVM here; says so where one would have expected it and it does not."""
    arch = ARCHES[cell.build.arch]
    if kvm_impossible(arch):
        return False
    spec = replace(vm_spec(cell, bootable, guests), kvm=True, disk_mib=())
    state = kvm_state(spec, cache=cache)
    if not state.usable:
        listener(Notice(text=f"KVM does not boot a guest here ({state.why}): emulating {arch.name} with TCG"))
    return state.usable


def versions(arches: Iterable[str]) -> dict[str, str]:
    """What a report says of this machine."""
    found = {"patchrig": version("patchrig"), "python": platform.python_version(), "host": platform.release()}
    for name in arches:
        found[f"qemu {name}"] = qemu_version(ARCHES[name])
    return found
