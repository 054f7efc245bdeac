# SPDX-License-Identifier: GPL-2.0-or-later
"""A crashed deterministic cell again and again, each time with another schedule from some moment on.

A guest under icount can't be restored from a snapshot (QEMU 7.2). So each trial runs from the start with the cell's
seed; at the moment QEMU stops the guest a few times and lets it go on. That cuts the time short that the CPU runs which
runs then, at a moment that depends on the host, and everything after it comes in another order.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose
from pathlib import Path

from orchestrator.host.deadline import Deadline, pause_seconds
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.text import one_line
from orchestrator.judge.same_finding import finding_of
from orchestrator.kernel.code.symbols import Symbols
from orchestrator.model.arch import ARCHES
from orchestrator.model.crashes import Crash
from orchestrator.model.events import Listener, Notice
from orchestrator.model.parted import Moment, Parted
from orchestrator.model.replays import first_difference
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.plan.moments import next_before
from orchestrator.run.bootable import vm_spec
from orchestrator.run.debugging import crash_of
from orchestrator.run.explaining import seconds_of
from orchestrator.run.progress_watch import crashes_of
from orchestrator.run.replaying import console_lines, kept_replay, replayable
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.guest_clock import ready_at, stamp_of
from orchestrator.vm.guest_memory import GUEST_CLOCK, memory_or_nothing
from orchestrator.vm.qemu import Vm, boot
from orchestrator.vm.qmp import go_on, stand_still, stop_when

_EACH = 4
_STOPS = 5
_STOP_SECONDS = 0.01
_TRIAL_SECONDS = 3600.0
_ANSWER_SECONDS = 30.0
# A crash that comes a little later than the cell's is the same one, too.
_AFTER = 0.1
# A guest that was stopped further from its moment than that counts for another one.
_LATE, _LATE_SECONDS = 0.2, 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A guest that parted from the schedule."""

    before: float | None  # seconds before the splat, measured; None: it did not come so far
    crashed: bool
    other: str = ""  # the first line of its console that was not the cell's, before it parted; "" where there was none
    unmoved: bool = False  # it crashed at the same microsecond as the cell


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """What all trials of a cell share."""

    spec: VmSpec
    console: list[str]  # of the cell
    crash: Crash
    seconds: float  # of its splat
    clock: int  # address of the guest's clock


def part(report: RunReport, found: CellReport, trials: int, listener: Listener, *, sandbox: bool) -> Parted:
    """Run the trials. Raises UserError for a cell that can't be replayed, or has no splat."""
    kept_replay(report, found)
    bootable = replayable(report, found.cell, sandbox=sandbox)
    crash = crash_of(found)
    console = report.folder / found.folder / "console.log"
    seconds = seconds_of(console, crash)
    symbols = Symbols(vmlinux=bootable.kernel.vmlinux, arch=ARCHES[found.cell.build.arch], sandbox=sandbox)
    clocks = symbols.starts_of(GUEST_CLOCK)
    if seconds is None or not clocks or finding_of(found) is None:
        raise UserError(f"{found.cell.name}: when it crashed is not known", hint=f"less {console}")
    spec = vm_spec(found.cell, bootable)
    case = _Case(spec=spec, console=console_lines(console), crash=crash, seconds=seconds, clock=clocks[0])
    moments, lost = _moments(case, trials, listener)
    return Parted(
        splat=crash.title,
        seconds=seconds,
        moments=tuple(sorted(moments, key=lambda moment: moment.before)),
        lost=lost,
        after=_AFTER,
    )


