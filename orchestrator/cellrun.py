"""One cell: boot a guest, run its workload, take the evidence, judge."""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.arch import ARCHES
from orchestrator.deadline import Deadline, now
from orchestrator.errors import Cancelled, InfraError, OutOfTime
from orchestrator.events import CellProgress, Listener
from orchestrator.guest import evidence, ssh
from orchestrator.guest.keys import RunKeys
from orchestrator.guest.workload import (
    Limits,
    Progress,
    Watched,
    disk_sizes,
    is_gone,
    limits_for,
    watch,
    workload_argv,
)
from orchestrator.judge.scan import crashes_in
from orchestrator.judge.verdict import judge
from orchestrator.model import Allowed, Cell, CellReport, Crash, Ending, GuestRun, KernelImage
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.console import serial_shell
from orchestrator.vm.qemu import Ready, Vm, boot, not_as_asked
from orchestrator.vm.qmp import human_command

BOOT_SECONDS = 120.0
_MODEST = 10.0
_CHUNK = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Seconds that are not scaled with the guest's speed, as it is not known yet or does not matter."""

    boot: float = BOOT_SECONDS  # from QEMU's start to the ready line, and from there to the first SSH command
    second_look: float = 3.0  # a task that is in the same place after so long is stuck
    quiet: float = 1.0  # a console that says nothing for so long has said all


@dataclass(frozen=True, kw_only=True, slots=True)
class Guests:
    """What all guests of a run share."""

    keys: RunKeys
    kvm: frozenset[str]  # the arches whose guests run under KVM here
    allow: tuple[Allowed, ...]
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootable:
    """A kernel with the files that a guest starts from."""

    kernel: KernelImage
    initramfs: Path


def vm_spec(cell: Cell, bootable: Bootable, guests: Guests) -> VmSpec:
    """The guest that a cell asks for."""
    return VmSpec(
        arch=ARCHES[cell.build.arch],
        image=bootable.kernel.image,
        initramfs=bootable.initramfs,
        memory_mib=cell.workload.memory_mib,
        cpus=cell.workload.cpus,
        kvm=cell.build.arch in guests.kvm,
        disk_mib=disk_sizes(cell),
    )


def run_cell(cell: Cell, bootable: Bootable, guests: Guests, *, folder: Path, listener: Listener) -> CellReport:
    """Boot, run, judge; the folder then holds console.log, workload.log, qemu.log and evidence/.

    Our own trouble does not raise: it is a run that ended as LOST, so that the other cells go on.
    """
    started = now()
    console_log = folder / "console.log"
    console_log.touch()
    try:
        run = _guest_run(cell, bootable, guests, folder, listener)
    except Cancelled:
        run = GuestRun(ending=Ending.INTERRUPTED, detail="interrupted by the user")
    except InfraError as e:
        run = GuestRun(ending=Ending.LOST, detail=str(e))
    except OSError as e:
        run = GuestRun(ending=Ending.LOST, detail=f"this machine failed: {e}")
    crashes = crashes_of(console_log)
    verdict, crashes = judge(cell, run, crashes, guests.allow)
    return CellReport(
        cell=cell,
        verdict=verdict,
        run=run,
        crashes=crashes,
        seconds=now() - started,
        kernel={"release": bootable.kernel.release, **bootable.kernel.hashes},
        folder=folder.name,
    )


def crashes_of(console_log: Path) -> tuple[Crash, ...]:
    """The crashes of a console log, read piece by piece."""
    with console_log.open("rb") as file:
        return tuple(crashes_in(iter(lambda: file.read(_CHUNK), b"")))


def config_digest(config: Path) -> str:
    """What init reports of its /proc/config.gz, computed from the .config that was built."""
    return hashlib.sha256(config.read_bytes()).hexdigest()[:16]


def _guest_run(cell: Cell, bootable: Bootable, guests: Guests, folder: Path, listener: Listener) -> GuestRun:
    spec = vm_spec(cell, bootable, guests)
    accelerator = "kvm" if spec.kvm else "tcg"
    started = now()
    with boot(spec, console_log=folder / "console.log", qemu_log=folder / "qemu.log") as vm:
        ready, why = _await_ready(vm, guests.patience.boot)
        if ready is None:
            return GuestRun(ending=Ending.NEVER_READY, detail=why, accelerator=accelerator)
        if differs := not_as_asked(spec, ready, config_digest(bootable.kernel.config)):
            return GuestRun(ending=Ending.LOST, detail=differs, accelerator=accelerator)
        limits = limits_for(cell, ready.speed)
        run = _session(cell, vm, guests, limits, folder, listener, started)
        if run.ending is not Ending.REPORTED and vm.alive():
            vm.wait_quiet(guests.patience.quiet, Deadline.after(_MODEST, "a quiet console"))
        return replace(run, accelerator=accelerator, speed=ready.speed, starved=vm.starved())


