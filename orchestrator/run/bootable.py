# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way from a kernel to guests of it: for a run, a repeated cell, seeded bugs, and a guest for a person."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.guest.archive import GuestFiles, add_splats, add_tests, build_initramfs, for_kernel, program_path
from orchestrator.guest.keys import RunKeys
from orchestrator.guest.workload import Limits, disk_sizes, limits_for, workload_argv
from orchestrator.host import paths
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.files import sha256_of
from orchestrator.judge.guest_splats import splats_text
from orchestrator.model.arch import ARCHES, Arch
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Allowed, Results, Workload
from orchestrator.model.events import Listener, Notice, Step
from orchestrator.model.images import KernelImage
from orchestrator.model.interfaces import InterfaceNames
from orchestrator.model.probes import Located
from orchestrator.model.schedule import schedule_of
from orchestrator.model.suites import SuiteFile
from orchestrator.plan.flavours import needs_of
from orchestrator.report.kept_probes import load_located
from orchestrator.run.crash_source import Explainer
from orchestrator.run.snapshots import Snapshots
from orchestrator.run.suite_results import PARSER_FOLDER, KtapParser
from orchestrator.vm.accelerator import kvm_impossible, kvm_state
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import Ready, config_digest, not_as_asked

BOOT_SECONDS = 120.0
# What the root has without packages: 9 MiB with a few workloads.
_SMALL_ROOT_MIB = 16
# Since Linux commit e7cb072eb988 ("init/initramfs.c: do unpacking asynchronously") (in v5.13) the first task waits for
# the root: for a large one on a busy machine so long that the kernel calls it hung.
UNPACK_IN_TURN = ("initramfs_async=0",)
_INITRAMFS_SECONDS = 1800.0
Packages = tuple[str, ...]
NO_PACKAGES: Packages = ()
_AGAIN = "patchrig run ...  # makes a run of its own"


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Seconds that are not scaled with the guest's speed, as it is not known yet or does not matter."""

    boot: float = BOOT_SECONDS  # from QEMU's start to the ready line, and from there to the first SSH command
    restore: float = 30.0  # from QEMU's start to the first SSH command, of a guest that is restored
    second_look: float = 3.0  # a task that is in the same place after so long is stuck
    quiet: float = 1.0  # a console that says nothing for so long has said all


@dataclass(frozen=True, kw_only=True, slots=True)
class Guests:
    """What all guests of a kernel share."""

    keys: RunKeys
    kvm: frozenset[str] = frozenset()  # the arches whose guests run under KVM here
    allow: tuple[Allowed, ...] = ()
    stop_when_red: bool = False  # only the outcome counts: a workload ends at the first fatal splat, or hung swapoff
    patience: Patience = field(default_factory=Patience)
    dump_memory: bool = False  # keep the whole memory of a guest that hangs
    snapshots: Snapshots = field(default_factory=Snapshots)  # of guests that are restored and not booted
    sandbox: bool = True  # QEMU runs in it
    deterministic: bool = False  # what a guest does depends on its cell's seed and files, and on nothing else
    traced: tuple[int, ...] = ()  # addresses of instructions of which QEMU tells, of deterministic guests


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootable:
    """A kernel with the files that its guests start from, and what these share."""

    kernel: KernelImage
    initramfs: Path  # of workloads without packages
    guests: Guests
    explainer: Explainer | None = None  # of this kernel's crashes
    ktap: KtapParser | None = None  # None: no suite runs on it
    located: Located | None = None  # its sites and changed functions; None: a run of an earlier version did not keep it
    with_packages: Mapping[Packages, Path] = field(default_factory=dict)  # initramfs of workloads that have some

    def initramfs_of(self, workload: Workload) -> Path:
        """What a guest of the workload starts from. In runs before 2026-12 it was one for all workloads."""
        return self.with_packages.get(_packages(workload), self.initramfs)


