"""One cell: boot a guest, run its workload, take the evidence, judge."""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.arch import ARCHES
from orchestrator.coverage import Executed
from orchestrator.deadline import Deadline, now
from orchestrator.errors import Cancelled, InfraError, OutOfTime
from orchestrator.events import CellProgress, Listener
from orchestrator.explain import Explainer
from orchestrator.guest import evidence, ssh
from orchestrator.guest.coverage import READ_COUNTS, executed_of
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
from orchestrator.judge.hang import merged, place_text, shown_tasks
from orchestrator.judge.races import weighed
from orchestrator.judge.scan import crashes_in
from orchestrator.judge.verdict import WAITING, judge, mark_allowed
from orchestrator.model import (
    Allowed,
    Cell,
    CellReport,
    Crash,
    CrashKind,
    Ending,
    GuestRun,
    KernelImage,
    Severity,
    Standstill,
)
from orchestrator.plan.flavours import needs_of
from orchestrator.vm.argv import CONSOLE, VmSpec
from orchestrator.vm.console import serial_shell, sysrq
from orchestrator.vm.qemu import Ready, Vm, boot, not_as_asked, wrong_clock
from orchestrator.vm.qmp import dump_memory, human_command, send_break

BOOT_SECONDS = 120.0
_MODEST = 10.0
_CHUNK = 1 << 18
_LOOK_SECONDS = 1.0


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
    stop_at_crash: bool = False  # a workload ends at the first complaint of the kernel that is fatal
    patience: Patience = field(default_factory=Patience)
    dump_memory: bool = False  # keep the whole memory of a guest that hangs


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootable:
    """A kernel with the files that a guest starts from."""

    kernel: KernelImage
    initramfs: Path
    explainer: Explainer | None = None  # of this kernel's crashes


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
    run = _with_places(_with_shown_tasks(run, console_log), bootable.explainer)
    crashes = crashes_of(console_log)
    if bootable.explainer:
        crashes = bootable.explainer.explained(crashes)
    verdict, crashes = judge(cell, run, weighed(crashes, cell.build.variant), guests.allow)
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


def _with_shown_tasks(run: GuestRun, console_log: Path) -> GuestRun:
    """The stacks that the kernel printed of the tasks that are stuck: they have more than those of /proc."""
    if not run.evidence:
        return run
    with console_log.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        return replace(run, stuck=merged(run.stuck, shown_tasks(lines)))


def _with_places(run: GuestRun, explainer: Explainer | None) -> GuestRun:
    frames = tuple(dict.fromkeys(frame for task in run.stuck for frame in task.stack))
    places = explainer.places(frames)[0] if explainer and frames else {}
    stuck = tuple(
        replace(task, stack=tuple(replace(frame, places=places.get(frame, ())) for frame in task.stack))
        for task in run.stuck
    )
    return replace(run, stuck=stuck, waiting_in=tuple(place_text(task) for task in stuck if not task.running))


def config_digest(config: Path) -> str:
    """What init reports of its /proc/config.gz, computed from the .config that was built."""
    return hashlib.sha256(config.read_bytes()).hexdigest()[:16]


def _guest_run(cell: Cell, bootable: Bootable, guests: Guests, folder: Path, listener: Listener) -> GuestRun:
    spec = vm_spec(cell, bootable, guests)
    accelerator = "kvm" if spec.kvm else "tcg"
    started = now()
    with boot(spec, console_log=folder / "console.log", qemu_log=folder / "qemu.log") as vm:
        pulse = _Pulse(vm)
        ready, why = _await_ready(vm, guests.patience.boot)
        if ready is None:
            run = GuestRun(ending=Ending.NEVER_READY, detail=why, accelerator=accelerator)
            return replace(_with_evidence(run, vm, guests, folder, pulse), detail=why) if vm.alive() else run
        needs = needs_of(cell.build.flavour)
        differs = not_as_asked(spec, ready, config_digest(bootable.kernel.config), kept=needs.kept)
        if differs := differs or wrong_clock((folder / "console.log").read_text(errors="replace")):
            return GuestRun(ending=Ending.LOST, detail=differs, accelerator=accelerator)
        limits = limits_for(cell, ready.speed, kernel_slower=needs.slower)
        run = _session(cell, vm, guests, limits, folder, listener, started)
        if run.ending is not Ending.REPORTED and vm.alive():
            vm.wait_quiet(guests.patience.quiet, Deadline.after(_MODEST, "a quiet console"))
        spent = vm.processor_time()
        starved = spent.waited_share if spent else None
        return replace(run, accelerator=accelerator, speed=ready.speed, starved=starved)


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
        pulse.beat(progress.operations)
        listener(
            CellProgress(
                cell=cell, operations=progress.operations, swapoffs=progress.swapoffs, seconds=progress.seconds
            )
        )

    pulse = _Pulse(vm)
    soon = Deadline.after(guests.patience.boot, "an SSH session")
    with ExitStack() as stack:
        try:
            guest = stack.enter_context(connected(vm, guests.keys, soon))
            guest.run("true", soon)
        except InfraError as e:
            return _no_session(vm, guests, folder, e, pulse)
        boot_seconds = now() - started
        pulse = _Pulse(vm)
        begun = now()
        enough = _CrashSeen(folder / "console.log", guests.allow) if guests.stop_at_crash else lambda: False
        argv = workload_argv(cell, limits)
        watched = watch(guest, argv, limits, alive=vm.alive, on_progress=on_progress, enough=enough)
        (folder / "workload.log").write_text(watched.output)
        run = _run_of(watched, vm, boot_seconds=boot_seconds, guest_seconds=now() - begun)
        if cell.widening and vm.alive():
            run = replace(run, executed=_executed(guest))
        if watched.ending in _WORTH_A_LOOK and vm.alive():
            run = _with_evidence(run, vm, guests, folder, pulse)
    return run


