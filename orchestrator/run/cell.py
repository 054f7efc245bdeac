# SPDX-License-Identifier: GPL-2.0-or-later
"""One cell: boot a guest, run its workload, take the evidence, judge."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.guest import evidence, ssh
from orchestrator.guest.block_counts import READ_COUNTS, executed_of
from orchestrator.guest.workload import (
    REFERENCE_SPEED,
    SLOWEST,
    Progress,
    is_gone,
    limits_for,
    watch,
    workload_argv,
)
from orchestrator.host.deadline import Deadline, now, raise_if_cancelled
from orchestrator.host.errors import InfraError, OutOfTime
from orchestrator.host.text import beginning_of
from orchestrator.judge.races import weighed
from orchestrator.judge.verdict import judge
from orchestrator.model.blocks import Executed
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Allowed
from orchestrator.model.crashes import Crash
from orchestrator.model.events import CellProgress, Listener, Notice, PhaseBegan
from orchestrator.model.guests import Ending, Fault, Observation
from orchestrator.model.phases import Phase
from orchestrator.model.reports import CellReport
from orchestrator.plan.flavours import needs_of
from orchestrator.run.bootable import Bootable, Guests, vm_spec
from orchestrator.run.crash_source import with_places
from orchestrator.run.endings import blamed, discount_own_shutdown, guarded, paused, run_of, with_room
from orchestrator.run.hang_channels import hang_channels
from orchestrator.run.progress_watch import CrashSeen, Flood, Pulse, crashes_of, with_shown_tasks
from orchestrator.run.snapshots import Claim, Restored, connected, remeasured_if_slow, restored
from orchestrator.run.stopwatch import Stopwatch
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import (
    Ready,
    Snapshot,
    Vm,
    boot,
    config_digest,
    not_as_asked,
    starts_without_kernel,
    wrong_clock,
)

# A host that is busy at the wrong moment spoils a guest's clock, and is seldom so twice.
_BOOTS_MOST = 3
_MODEST = 10.0


def run_cell(  # what a cell needs, and who is told
    cell: Cell,
    bootable: Bootable,
    guests: Guests,
    *,
    folder: Path,
    listener: Listener,
    guest_ended: Callable[[], None] = lambda: None,
) -> CellReport:
    """Boot, run, judge; the folder then holds console.log, workload.log, qemu.log and evidence/.

    Our own trouble does not raise: it is a run that ended as LOST, so that the other cells go on. `guest_ended` is
    called when QEMU is gone and its CPUs and memory are free; what was collected is judged after that.
    """
    started = now()
    stopwatch = Stopwatch(cell.name)
    listener = stopwatch.listening(listener)
    console_log = folder / "console.log"
    console_log.touch()
    run = guarded(lambda: _guest_run(cell, bootable, guests, folder, listener), folder)
    guest_ended()
    run = discount_own_shutdown(guarded(lambda: with_room(run, folder), folder))
    listener(PhaseBegan(what=cell.name, phase=Phase.JUDGE))
    judged = guarded(lambda: _judged(cell, run, bootable, guests, console_log), folder)
    if isinstance(judged, Observation):
        judged = _judged_of(cell, judged)
    return replace(
        judged,
        seconds=now() - started,
        kernel={"release": bootable.kernel.release, **bootable.kernel.hashes},
        folder=folder.name,
        spans=stopwatch.stop(),
    )


def _judged(cell: Cell, run: Observation, bootable: Bootable, guests: Guests, console_log: Path) -> CellReport:
    run = with_places(with_shown_tasks(run, console_log), bootable.explainer)
    crashes = crashes_of(console_log)
    if bootable.explainer:
        crashes = bootable.explainer.explained(crashes)
    return _judged_of(cell, run, weighed(crashes, cell.build.variant), guests.allow)


def _judged_of(
    cell: Cell, run: Observation, crashes: Iterable[Crash] = (), allow: Iterable[Allowed] = ()
) -> CellReport:
    verdict, marked = judge(cell, run, crashes, allow)
    return CellReport(cell=cell, verdict=verdict, run=run, crashes=marked)


@dataclass(slots=True)
class _Case:
    """A cell on its way through its guest: what stays the same whatever guest it gets."""

    cell: Cell
    bootable: Bootable
    guests: Guests
    spec: VmSpec
    folder: Path
    listener: Listener
    started: float = field(default_factory=now)  # of QEMU
    boots: int = 0

    def begin(self, phase: Phase) -> None:
        self.listener(PhaseBegan(what=self.cell.name, phase=phase))

    @property
    def logs(self) -> dict[str, Path]:
        return {"console_log": self.folder / "console.log", "qemu_log": self.folder / "qemu.log"}

    @property
    def accelerator(self) -> str:
        return "kvm" if self.spec.kvm else "tcg"


def _guest_run(cell: Cell, bootable: Bootable, guests: Guests, folder: Path, listener: Listener) -> Observation:
    spec = vm_spec(cell, bootable, guests)
    case = _Case(cell=cell, bootable=bootable, guests=guests, spec=spec, folder=folder, listener=listener)
    with ExitStack() as stack:
        place = stack.enter_context(guests.states.place(spec)) if guests.states else None
        while place and (saved := place.saved()):
            up = _restored(stack, case, saved)
            if isinstance(up, Observation):
                return replace(up, restored=True)
            if up:
                return replace(_run_in(case, up.vm, up.ready, up.guest), restored=True)
            place.discard(saved)
        if place and place.without_room:
            why = f"{spec.memory_mib} MiB twice do not fit into memory and {place.folder} now"
            listener(Notice(text=f"{cell.name}: booted, not restored, as may be others like it: {why}"))
        return _booted_run(case, place)


def _restored(stack: ExitStack, case: _Case, saved: Snapshot) -> Restored | Observation | None:
    """The guest for the rest of the stack; None, with a notice, when the state can't be used.

    A kernel that complained meanwhile is no trouble with the state: the run of a guest that is gone.
    """
    case.begin(Phase.RESTORE)
    case.started = now()
    soon = Deadline.after(case.guests.patience.restore, "a restored guest's first SSH command")
    try:
        with ExitStack() as attempt:
            up = attempt.enter_context(restored(case.spec, saved, case.guests.keys, **case.logs, until=soon))
            stack.push(attempt.pop_all())
    except (InfraError, OSError) as e:
        raise_if_cancelled()  # who ended everything killed QEMU too: a state is no worse for that
        if crashes_of(case.logs["console_log"], skip=saved.console_bytes):
            detail = f"after it was restored, and before the first SSH command was done: {e}"
            return Observation(ending=Ending.GUEST_GONE, detail=detail, accelerator=case.accelerator)
        case.listener(Notice(text=f"{case.cell.name}: a saved guest can't be used and is thrown away: {e}"))
        return None
    return up


def _booted_run(case: _Case, place: Claim | None) -> Observation:
    guests, accelerator = case.guests, case.accelerator
    case.begin(Phase.BOOT)
    case.boots += 1
    case.started = now()
    with boot(case.spec, **case.logs, memory=place.memory() if place else None) as vm:
        pulse = Pulse(vm)
        ready, why = _await_ready(vm, guests.patience.boot)
        if ready is None:
            if place:
                # Who waits for it need not wait for the evidence too.
                place.give_up()
            if run := _never_ready(case, vm, why, pulse):
                return run
            again = f"QEMU did not start: {vm.ending()}"
        else:
            needs = needs_of(case.cell.build.flavour)
            differs = not_as_asked(case.spec, ready, config_digest(case.bootable.kernel.config), kept=needs.kept)
            again = wrong_clock(beginning_of(case.logs["console_log"]))
            if differs := differs or (again if case.boots == _BOOTS_MOST else ""):
                return Observation(ending=Ending.LOST, detail=differs, fault=Fault.MACHINE, accelerator=accelerator)
            if not again and (not place or _saved(case, place, vm, ready)):
                return _run_in(case, vm, ready)
    if again:
        case.listener(Notice(text=f"{case.cell.name}: booted once more: {again}"))
        if place:
            place.give_up()
    if place:
        place.forget_memory()
    # Its cell has not begun: again, and not to be saved, as it may stand still then, too.
    return _booted_run(case, None)


def _never_ready(case: _Case, vm: Vm, why: str, pulse: Pulse) -> Observation | None:
    """The run of a guest that never said that it is up; None: a second try will tell whose fault it is."""
    run = Observation(ending=Ending.NEVER_READY, detail=why, accelerator=case.accelerator)
    if vm.alive():
        seen = _with_evidence(run, vm, case.guests, case.folder, pulse)
        return seen if seen.ending is Ending.LOST else replace(seen, detail=why)
    if not vm.refused():
        return blamed(run, vm)
    # Of its own accord, before the kernel's first word: because of this machine, or because it can't load the kernel.
    if not starts_without_kernel(case.spec, vm.files.memory):
        return replace(blamed(run, vm), detail=f"QEMU could not start: {vm.ending()}")
    return None if case.boots == 1 else replace(run, detail=f"QEMU can't load this kernel: {vm.ending()}")


def _saved(case: _Case, place: Claim, vm: Vm, ready: Ready) -> bool:
    """Save the guest for the cells that wait for it; False, with a notice, when that failed."""
    try:
        place.keep(vm, ready, Deadline.after(case.guests.patience.boot, "a guest that is to be saved"))
    except InfraError as e:
        raise_if_cancelled()  # who ended everything killed QEMU too: a state is no worse for that
        place.give_up()
        case.listener(Notice(text=f"{case.cell.name}: its guest can't be saved, so that others are booted: {e}"))
        return False
    return True


def _run_in(case: _Case, vm: Vm, ready: Ready, guest: ssh.Guest | None = None) -> Observation:
    """The workload, in a guest that is up; `guest` is an SSH session in it where there is one already."""
    guests = case.guests
    case.begin(Phase.SETUP)
    run = _session(case, vm, ready, guest)
    if run.ending is not Ending.REPORTED and vm.alive():
        vm.wait_quiet(guests.patience.quiet, Deadline.after(_MODEST, "a quiet console"))
    run = blamed(run, vm)
    spent = vm.processor_time()
    starved = spent.waited_share if spent else None
    return replace(run, accelerator=case.accelerator, speed=run.speed or ready.speed, starved=starved)


def _await_ready(vm: Vm, seconds: float) -> tuple[Ready | None, str]:
    try:
        ready = vm.wait_ready(Deadline.after(seconds, "the guest's ready line"))
    except OutOfTime:
        return None, f"no ready line on the console after {seconds:g} s"
    return ready, "" if ready else f"{vm.ending()} before the guest was up"


def _session(case: _Case, vm: Vm, ready: Ready, guest: ssh.Guest | None) -> Observation:
    pulse = Pulse(vm)
    soon = Deadline.after(case.guests.patience.boot, "an SSH session")
    with ExitStack() as stack:
        if guest is None:
            try:
                guest = stack.enter_context(connected(vm, case.guests.keys, soon))
                guest.run("true", soon)
                ready = remeasured_if_slow(ready, guest, REFERENCE_SPEED / 2, soon)
            except InfraError as e:
                return _no_session(vm, case.guests, case.folder, e, pulse)
        if ready.speed < REFERENCE_SPEED / SLOWEST:
            detail = f"the guest says that it is {REFERENCE_SPEED / ready.speed:.0f} times slower than the reference"
            return Observation(ending=Ending.LOST, detail=detail, fault=Fault.GUEST, hint=_TOO_SLOW, speed=ready.speed)
        return replace(_work(case, vm, ready, guest), speed=ready.speed)


_TOO_SLOW = f"uptime  # {SLOWEST:.0f} times is the most: with limits of days no hang would show; --jobs 1 gives it more"


def _work(case: _Case, vm: Vm, ready: Ready, guest: ssh.Guest) -> Observation:
    def on_progress(at: Progress) -> None:
        pulse.beat(at.operations)
        case.listener(CellProgress(cell=cell, operations=at.operations, swapoffs=at.swapoffs, seconds=at.seconds))

    cell, guests, folder = case.cell, case.guests, case.folder
    limits = limits_for(cell, ready.speed, kernel_slower=needs_of(cell.build.flavour).slower)
    boot_seconds = now() - case.started
    pulse, begun = Pulse(vm), now()
    allow = (*guests.allow, *cell.workload.allow)
    flood = Flood(*case.logs.values())
    crashed = CrashSeen(folder / "console.log", allow) if guests.stop_at_crash else None
    argv = workload_argv(cell, limits)
    watched = watch(
        guest,
        argv,
        limits,
        alive=vm.alive,
        on_progress=on_progress,
        enough=lambda: flood() or bool(crashed and crashed()),
    )
    case.begin(Phase.COLLECT)
    (folder / "workload.log").write_text(watched.output, encoding="utf-8", errors="backslashreplace")
    run = run_of(watched, vm, boot_seconds=boot_seconds, guest_seconds=now() - begun)
    run = replace(run, broken=run.broken or flood.told())
    if cell.widening and vm.alive():
        run = replace(run, executed=_executed(guest))
    if watched.ending in _WORTH_A_LOOK and vm.alive():
        case.begin(Phase.EVIDENCE)
        run = _with_evidence(run, vm, guests, folder, pulse)
    return run


def _executed(guest: ssh.Guest) -> Executed | None:
    """Which blocks ran; None when the guest does not say, which is no verdict of its own."""
    try:
        said = guest.run(READ_COUNTS, Deadline.after(_MODEST, "the executed blocks"))
        return executed_of(said.text) if said.status == 0 else None
    except (ssh.GuestUnreachable, ValueError):
        return None


def _no_session(vm: Vm, guests: Guests, folder: Path, why: InfraError, pulse: Pulse) -> Observation:
    if is_gone(vm.alive):
        return Observation(ending=Ending.GUEST_GONE, detail=f"{vm.ending()} before the first SSH command was done")
    if not isinstance(why, ssh.GuestUnreachable):
        raise why
    return _with_evidence(Observation(ending=Ending.SSH_LOST, detail=str(why)), vm, guests, folder, pulse)


_WORTH_A_LOOK = (
    *(Ending.SWAPOFF_STUCK, Ending.NO_PROGRESS, Ending.TIMED_OUT),
    *(Ending.SSH_LOST, Ending.PROGRAM_DIED),
)


def _with_evidence(run: Observation, vm: Vm, guests: Guests, folder: Path, pulse: Pulse) -> Observation:
    if stopped := paused(run, vm):
        return stopped
    standstill = pulse.standstill(run.ending)
    with ExitStack() as stack:
        seen = evidence.collect(
            folder / "evidence",
            hang_channels(
                stack, vm, guests.keys, booted=run.ending is not Ending.NEVER_READY, whole_memory=guests.dump_memory
            ),
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