def vm_spec(cell: Cell, bootable: Bootable) -> VmSpec:
    """The guest that a cell asks for."""
    more_mib = root_mib_of(cell, bootable)
    spec = VmSpec(
        arch=ARCHES[cell.build.arch],
        image=bootable.kernel.image,
        initramfs=bootable.initramfs_of(cell.workload),
        memory_mib=cell.workload.memory_mib + more_mib,
        extra_parameters=UNPACK_IN_TURN if more_mib else (),
        cpus=cell.workload.cpus,
        kvm=cell.build.arch in bootable.guests.kvm,
        disk_mib=disk_sizes(cell),
        machine=needs_of(cell.build.flavour).machine,
        sandbox=bootable.guests.sandbox,
    )
    return _deterministic(spec, cell, bootable.guests.traced) if bootable.guests.deterministic else spec


def _deterministic(spec: VmSpec, cell: Cell, traced: tuple[int, ...]) -> VmSpec:
    """The same guest without anything of the host's: its disks lie in its memory, its work on its command line."""
    schedule = schedule_of(cell.seed)
    limits = limits_of(cell, schedule.speed)
    job = ("--disks", "memory", *workload_argv(cell, limits)[1:])
    limits_text = f"{limits.no_progress:.0f}:{limits.overall:.0f}"
    spec = replace(spec, kvm=False, disk_mib=(), schedule=schedule, job=job, job_limits=limits_text)
    return replace(spec, traced=traced)


def unlike_asked(cell: Cell, bootable: Bootable, ready: Ready) -> str:
    """In what a guest that is up differs from the one that its cell asks for; "" when in nothing."""
    kept = needs_of(cell.build.flavour).kept
    return not_as_asked(vm_spec(cell, bootable), ready, config_digest(bootable.kernel.config), kept=kept)


def limits_of(cell: Cell, speed: float) -> Limits:
    """The time limits of a cell in a guest of this speed."""
    return limits_for(cell, speed, kernel_slower=needs_of(cell.build.flavour).slower)


def root_mib_of(cell: Cell, bootable: Bootable) -> int:
    """MiB that a guest needs for its root beyond what each workload's memory has for a small one.

    All files of the root stay in memory; while they are unpacked the archive is there beside them, and is freed then.
    """
    initramfs = bootable.initramfs_of(cell.workload)
    size = initramfs.stat().st_size if initramfs.exists() else 0
    return max(0, -(-size >> 20) - _SMALL_ROOT_MIB)


@dataclass(slots=True)
class BootFiles:
    """What the guests of one run start from, beside their kernels: made where it is missing, once for each arch."""

    folder: Path
    guests: Guests
    workloads: tuple[Workload, ...]
    cache: Path
    listener: Listener
    _kvm: dict[str, bool] = field(default_factory=dict)

    def bootable(
        self,
        image: KernelImage,
        located: Located,
        explainer: Explainer | None = None,
        *,
        folder: Path | None = None,
        tests: Sequence[SuiteFile] = (),
        interfaces: InterfaceNames | None = None,
    ) -> Bootable:
        """The kernel with its own initramfs, which has its probes in it, and is made in the `folder`.

        `tests` are those of a suite that was built with it, `interfaces` those of the series. Workloads with the same
        packages share an initramfs: no guest has the packages of others in its memory.
        """
        made = {}
        for packages, workloads in self._by_packages().items():
            output = (folder or self.folder) / initramfs_name(image.build, packages)
            common = self._common(ARCHES[image.build.arch], packages, workloads)
            made[packages] = for_kernel(
                common,
                workloads=workloads,
                located=located,
                coverage=image.coverage,
                interfaces=interfaces,
                output=output,
            )
            if self.guests.deterministic:
                add_splats(output, self._splats(workloads), output=output)
            if any(workload.results is Results.KTAP for workload in workloads):
                add_tests(output, tests, output=output)
        plain = made.pop(NO_PACKAGES)
        return Bootable(
            kernel=image,
            initramfs=plain,
            guests=self.guests,
            explainer=explainer,
            located=located,
            with_packages=made,
        )

    def _splats(self, workloads: Sequence[Workload]) -> Mapping[str, str]:
        """By what guests that nobody watches see that they have failed. Of a test suite all results count."""
        allow = self.guests.allow
        suites = {load.name: "" for load in workloads if load.results is Results.KTAP}
        own = {load.name: splats_text((*allow, *load.allow)) for load in workloads if load.allow}
        return {"": splats_text(allow)} | own | suites

    def _by_packages(self) -> Mapping[Packages, list[Workload]]:
        found: dict[Packages, list[Workload]] = {NO_PACKAGES: []}
        for workload in self.workloads:
            found.setdefault(_packages(workload), []).append(workload)
        return found

    def _common(self, arch: Arch, packages: Packages, workloads: Sequence[Workload]) -> Path:
        """What the guests of all kernels of an arch have, made once."""
        initramfs = self.folder / f"initramfs.{arch.name}{_suffix(packages)}"
        if not initramfs.exists():
            self.listener(Step(text=f"the guest's root file system for {arch.name}"))
            files = GuestFiles(scripts=paths.GUEST_SCRIPTS, cache=self.cache, log=self.folder / "log")
            until = Deadline.after(_INITRAMFS_SECONDS, "the guest's root file system")
            keys = None if self.guests.deterministic else self.guests.keys
            build_initramfs(arch, _programs(workloads), keys, files, output=initramfs, until=until)
        return initramfs

    def with_usable_kvm(self, bootable: Bootable, cell: Cell) -> Bootable:
        """Its guests run under KVM where that was seen to boot one, tried once for each arch."""
        arch = cell.build.arch
        if arch not in self._kvm:
            self._kvm[arch] = self._usable_kvm(cell, bootable)
        kvm = frozenset({arch}) if self._kvm[arch] else frozenset[str]()
        return replace(bootable, guests=replace(bootable.guests, kvm=kvm))

    def _usable_kvm(self, cell: Cell, bootable: Bootable) -> bool:
        """Says so where one would have expected KVM and it does not boot a guest."""
        arch = ARCHES[cell.build.arch]
        if kvm_impossible(arch):
            return False
        spec = replace(vm_spec(cell, bootable), kvm=True, disk_mib=())
        state = kvm_state(spec, cache=self.cache)
        if not state.usable:
            self.listener(Notice(text=f"KVM does not boot a guest here ({state.why}): emulating {arch.name} with TCG"))
        return state.usable