def _await_ready(vm: Vm, seconds: float) -> tuple[Ready | None, str]:
    try:
        ready = vm.wait_ready(Deadline.after(seconds, "the guest's ready line"))
    except OutOfTime:
        return None, f"no ready line on the console after {seconds:g} s"
    return ready, "" if ready else f"{vm.ending()} before the guest was up"


def _session(  # noqa: PLR0913  # a cell's own things, handed down once
    cell: Cell, vm: Vm, guests: Guests, limits: Limits, folder: Path, listener: Listener, started: float
) -> GuestRun:
    def on_progress(progress: Progress) -> None:
        listener(
            CellProgress(
                cell=cell, operations=progress.operations, swapoffs=progress.swapoffs, seconds=progress.seconds
            )
        )

    soon = Deadline.after(guests.patience.boot, "an SSH session")
    with ExitStack() as stack:
        try:
            guest = stack.enter_context(connected(vm, guests.keys, soon))
            guest.run("true", soon)
        except InfraError as e:
            return _no_session(vm, guests, folder, e)
        boot_seconds = now() - started
        begun = now()
        watched = watch(guest, workload_argv(cell, limits), limits, alive=vm.alive, on_progress=on_progress)
        (folder / "workload.log").write_text(watched.output)
        run = _run_of(watched, vm, boot_seconds=boot_seconds, guest_seconds=now() - begun)
        if watched.ending in _WORTH_A_LOOK and vm.alive():
            run = _with_evidence(run, vm, guests, folder)
    return run


def _no_session(vm: Vm, guests: Guests, folder: Path, why: InfraError) -> GuestRun:
    if is_gone(vm.alive):
        return GuestRun(ending=Ending.GUEST_GONE, detail=f"{vm.ending()} before the first SSH command was done")
    if not isinstance(why, ssh.GuestUnreachable):
        raise why
    return _with_evidence(GuestRun(ending=Ending.SSH_LOST, detail=str(why)), vm, guests, folder)


_WORTH_A_LOOK = (
    *(Ending.SWAPOFF_STUCK, Ending.NO_PROGRESS, Ending.TIMED_OUT),
    *(Ending.SSH_LOST, Ending.PROGRAM_DIED),
)


def connected(vm: Vm, keys: RunKeys, until: Deadline) -> ssh.Connection:
    """An SSH session in the guest for the length of a block."""
    return ssh.connect(vm.ssh_port(until), user_key=keys.user_key, pinned_host=keys.pinned_host, until=until)


def _run_of(watched: Watched, vm: Vm, *, boot_seconds: float, guest_seconds: float) -> GuestRun:
    detail = watched.detail
    if watched.ending is Ending.GUEST_GONE:
        detail = f"{vm.ending()} while the workload ran"
    if watched.ending is Ending.PROGRAM_DIED and (said := watched.output.strip()):
        detail = f"{detail}; it last said: {said.splitlines()[-1][:200]}"
    return GuestRun(
        ending=watched.ending,
        detail=detail,
        result=watched.result,
        exit_status=watched.exit_status,
        boot_seconds=boot_seconds,
        guest_seconds=guest_seconds,
    )


def _with_evidence(run: GuestRun, vm: Vm, guests: Guests, folder: Path) -> GuestRun:
    with ExitStack() as stack:
        seen = evidence.collect(
            folder / "evidence",
            {
                "SSH": lambda: _ssh_shell(stack, vm, guests.keys),
                "serial console": lambda: _serial_shell(stack, vm),
            },
            lambda command: human_command(vm.files.qmp_socket, command, evidence.shell_deadline()),
            second_look=guests.patience.second_look,
        )
        # What sysrq printed belongs to the console log that is judged next.
        vm.wait_quiet(guests.patience.quiet, Deadline.after(_MODEST, "a quiet console"))
    detail = "; ".join(filter(None, (run.detail, f"evidence from: {seen.source}")))
    return replace(run, detail=detail, evidence=seen.files, waiting_in=tuple(str(task) for task in seen.stuck))


def _ssh_shell(stack: ExitStack, vm: Vm, keys: RunKeys) -> Callable[[str], str]:
    # A connection of its own: the workload's may be what hangs.
    guest = stack.enter_context(connected(vm, keys, evidence.shell_deadline()))
    return lambda command: guest.run(command, evidence.shell_deadline()).text


def _serial_shell(stack: ExitStack, vm: Vm) -> Callable[[str], str]:
    shell = stack.enter_context(serial_shell(vm.files.console_socket, evidence.shell_deadline()))
    return lambda command: shell.run(command, evidence.shell_deadline())


def interrupted_report(cell: Cell, why: str) -> CellReport:
    """A cell that was never started, because the run was ended first."""
    run = GuestRun(ending=Ending.INTERRUPTED, detail=why)
    verdict, _ = judge(cell, run, (), ())
    return CellReport(cell=cell, verdict=verdict, run=run)
