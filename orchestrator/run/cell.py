# SPDX-License-Identifier: GPL-2.0-or-later
"""One cell: get a guest, run its workload, observe it to its end. QEMU runs only here; judging.py has the verdict."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from orchestrator.guest import ssh
from orchestrator.guest.block_counts import counted_blocks
from orchestrator.guest.evidence import Evidence, collect
from orchestrator.guest.mutant import passed_places, tell_mutant
from orchestrator.guest.workload import REFERENCE_SPEED, Progress, Watched, is_gone, watch, workload_argv
from orchestrator.host.deadline import Deadline, now, raise_if_cancelled
from orchestrator.host.errors import InfraError, OutOfTime
from orchestrator.host.text import beginning_of
from orchestrator.model.blocks import Counted
from orchestrator.model.cells import Cell
from orchestrator.model.events import CellProgress, Listener, Notice, PhaseBegan
from orchestrator.model.guests import Ending, Fault, Observation, Standstill
from orchestrator.model.phases import Phase
from orchestrator.plan.flavours import needs_of
from orchestrator.run.bootable import Bootable, Guests, limits_of, unlike_asked, vm_spec
from orchestrator.run.endings import End, blamed, discount_own_shutdown, end_of, guarded, paused, too_slow, with_room
from orchestrator.run.hang_channels import hang_channels
from orchestrator.run.progress_watch import CrashSeen, Flood, Pulse, crashes_of
from orchestrator.run.restored import Restored, connected, remeasured_if_slow, restored
from orchestrator.run.snapshots import Claim
from orchestrator.run.stopwatch import Stopwatch
from orchestrator.run.unattended import run_unattended
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import Ready, Snapshot, Vm, boot, starts_without_kernel, wrong_clock

# A host that is busy at the wrong moment spoils a guest's clock, and is seldom so twice.
_BOOTS_MOST = 3
_MODEST = 10.0
_WORTH_A_LOOK = (Ending.SWAPOFF_STUCK, Ending.NO_PROGRESS, Ending.TIMED_OUT, Ending.SSH_LOST, Ending.PROGRAM_DIED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """A cell whose guest has ended: all that is known of it, its console in the folder."""

    observation: Observation
    folder: Path
    started: float  # monotonic seconds
    stopwatch: Stopwatch


def observe(cell: Cell, bootable: Bootable, *, folder: Path, listener: Listener) -> Observed:
    """Boot or restore the cell's guest and run its workload. When this returns, QEMU is gone.

    The folder then holds console.log, workload.log, qemu.log and evidence/. Our own trouble does not raise: it is an
    observation that ended as LOST, so that the other cells go on.
    """
    started, stopwatch = now(), Stopwatch(cell.name)
    spec, heard = vm_spec(cell, bootable), stopwatch.listening(listener)
    (folder / "console.log").touch()
    case = _Case(cell=cell, bootable=bootable, spec=spec, folder=folder, listener=heard)
    end = guarded(case.run, folder)
    observation = case.observation(discount_own_shutdown(guarded(lambda: with_room(end, folder), folder)))
    return Observed(observation=observation, folder=folder, started=started, stopwatch=stopwatch)


@dataclass(slots=True)
class _Case:
    """A cell on its way through its guest, and the facts that are known of it by now."""

    cell: Cell
    bootable: Bootable
    spec: VmSpec
    folder: Path
    listener: Listener
    started: float = field(default_factory=now)  # of QEMU
    boots: int = 0
    restored: bool = False
    speed: float | None = None
    starved: float | None = None
    boot_seconds: float | None = None
    guest_seconds: float = 0.0
    watched: Watched | None = None
    flooded: str = ""
    counted: Counted | None = None
    mutant_counts: Mapping[int, int] | None = None
    evidence: Evidence | None = None
    standstill: Standstill | None = None

    def observation(self, end: End) -> Observation:
        """All facts, once the guest has ended."""
        watched, seen = self.watched, self.evidence
        by = f"evidence from: {seen.source}" if seen and end.ending in _WORTH_A_LOOK else ""
        end = replace(end, detail="; ".join(filter(None, (end.detail, by))))
        return Observation(
            **asdict(end),
            broken=(watched.broken if watched else "") or self.flooded,
            result=watched.result if watched else None,
            exit_status=watched.exit_status if watched else None,
            boot_seconds=self.boot_seconds,
            restored=self.restored,
            guest_seconds=self.guest_seconds,
            speed=self.speed,
            accelerator="kvm" if self.spec.kvm else "tcg",
            evidence=seen.files if seen else (),
            starved=self.starved,
            stuck=seen.stuck if seen else (),
            moved=dict(seen.moved or {}) if seen else {},
            standstill=self.standstill,
            executed=self.counted.executed if self.counted else None,
            early=self.counted.early if self.counted else {},
            mutant_counts=self.mutant_counts,
        )

    @property
    def guests(self) -> Guests:
        return self.bootable.guests

    def begin(self, phase: Phase) -> None:
        self.listener(PhaseBegan(what=self.cell.name, phase=phase))

    def notice(self, text: str) -> None:
        self.listener(Notice(text=f"{self.cell.name}: {text}"))

    @property
    def logs(self) -> dict[str, Path]:
        return {"console_log": self.folder / "console.log", "qemu_log": self.folder / "qemu.log"}

    def run(self) -> End:
        """In a restored guest where there is a snapshot of it, else in a booted one."""
        if self.spec.schedule:
            return _unattended_run(self)
        with self.guests.snapshots.claim(self.spec) as claim, ExitStack() as stack:
            while snapshot := claim.snapshot():
                up = _restored(stack, self, snapshot)
                if isinstance(up, End):
                    return up
                if up:
                    return _run_in(self, up.vm, up.ready, up.guest)
                claim.discard(snapshot)
            if claim.without_room:
                why = f"{self.spec.memory_mib} MiB twice do not fit into memory and {self.guests.snapshots.folder} now"
                self.notice(f"booted, not restored, as may be others like it: {why}")
            return _booted_run(self, claim)


def _unattended_run(case: _Case) -> End:
    """In a deterministic guest: it has its work with it, and tells on its console what comes of it."""
    case.begin(Phase.BOOT)
    seen = run_unattended(case.cell, case.bootable, case.spec, case.folder, case.listener)
    case.speed, case.boot_seconds, case.guest_seconds = seen.speed, seen.boot_seconds, seen.guest_seconds
    case.watched, case.counted, case.flooded = seen.watched, seen.counted, seen.flooded
    return seen.end


def _restored(stack: ExitStack, case: _Case, snapshot: Snapshot) -> Restored | End | None:
    """The guest for the rest of the stack; None, with a notice, when the snapshot can't be used.

    A kernel that printed a splat meanwhile is no trouble with the snapshot: the end of a guest that is gone.
    """
    case.begin(Phase.RESTORE)
    case.started = now()
    soon = Deadline.after(case.guests.patience.restore, "a restored guest's first SSH command")
    try:
        up = stack.enter_context(restored(case.spec, snapshot, case.guests.keys, **case.logs, until=soon))
    except (InfraError, OSError) as e:
        raise_if_cancelled()  # who ended everything killed QEMU too: a snapshot is no worse for that
        if crashes_of(case.logs["console_log"], skip=snapshot.console_bytes):
            case.restored = True
            why = f"after it was restored, and before the first SSH command was done: {e}"
            return End(ending=Ending.GUEST_GONE, detail=why)
        case.notice(f"a snapshot of its guest can't be used and is thrown away: {e}")
        return None
    case.restored = True
    return up


def _booted_run(case: _Case, claim: Claim) -> End:
    case.begin(Phase.BOOT)
    case.boots += 1
    case.started = now()
    with boot(case.spec, **case.logs, memory=claim.memory()) as vm:
        pulse = Pulse(vm)
        ready, why = _await_ready(vm, case.guests.patience.boot)
        if ready is None:
            # Who waits for it need not wait for the evidence too.
            claim.give_up()
            if end := _never_ready(case, vm, why, pulse):
                return end
            again = f"QEMU did not start: {vm.ending()}"
        else:
            differs = unlike_asked(case.cell, case.bootable, ready)
            again = wrong_clock(beginning_of(case.logs["console_log"]))
            if differs := differs or (again if case.boots == _BOOTS_MOST else ""):
                return End(ending=Ending.LOST, detail=differs, fault=Fault.MACHINE)
            if not again and _saved(case, claim, vm, ready):
                return _run_in(case, vm, ready)
    if again:
        case.notice(f"booted once more: {again}")
    # Its cell has not begun: again, and not to be saved, as it may stand still then, too.
    claim.give_up()
    claim.forget_memory()
    return _booted_run(case, claim)


def _never_ready(case: _Case, vm: Vm, why: str, pulse: Pulse) -> End | None:
    """The end of a guest that never said that it is up; None: a second try will tell whose fault it is."""
    end = End(ending=Ending.NEVER_READY, detail=why)
    if vm.alive():
        return _with_evidence(case, end, vm, pulse)
    if not vm.refused():
        return blamed(end, vm)
    # Of its own accord, before the kernel's first word: because of this machine, or because it can't load the kernel.
    if not starts_without_kernel(case.spec, vm.files.memory):
        return replace(blamed(end, vm), detail=f"QEMU could not start: {vm.ending()}")
    return replace(end, detail=f"QEMU can't load this kernel: {vm.ending()}") if case.boots > 1 else None


def _saved(case: _Case, claim: Claim, vm: Vm, ready: Ready) -> bool:
    """Save the guest for the cells that wait for it; False, with a notice, when that failed."""
    try:
        claim.keep(vm, ready, Deadline.after(case.guests.patience.boot, "a guest that is to be saved"))
    except InfraError as e:
        raise_if_cancelled()  # who ended everything killed QEMU too: a snapshot is no worse for that
        claim.give_up()
        case.notice(f"its guest can't be saved, so that others are booted: {e}")
        return False
    return True


def _await_ready(vm: Vm, seconds: float) -> tuple[Ready | None, str]:
    try:
        ready = vm.wait_ready(Deadline.after(seconds, "the guest's ready line"))
    except OutOfTime:
        return None, f"no ready line on the console after {seconds:g} s"
    return ready, "" if ready else f"{vm.ending()} before the guest was up"


def _run_in(case: _Case, vm: Vm, ready: Ready, guest: ssh.Guest | None = None) -> End:
    """The workload, in a guest that is up; `guest` is an SSH session in it where there is one already."""
    case.begin(Phase.SETUP)
    case.speed = ready.speed
    end = _session(case, vm, ready, guest)
    if end.ending is not Ending.REPORTED and vm.alive():
        vm.wait_quiet(case.guests.patience.quiet, Deadline.after(_MODEST, "a quiet console"))
    spent = vm.processor_time()
    case.starved = spent.waited_share if spent else None
    return blamed(end, vm)


def _session(case: _Case, vm: Vm, ready: Ready, guest: ssh.Guest | None) -> End:
    pulse = Pulse(vm)
    soon = Deadline.after(case.guests.patience.boot, "an SSH session")
    with ExitStack() as stack:
        if guest is None:
            try:
                guest = stack.enter_context(connected(vm, case.guests.keys, soon))
                guest.run("true", soon)
                ready = remeasured_if_slow(ready, guest, REFERENCE_SPEED / 2, soon)
            except InfraError as e:
                return _no_session(case, vm, e, pulse)
        case.speed = ready.speed
        return too_slow(ready.speed) or _work(case, vm, ready, guest)


def _no_session(case: _Case, vm: Vm, why: InfraError, pulse: Pulse) -> End:
    if is_gone(vm.alive):
        return End(ending=Ending.GUEST_GONE, detail=f"{vm.ending()} before the first SSH command was done")
    if not isinstance(why, ssh.GuestUnreachable):
        raise why
    return _with_evidence(case, End(ending=Ending.SSH_LOST, detail=str(why)), vm, pulse)


def _work(case: _Case, vm: Vm, ready: Ready, guest: ssh.Guest) -> End:
    cell = case.cell
    case.boot_seconds = now() - case.started
    limits = limits_of(cell, ready.speed)
    pulse, begun = Pulse(vm), now()
    flood = Flood(*case.logs.values())
    allow = (*case.guests.allow, *cell.workload.allow)
    crashed = CrashSeen(case.folder / "console.log", allow) if case.guests.stop_when_red else None

    def on_progress(at: Progress) -> None:
        pulse.beat(at.operations)
        case.listener(CellProgress(cell=cell, operations=at.operations, swapoffs=at.swapoffs, seconds=at.seconds))

    def enough() -> bool:
        return flood() or bool(crashed and crashed())

    if cell.mutant is not None and (why := tell_mutant(guest, cell.mutant, _modest("the number of a mutant"))):
        return End(ending=Ending.LOST, detail=why, fault=Fault.GUEST)
    argv = workload_argv(cell, limits)
    case.watched = watched = watch(guest, argv, limits, alive=vm.alive, on_progress=on_progress, enough=enough)
    case.begin(Phase.COLLECT)
    case.guest_seconds, case.flooded = now() - begun, flood.text()
    (case.folder / "workload.log").write_text(watched.output, encoding="utf-8", errors="backslashreplace")
    end = end_of(watched, vm)
    records = needs_of(cell.build.flavour).records
    if (cell.widening or records) and vm.alive():
        case.counted = counted_blocks(guest, _modest("the executed blocks"), recorded=records)
    if cell.mutant is not None and vm.alive():
        case.mutant_counts = passed_places(guest, cell.mutant, _modest("the places of mutants"))
        # A guest that hangs may not answer; one that reported and then has another number was not this mutant.
        if case.mutant_counts is None and end.ending is Ending.REPORTED:
            return End(ending=Ending.LOST, detail=f"the guest no longer has mutant {cell.mutant}", fault=Fault.GUEST)
    reported = case.guests.stop_when_red and watched.ending is Ending.SWAPOFF_STUCK
    if watched.ending in _WORTH_A_LOOK and not reported and vm.alive():
        case.begin(Phase.EVIDENCE)
        return _with_evidence(case, end, vm, pulse)
    return end


def _modest(what: str) -> Deadline:
    return Deadline.after(_MODEST, what)


def _with_evidence(case: _Case, end: End, vm: Vm, pulse: Pulse) -> End:
    """The end of a guest that is there and does not answer, with what it still says of itself in the case."""
    if stopped := paused(vm):
        return stopped
    guests, booted = case.guests, end.ending is not Ending.NEVER_READY
    case.standstill = pulse.standstill(end.ending)
    with ExitStack() as stack:
        channels = hang_channels(stack, vm, guests.keys, booted=booted, whole_memory=guests.dump_memory)
        case.evidence = collect(case.folder / "evidence", channels, second_look=guests.patience.second_look)
        # What sysrq printed belongs to the console log that is judged next.
        vm.wait_quiet(guests.patience.quiet, Deadline.after(_MODEST, "a quiet console"))
    return end
