"""The story of a run: source, series, builds, guests, verdicts, report."""

import os
import platform
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from orchestrator import deadline, paths, process
from orchestrator.aim import check_changed, check_targets
from orchestrator.arch import ARCHES, Arch
from orchestrator.cellrun import Bootable, Guests, interrupted_report, run_cell, vm_spec
from orchestrator.deadline import Deadline
from orchestrator.errors import Cancelled, InfraError
from orchestrator.events import CellEnded, CellStarted, Listener, Notice, Step
from orchestrator.explain import kept_explainer, new_explainer
from orchestrator.guest.archive import GuestFiles, add_blocks, build_initramfs, program_path
from orchestrator.guest.keys import RunKeys, load_keys, new_keys, save_keys
from orchestrator.guest.workload import Limits, disk_sizes, workload_argv
from orchestrator.jobs import available_memory_mib, jobs_for
from orchestrator.kernel.overlay import Overlay, load_overlay
from orchestrator.kernel.prepare import Workbench, from_tarball, from_tree, prepare
from orchestrator.kernel.sandbox import sandbox_usable
from orchestrator.kernel.series import BASELINE, Series, load_series
from orchestrator.kernel.tree import PreparedSource
from orchestrator.model import (
    Build,
    BuildFailure,
    Cell,
    CellReport,
    KernelImage,
    Outcome,
    RunReport,
    Variant,
    Verdict,
    Workload,
)
from orchestrator.plan.config import Plan, load_kernel_source
from orchestrator.plan.flavours import needs_of
from orchestrator.plan.matrix import builds_of
from orchestrator.report.repro import repro_script
from orchestrator.report.store import Store
from orchestrator.vm.accelerator import kvm_impossible, kvm_state, qemu_version
from orchestrator.vm.argv import standalone_argv

