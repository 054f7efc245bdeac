# SPDX-License-Identifier: GPL-2.0-or-later
"""A deterministic guest from its start to its end: nobody reaches it, and it tells on its console how it went."""

from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.guest.console_report import ConsoleWatch
from orchestrator.guest.workload import Progress, Watched
from orchestrator.host.deadline import POLL_SECONDS, Deadline, now, pause_seconds
from orchestrator.host.errors import OutOfTime
from orchestrator.host.text import capped_lines
from orchestrator.model.blocks import Counted
from orchestrator.model.cells import Cell
from orchestrator.model.events import CellProgress, Listener, PhaseBegan
from orchestrator.model.guests import Ending, Fault
from orchestrator.model.phases import Phase
from orchestrator.run.bootable import Bootable, unlike_asked
from orchestrator.run.endings import End, blamed, end_of
from orchestrator.run.progress_watch import Flood
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.guest_clock import seconds_since_ready
from orchestrator.vm.qemu import Ready, Vm, boot

# Its own limits end a guest that hangs, in guest time. These only end one that has stopped to count, whatever the host
# does beside it: one CPU runs all of the guest's.
_BOOT_TIMES = 10.0
_SECONDS_PER_GUEST_SECOND = 60.0
_MOST_SECONDS = 3600.0
# After its last word a guest resets itself.
_RESET_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class UnattendedCell:
    """What is known of the guest once it has ended."""

    end: End
    watched: Watched | None = None
    counted: Counted | None = None
    flooded: str = ""
    resets: bool = False  # it said that this is its end
    speed: float | None = None
    boot_seconds: float | None = None
    guest_seconds: float = 0.0


def run_unattended(cell: Cell, bootable: Bootable, spec: VmSpec, folder: Path, listener: Listener) -> UnattendedCell:
    """Boot the guest and watch its console until it has ended."""
    started = now()
    logs = {"console_log": folder / "console.log", "qemu_log": folder / "qemu.log"}
    with boot(spec, **logs) as vm:
        ready, end = _ready(vm, bootable.guests.patience.boot * _BOOT_TIMES)
        if ready is None:
            return UnattendedCell(end=blamed(end, vm))
        if differs := unlike_asked(cell, bootable, ready):
            return UnattendedCell(end=End(ending=Ending.LOST, detail=differs, fault=Fault.MACHINE))
        # What QEMU tells of a traced guest is no nonsense of the guest's, however long.
        heard = logs.values() if not spec.traced else (logs["console_log"],)
        seen = _watched(cell, vm, Flood(*heard), listener)
        assert seen.watched is not None
        (folder / "workload.log").write_text(seen.watched.output, encoding="utf-8", errors="backslashreplace")
        if seen.resets:
            _wait_reset(vm)
        end = blamed(end_of(seen.watched, vm), vm)
    seconds = _by_its_clock(logs["console_log"])
    return replace(
        seen,
        end=end,
        speed=ready.speed,
        boot_seconds=now() - started - seen.guest_seconds,
        guest_seconds=seen.guest_seconds if seconds is None else seconds,
    )


def _by_its_clock(console_log: Path) -> float | None:
    """A function of the seed, whereas the seconds of the host say how busy it was."""
    with console_log.open("rb") as file:
        return seconds_since_ready(capped_lines(file))


def _ready(vm: Vm, seconds: float) -> tuple[Ready | None, End]:
    try:
        ready = vm.wait_ready(Deadline.after(seconds, "the guest's ready line"))
    except OutOfTime:
        ready, why = None, f"no ready line on the console after {seconds:g} s"
    else:
        why = "" if ready else f"{vm.ending()} before the guest was up"
    return ready, End(ending=Ending.NEVER_READY, detail=why)


def _watched(cell: Cell, vm: Vm, flood: Flood, listener: Listener) -> UnattendedCell:
    def on_progress(at: Progress) -> None:
        listener(CellProgress(cell=cell, operations=at.operations, swapoffs=at.swapoffs, seconds=at.seconds))

    listener(PhaseBegan(what=cell.name, phase=Phase.SETUP))
    began = now()
    watch = ConsoleWatch(lines=vm.new_lines, alive=vm.alive, on_progress=on_progress, enough=flood)
    most = _MOST_SECONDS + cell.seconds * _SECONDS_PER_GUEST_SECOND
    watched = watch.run(Deadline.after(most, "the guest's end"))
    listener(PhaseBegan(what=cell.name, phase=Phase.COLLECT))
    return UnattendedCell(
        end=End(ending=watched.ending),
        watched=watched,
        counted=watch.report.counted(),
        flooded=flood.text(),
        resets=bool(watch.report.how),
        guest_seconds=now() - began,
    )


def _wait_reset(vm: Vm) -> None:
    """The console is whole once QEMU is gone."""
    until = Deadline.after(_RESET_SECONDS, "the guest's reset")
    while vm.alive() and not until.passed():
        pause_seconds(POLL_SECONDS)