def _moments(case: _Case, trials: int, listener: Listener) -> tuple[list[Moment], int]:
    moments: dict[float, Moment] = {}
    ready = ready_at(case.console)
    longest, lost = case.seconds - (ready or 0.0), 0
    for number in range(1, trials + 1):
        before = next_before(list(moments.values()), longest=longest, each=min(_EACH, max(1, trials // 6)))
        trial = _trial(case, before)
        if trial.before is None or trial.before < 0 or trial.other:
            lost += 1
            listener(Notice(text=f"trial {number} of {trials} does not count: {_why(trial)}"))
            continue
        asked = before if isclose(trial.before, before, rel_tol=_LATE, abs_tol=_LATE_SECONDS) else trial.before
        moments[asked] = moments.get(asked, Moment(asked=asked)).with_trial(
            before=trial.before, crashed=trial.crashed, unmoved=trial.unmoved
        )
        how = "crashed" if trial.crashed else "did not crash"
        listener(Notice(text=f"trial {number} of {trials}: parted {trial.before:.3f} s before the splat, {how}"))
    if lost == trials:
        raise InfraError("no trial was the cell's execution up to its moment", hint="patchrig replay RUN CELL")
    return list(moments.values()), lost


def _why(trial: Trial) -> str:
    if trial.before is None:
        return "the guest ended before"
    if trial.other:
        return f"its console was another one already in {one_line(trial.other, 100)}"
    return "it parted after the splat"


def _trial(case: _Case, before: float) -> Trial:
    with tempfile.TemporaryDirectory() as name:
        logs = {"console_log": Path(name) / "console.log", "qemu_log": Path(name) / "qemu.log"}
        with boot(case.spec, **logs) as vm:
            stopped = _stopped(case, vm, case.seconds - before)
            if stopped is None:
                return Trial(before=None, crashed=False)
            left = case.seconds - stopped
            lines = console_lines(logs["console_log"])
            # A line that is not whole yet is not compared.
            at, _, line = first_difference(case.console, lines[:-1])
            if line:
                return Trial(before=left, crashed=False, other=f"line {at + 1}: {line}")
            _part(vm)
            crashed = _crashed(case, vm, logs["console_log"], case.seconds + max(left, 0.0) + _AFTER)
    return Trial(before=left, crashed=crashed is not None, unmoved=crashed == case.seconds)


def _stopped(case: _Case, vm: Vm, at: float) -> float | None:
    """The guest stands still from about this second on: the second that it was; None: it ended before."""
    until = Deadline.after(_TRIAL_SECONDS, "the moment to part")
    # There is no clock before the kernel has started it.
    until.until(lambda: _clock(case, vm) > 0 or not vm.alive())
    stopped = stop_when(vm.files.qmp_socket, case.clock, round(at * 1e9), until)
    return None if stopped is None else stopped / 1e9


def _part(vm: Vm) -> None:
    """Let a guest that stands still go on by another schedule."""
    socket, soon = vm.files.qmp_socket, Deadline.after(_ANSWER_SECONDS, "QEMU's answer")
    for _ in range(_STOPS):
        go_on(socket, soon)
        pause_seconds(_STOP_SECONDS)
        stand_still(socket, soon)
    go_on(socket, soon)


def _clock(case: _Case, vm: Vm) -> float:
    """Seconds of guest time; 0 before the kernel has a clock."""
    nanoseconds = int.from_bytes(memory_or_nothing(vm, case.clock, 8), "little")
    return nanoseconds / 1e9 if nanoseconds < 1 << 62 else 0.0


def _crashed(case: _Case, vm: Vm, console: Path, latest: float) -> float | None:
    """When the guest showed the cell's splat, before a second of its own clock; None: it did not."""
    until = Deadline.after(_TRIAL_SECONDS, "the guest's end")
    while True:
        alive, now = vm.alive(), _clock(case, vm)
        lines = console_lines(console)
        stamp = next((stamp for stamp in _stamps(case.crash, console, lines) if stamp <= latest), None)
        if stamp is not None or not alive or now > latest + _AFTER:
            return stamp
        until.pause(0.1)


def _stamps(crash: Crash, console: Path, lines: list[str]) -> Iterator[float]:
    """When the same splat came."""
    for other in crashes_of(console):
        if (other.kind, other.title) == (crash.kind, crash.title) and 0 < other.line <= len(lines):
            yield stamp_of(lines[other.line - 1]) or 0.0