HOURS = 3600.0
# One lost cell may be an accident; two in a row say that this machine can't do it.
_LOST_IN_A_ROW = 2
GOOD = frozenset({Outcome.PASSED, Outcome.SKIPPED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a command was asked to do, paths resolved."""

    plan: Plan
    cells: tuple[Cell, ...]
    series: tuple[Path, ...]
    tree: Path | None = None
    jobs: int | None = None  # None: as cores and memory allow
    fail_fast: bool = False
    until_fail: bool = False  # the cells are repeats: the first that is bad ends them, and the rest were never wanted
    sandbox: bool = True
    dump_memory: bool = False  # keep the whole memory of a guest that hangs
    cache: Path = field(default_factory=paths.cache_root)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kit:
    """What all builds of a request share."""

    request: Request
    source: PreparedSource
    series: Series
    sandbox: bool

    def image(
        self, build: Build, *, log_dir: Path, listener: Listener, more: Series = BASELINE
    ) -> KernelImage | BuildFailure:
        """Build one kernel, or take it from the cache; `more` is applied on top of the series."""
        series = BASELINE if build.variant is Variant.BASELINE else self.series
        series = replace(series, patches=(*series.patches, *more.patches))
        bench = Workbench(cache=self.request.cache, log_dir=log_dir, sandbox=self.sandbox, on_event=listener)
        overlay = overlay_of(build, self.series)
        return prepare(
            build, source=self.source, series=series, fragments=fragments_of(build), bench=bench, overlay=overlay
        )


@contextmanager
def open_kit(request: Request, listener: Listener) -> Iterator[Kit]:
    """Fetch the source and read the series. Raises UserError for a bad patch or tree, InfraError without a source."""
    with paths.scratch_folder() as scratch:
        log = Path(scratch) / "log"
        until = Deadline.after(2 * HOURS, "the kernel source")
        # The series first: a patch that is none should not wait for a download.
        series = load_series(request.series, tree=request.tree, log=log, until=until)
        sandbox = _sandbox(request, log, listener)
        if request.tree:
            source = from_tree(request.tree, revision=series.base, log=log)
        else:
            wanted = load_kernel_source(request.plan.matrix.kernel)
            source = from_tarball(wanted, cache=request.cache, on_event=listener)
        check_changed(request.cells, source, series, cache=request.cache, log_dir=Path(scratch), listener=listener)
        yield Kit(request=request, source=source, series=series, sandbox=sandbox)


def fragments_of(build: Build) -> tuple[Path, ...]:
    """The kconfig fragments of a build, in the order in which they are merged."""
    names = ("base", build.arch, *build.flavour.split("+"))
    return tuple(paths.KCONFIG / f"{name}.config" for name in names)


def overlay_of(build: Build, series: Series) -> Overlay | None:
    """The code that a flavour adds to the kernel, aimed at the series; the baseline is widened in the same places."""
    name = next((part for part in build.flavour.split("+") if needs_of(part).overlay), "")
    return load_overlay(paths.OVERLAYS / name, series) if name else None


def run_matrix(request: Request, store: Store, listener: Listener) -> RunReport:
    """Build and run every cell; what has finished is in the store whatever happens."""
    with open_kit(request, listener) as kit:
        keys = new_keys()
        save_keys(keys, _guest_folder(store))
        runner = _Runner(request=request, store=store, listener=listener, keys=keys)
        for build in builds_of(request.cells):
            cells = tuple(cell for cell in request.cells if cell.build == build)
            image = kit.image(build, log_dir=store.build_folder(build), listener=listener)
            store.add_build(image)
            if isinstance(image, BuildFailure):
                for cell in cells:
                    runner.record(unbuilt_report(cell, image))
            else:
                explainer = new_explainer(
                    image, kit.series, cache=request.cache, folder=store.build_folder(build), sandbox=kit.sandbox
                )
                runner.run(cells, replace(runner.bootable(image), explainer=explainer))
    return store.save()


def rerun(report: RunReport, cells: Sequence[Cell], request: Request, store: Store, listener: Listener) -> RunReport:
    """Cells of an earlier run again, from its folder: same kernel, same initramfs, same seeds."""
    old = report.folder
    keys = load_keys(old / "guest")
    runner = _Runner(request=request, store=store, listener=listener, keys=keys)
    for build in builds_of(cells):
        known = next((image for image in report.builds if image.build == build), None)
        if not isinstance(known, KernelImage):
            raise InfraError(f"{report.id} has no kernel for {build.name}: it was never built")
        image = kept_image(known, old)
        store.add_build(image)
        chosen = tuple(cell for cell in cells if cell.build == build)
        bootable = Bootable(
            kernel=image,
            initramfs=old / "guest" / initramfs_name(image),
            explainer=kept_explainer(
                image, old, cache=request.cache, folder=store.build_folder(build), sandbox=request.sandbox
            ),
        )
        runner.keep(bootable, store)
        runner.run(chosen, bootable)
    return store.save()


def kept_image(image: KernelImage, folder: Path) -> KernelImage:
    """The image as a run's own folder holds it: the cache may have been cleaned since."""
    builds = folder / "builds" / image.build.name
    if not (builds / "image").exists():
        raise InfraError(f"{builds / 'image'} is gone", hint="patchrig run ...  # makes a run of its own again")
    return replace(image, image=builds / "image", config=builds / "config", log=builds / "build.log")


def initramfs_name(image: KernelImage) -> str:
    """One for each arch, and for an instrumented kernel one of its own, as that has the kernel's blocks in it."""
    return f"initramfs.{image.build.name if image.coverage else image.build.arch}"


def unbuilt_report(cell: Cell, failure: BuildFailure) -> CellReport:
    verdict = Verdict(outcome=failure.outcome, title=failure.title, reasons=(failure.detail,))
    return CellReport(cell=cell, verdict=verdict, run=None)


def workload_sources(workloads: Iterable[Workload]) -> tuple[tuple[Workload, Path], ...]:
    """Each workload once, with the path of its program."""
    once = {workload.name: workload for workload in workloads}
    return tuple(
        (workload, program_path(workload, paths.GUEST_SCRIPTS / workload.name, paths.GUEST_SCRIPTS))
        for workload in once.values()
    )


@dataclass(slots=True)
class _Runner:
    """Runs cells side by side and records them as they end."""

    request: Request
    store: Store
    listener: Listener
    keys: RunKeys
    _kvm: dict[str, bool] = field(default_factory=dict)
    _recording: threading.Lock = field(default_factory=threading.Lock)
    _lost: int = 0
    _bad: bool = False

    def bootable(self, image: KernelImage) -> Bootable:
        """The image with this run's initramfs for its arch; both kept in the run's folder, for repro."""
        arch = ARCHES[image.build.arch]
        initramfs = _guest_folder(self.store) / f"initramfs.{arch.name}"
        if not initramfs.exists():
            self.listener(Step(text=f"the guest's root file system for {arch.name}"))
            workloads = workload_sources(cell.workload for cell in self.request.cells)
            initramfs = make_initramfs(arch, workloads, self.keys, cache=self.request.cache, output=initramfs)
        if image.coverage:
            initramfs = add_blocks(initramfs, image.coverage.blocks, output=initramfs.with_name(initramfs_name(image)))
        bootable = Bootable(kernel=image, initramfs=initramfs)
        self.keep(bootable, self.store)
        return bootable

    def keep(self, bootable: Bootable, store: Store) -> None:
        keep(bootable, self.keys, store)

    def run(self, cells: Sequence[Cell], bootable: Bootable) -> None:
        check_targets(cells, bootable.kernel)
        guests = self._guests(cells[0], bootable)
        jobs = self.request.jobs or jobs_for(cells, cores=os.cpu_count() or 1, memory_mib=available_memory_mib())
        todo = list(cells)
        with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="cell") as pool:
            running: set[Future[None]] = set()
            try:
                while todo or running:
                    if self._ending():
                        self._skip(todo)
                    while todo and len(running) < jobs:
                        running.add(pool.submit(self._one, todo.pop(0), bootable, guests))
                    self._collect(running)
            except KeyboardInterrupt as e:
                self._interrupt(running, todo)
                raise Cancelled("interrupted; what had finished is reported") from e
            except BaseException:
                # A full disk, or a bug of ours: no guest runs on for a report that can't be kept.
                end_guests()
                raise
        if self._lost >= _LOST_IN_A_ROW:
            raise InfraError(
                f"{self._lost} cells in a row were lost to this machine's own trouble",
                hint=f"less {self.store.folder / 'summary.txt'}; patchrig doctor",
            )

    def record(self, report: CellReport) -> None:
        with self._recording:
            self.store.add_cell(report)
            self.listener(CellEnded(report=report))
            outcome = report.verdict.outcome
            if outcome is not Outcome.SKIPPED:
                self._lost = self._lost + 1 if outcome is Outcome.LOST else 0
            self._bad = self._bad or outcome not in GOOD

    def _one(self, cell: Cell, bootable: Bootable, guests: Guests) -> None:
        folder = self.store.cell_folder(cell)
        write_repro(cell, bootable, guests, folder)
        self.listener(CellStarted(cell=cell))
        # Recorded by the thread that ran it: the interrupt comes to the main thread and can't tear a record.
        self.record(run_cell(cell, bootable, guests, folder=folder, listener=self.listener))

    def _collect(self, running: set[Future[None]]) -> None:
        done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
        running -= done
        for future in done:
            future.result()

    def _ending(self) -> bool:
        stops = self.request.fail_fast or self.request.until_fail
        return self._lost >= _LOST_IN_A_ROW or (stops and self._bad)

    def _skip(self, todo: list[Cell]) -> None:
        if self.request.until_fail:
            todo.clear()
        why = "an earlier cell failed and --fail-fast was given" if self._bad and self.request.fail_fast else "given up"
        while todo:
            self.record(interrupted_report(todo.pop(0), why))

    def _interrupt(self, running: set[Future[None]], todo: list[Cell]) -> None:
        end_guests()
        for future in running:
            future.result()
        if not self.request.until_fail:
            for cell in todo:
                self.record(interrupted_report(cell, "interrupted by the user before it began"))

    def _guests(self, cell: Cell, bootable: Bootable) -> Guests:
        arch = cell.build.arch
        allow, dump = self.request.plan.matrix.allow, self.request.dump_memory
        guests = Guests(keys=self.keys, kvm=frozenset(), allow=allow, dump_memory=dump)
        if arch not in self._kvm:
            self._kvm[arch] = usable_kvm(cell, bootable, guests, cache=self.request.cache, listener=self.listener)
        return replace(guests, kvm=frozenset({arch}) if self._kvm[arch] else frozenset())


def keep(bootable: Bootable, keys: RunKeys, store: Store) -> None:
    """Copies (hard links where possible), in the run's folder, of what a guest of this build starts from."""
    folder = store.build_folder(bootable.kernel.build)
    _link(bootable.kernel.image, folder / "image")
    _link(bootable.kernel.config, folder / "config")
    _link(bootable.kernel.log, folder / "build.log")
    guest = _guest_folder(store)
    _link(bootable.initramfs, guest / bootable.initramfs.name)
    save_keys(keys, guest)


def end_guests() -> None:
    """End every wait and every child process: the run is over."""
    deadline.cancel()
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


def make_initramfs(
    arch: Arch, workloads: Iterable[tuple[Workload, Path]], keys: RunKeys, *, cache: Path, output: Path
) -> Path:
    files = GuestFiles(scripts=paths.GUEST_SCRIPTS, cache=cache, log=output.parent / "log")
    until = Deadline.after(0.5 * HOURS, "the guest's root file system")
    return build_initramfs(arch, workloads, keys, files, output=output, until=until)


def write_repro(cell: Cell, bootable: Bootable, guests: Guests, folder: Path) -> None:
    """repro.sh: the cell's guest by hand, with QEMU alone."""
    spec = vm_spec(cell, bootable, guests)
    sizes = disk_sizes(cell)
    # By hand there is nobody to scale limits: generous ones.
    limits = Limits(swapoff=60.0, no_progress=60.0, overall=600.0)
    argv = standalone_argv(
        spec,
        image=f"../../builds/{cell.build.name}/image",
        initramfs=f"../../guest/{bootable.initramfs.name}",
        disks=[f"@DISK{index}@" for index in range(len(sizes))],
        workload=workload_argv(cell, limits)[1:],
    )
    note = f"Cell {cell.name}: boots the kernel of this run and runs the workload on the console. Needs QEMU only."
    script = folder / "repro.sh"
    script.write_text(repro_script(argv, disks={index: size for index, size in enumerate(sizes) if size}, note=note))
    script.chmod(0o755)


def versions(arches: Iterable[str]) -> dict[str, str]:
    """What a report says of this machine."""
    found = {"patchrig": version("patchrig"), "python": platform.python_version(), "host": platform.release()}
    for name in arches:
        found[f"qemu {name}"] = qemu_version(ARCHES[name])
    return found


def _sandbox(request: Request, log: Path, listener: Listener) -> bool:
    if not request.sandbox:
        listener(Notice(text="NO SANDBOX: the series' own build files run with your rights on this machine"))
        return False
    if not sandbox_usable(log):
        raise InfraError(
            "bubblewrap can't make a sandbox here, and a series is code that strangers wrote",
            hint="patchrig doctor  # says why; --no-sandbox builds without one, with your rights",
        )
    return True


def _guest_folder(store: Store) -> Path:
    folder = store.folder / "guest"
    folder.mkdir(exist_ok=True)
    return folder


def _link(source: Path, target: Path) -> None:
    if target.exists() or not source.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without hard links.
        shutil.copy2(source, target)