def _executed(guest: ssh.Guest) -> Executed | None:
    """Which blocks ran; None when the guest does not say, which is no verdict of its own."""
    try:
        said = guest.run(READ_COUNTS, Deadline.after(_MODEST, "the executed blocks"))
        return executed_of(said.text) if said.status == 0 else None
    except (ssh.GuestUnreachable, ValueError):
        return None


class _CrashSeen:
    """Whether a console holds a fatal crash by now; looks once a second, and only at one that has grown.

    Complaints about waiting don't count: a hang is given its time and looked into. Nor do data races, most of which
    only the end shows to be notes.
    """

    def __init__(self, console_log: Path, allow: tuple[Allowed, ...]) -> None:
        self._log = console_log
        self._allow = allow
        self._size = 0
        self._looked_at = now()

    def __call__(self) -> bool:
        if now() - self._looked_at < _LOOK_SECONDS:
            return False
        self._looked_at = now()
        size = self._log.stat().st_size
        if size == self._size:
            return False
        self._size = size
        crashes = mark_allowed(crashes_of(self._log), self._allow)
        goes_on = {*WAITING, CrashKind.KCSAN}
        return any(
            crash.severity is Severity.FATAL and not crash.allowed and crash.kind not in goes_on for crash in crashes
        )


class _Pulse:
    """What the host gave a guest since it last got on."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        self._operations = -1
        self._began = self._moved = (now(), vm.processor_time())

    def beat(self, operations: int) -> None:
        if operations != self._operations:
            self._operations, self._moved = operations, (now(), self._vm.processor_time())

    def standstill(self, ending: Ending) -> Standstill | None:
        """Since the last operation; since the beginning for a guest that moved all the time and was too late."""
        at, before = self._began if ending is Ending.TIMED_OUT else self._moved
        after = self._vm.processor_time()
        if before is None or after is None:
            return None
        # A thread that has ended takes its share with it.
        ran, waited = max(0.0, after.ran - before.ran), max(0.0, after.waited - before.waited)
        return Standstill(seconds=now() - at, ran=ran, waited=waited)


def _no_session(vm: Vm, guests: Guests, folder: Path, why: InfraError, pulse: _Pulse) -> GuestRun:
    if is_gone(vm.alive):
        return GuestRun(ending=Ending.GUEST_GONE, detail=f"{vm.ending()} before the first SSH command was done")
    if not isinstance(why, ssh.GuestUnreachable):
        raise why
    return _with_evidence(GuestRun(ending=Ending.SSH_LOST, detail=str(why)), vm, guests, folder, pulse)


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


def _with_evidence(run: GuestRun, vm: Vm, guests: Guests, folder: Path, pulse: _Pulse) -> GuestRun:
    standstill = pulse.standstill(run.ending)
    with ExitStack() as stack:
        seen = evidence.collect(
            folder / "evidence",
            _ways(stack, vm, guests, booted=run.ending is not Ending.NEVER_READY),
            second_look=guests.patience.second_look,
        )
        # What sysrq printed belongs to the console log that is judged next.
        vm.wait_quiet(guests.patience.quiet, Deadline.after(_MODEST, "a quiet console"))
    return replace(
        run,
        detail="; ".join(filter(None, (run.detail, f"evidence from: {seen.source}"))),
        evidence=seen.files,
        stuck=seen.stuck,
        moved=dict(seen.moved or {}),
        standstill=standstill,
    )


def _ways(stack: ExitStack, vm: Vm, guests: Guests, *, booted: bool) -> evidence.Ways:
    qmp, console = vm.files.qmp_socket, vm.files.console_socket
    # Before init has started them, there is nobody to ask.
    shells = {"SSH": lambda: _ssh_shell(stack, vm, guests.keys), "serial console": lambda: _serial_shell(stack, vm)}
    return evidence.Ways(
        shells=shells if booted else {},
        sysrq=lambda keys: sysrq(console, keys, lambda: send_break(qmp, CONSOLE, evidence.shell_deadline())),
        monitor=lambda command: human_command(qmp, command, evidence.shell_deadline()),
        dump_memory=(lambda file: dump_memory(qmp, file, evidence.dump_deadline())) if guests.dump_memory else None,
    )


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