def _programs(workloads: Iterable[Workload]) -> tuple[tuple[Workload, Path], ...]:
    """Each workload once, by name, with the path of its program."""
    once = {workload.name: workload for workload in workloads}
    scripts = paths.GUEST_SCRIPTS
    return tuple((once[name], program_path(once[name], scripts / name, scripts)) for name in sorted(once))


def initramfs_name(build: Build, packages: Packages = NO_PACKAGES) -> str:
    """One for each kernel, as it has the kernel's probes and blocks in it, and for each set of packages."""
    return f"initramfs.{build.name}{_suffix(packages)}"


def _packages(workload: Workload) -> Packages:
    return tuple(sorted(set(workload.packages)))


def _suffix(packages: Packages) -> str:
    return f".{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}" if packages else ""


def kept_bootable(
    image: KernelImage,
    run: Path,
    guests: Guests,
    explainer: Explainer | None = None,
    *,
    workloads: Iterable[Workload] = (),
    sandbox: bool = True,
) -> Bootable:
    """The kernel and initramfs as an earlier run's own folder holds them: the cache may have been cleaned since."""
    own = {packages: run / "guest" / initramfs_name(image.build, packages) for packages in map(_packages, workloads)}
    folder = run / "builds" / image.build.name
    initramfs = run / "guest" / initramfs_name(image.build)
    if not initramfs.exists():
        # As runs before 2026-12 called that of a kernel without blocks.
        initramfs = run / "guest" / f"initramfs.{image.build.arch}"
    parser = folder / PARSER_FOLDER
    for file in (folder / "image", initramfs):
        if not file.exists():
            raise InfraError(f"{file} is gone", hint=_AGAIN)
    if image.hashes.get("image") not in (None, sha256_of(folder / "image")):
        raise InfraError(f"{folder / 'image'} is not what was booted", hint=_AGAIN)
    kernel = replace(image, image=folder / "image", config=folder / "config", log=folder / "build.log")
    return Bootable(
        kernel=kernel,
        initramfs=initramfs,
        guests=guests,
        explainer=explainer,
        located=load_located(folder),
        ktap=KtapParser(folder=parser, sandbox=sandbox) if parser.is_dir() else None,
        with_packages={packages: path for packages, path in own.items() if packages and path.exists()},
    )
