# SPDX-License-Identifier: GPL-2.0-or-later
"""A deterministic cell again, up to just before its splat, with gdb."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.judge.same_finding import finding_of
from orchestrator.judge.stop_places import stop_before
from orchestrator.kernel.code.symbols import Symbols
from orchestrator.model.arch import ARCHES
from orchestrator.model.crashes import Crash
from orchestrator.model.events import Listener, PhaseBegan
from orchestrator.model.images import KernelImage
from orchestrator.model.phases import Phase
from orchestrator.model.replays import first_difference
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.run.bootable import vm_spec
from orchestrator.run.replaying import REPLAY_FOLDER, console_lines, kept_replay, replayable
from orchestrator.vm.debugger import STOPPED, Debugger, debugger_program
from orchestrator.vm.qemu import Vm, boot

_START_SECONDS = 60.0
_MOST_SECONDS = 4 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is to be done with the guest."""

    places: tuple[str, ...]  # where to stop, in gdb's words; (): before the cell's splat
    commands: tuple[str, ...]  # of gdb, then the end; (): the user has the terminal
    terminal: bool  # there is one


@dataclass(frozen=True, kw_only=True, slots=True)
class Debugged:
    """What came of it."""

    places: tuple[str, ...]
    passes: int  # stops that were passed over: each lets the other CPUs run on
    output: str  # of the commands
    stopped: bool | None  # at the place; None: the user had the terminal, and knows
    lines: int  # of the console, until the guest was ended
    line: int = 0  # of the first difference, from 1; 0: all that was said is what was said then
    said_before: str = ""
    says_now: str = ""


def debug(report: RunReport, found: CellReport, asked: Asked, listener: Listener, *, sandbox: bool) -> Debugged:
    """Start the guest with gdb. Raises UserError for a cell that can't be replayed, or has no place to stop at."""
    folder = report.folder / found.folder
    kept_replay(report, found)
    bootable = replayable(report, found.cell, sandbox=sandbox)
    program = debugger_program(ARCHES[found.cell.build.arch])
    places, passes = (asked.places, 0) if asked.places else stop_places(bootable.kernel, found, sandbox=sandbox)
    again = folder / REPLAY_FOLDER
    again.mkdir(exist_ok=True)
    spec = replace(vm_spec(found.cell, bootable), debugged=True)
    listener(PhaseBegan(what=found.cell.name, phase=Phase.BOOT))
    with boot(spec, console_log=again / "console.log", qemu_log=again / "qemu.log") as vm:
        vmlinux = bootable.kernel.vmlinux
        gdb = Debugger(program=program, vmlinux=vmlinux, files=vm.files, sandbox=sandbox)
        gdb.prepare(places, passes)
        await_socket(vm)
        output, stopped = _run(gdb, asked, again, vm)
    parted = compared_so_far(folder / "console.log", again / "console.log")
    return replace(parted, places=places, passes=passes, output=output, stopped=stopped)


def stop_places(kernel: KernelImage, found: CellReport, *, sandbox: bool) -> tuple[tuple[str, ...], int]:
    """Where to stop before the cell's splat, in gdb's words, and how many stops come before that. Raises UserError."""
    crash = crash_of(found)
    stop = stop_before(crash, found.crashes)
    if stop is None:
        raise UserError(f"where to stop before a splat of the kind {crash.kind} is not known", hint=_CHOOSE)
    symbols = Symbols(vmlinux=kernel.vmlinux, arch=ARCHES[kernel.build.arch], sandbox=sandbox)
    if stop.frame is None:
        known = tuple(name for name in stop.functions if symbols.starts_of(name))
        if not known:
            raise UserError(f"this kernel has none of {', '.join(stop.functions)}", hint=_CHOOSE)
        # The first instruction: behind the prologue is too late for a caller of another name.
        return tuple(f"*{name}" for name in known), stop.passes
    address = symbols.address(stop.frame)
    if address is None:
        raise UserError(f"where {stop.frame} is in this kernel is not certain", hint=_CHOOSE)
    return (f"*{address:#x}",), stop.passes


_CHOOSE = "patchrig replay RUN CELL --gdb --break FUNCTION"


def crash_of(found: CellReport) -> Crash:
    """The splat of the cell's finding, else the first that fails it. Raises UserError where there is none."""
    finding = finding_of(found)
    fatal = [crash for crash in found.crashes if crash.fails]
    of_finding = [crash for crash in fatal if finding and crash.title == finding.title]
    crash = next(iter((*of_finding, *fatal)), None)
    if crash is None:
        raise UserError(f"{found.cell.name} has no splat to stop before", hint=_CHOOSE)
    return crash


def await_socket(vm: Vm) -> None:
    """Until gdb can connect. Raises InfraError for a guest that did not start."""
    until = Deadline.after(_START_SECONDS, "QEMU's socket for gdb")
    until.until(lambda: vm.files.gdb_socket.exists() or not vm.alive())
    if not vm.alive():
        raise InfraError(f"the guest did not start: {vm.ending()}", hint=f"less {vm.files.qemu_log}")


def _run(gdb: Debugger, asked: Asked, folder: Path, vm: Vm) -> tuple[str, bool | None]:
    """What gdb printed, and whether the guest stopped at the place."""
    if asked.terminal and not asked.commands:
        process.foreground(gdb.terminal_argv())
        return "", None
    until = Deadline.after(_MOST_SECONDS, "the place to stop at")
    done = process.run(gdb.batch_argv(asked.commands or ("bt",)), log=folder / "gdb.log", until=until)
    said, mark, output = done.output.partition(STOPPED)
    if not mark and vm.alive():
        raise InfraError(f"gdb failed: {process.last_lines(done.output, 3)}", hint=f"less {folder / 'gdb.log'}")
    return (output if mark else said).strip("\n"), bool(mark)


def compared_so_far(old: Path, new: Path) -> Debugged:
    """The consoles, of which the new one ends somewhere."""
    before, now = console_lines(old), console_lines(new)
    whole = _whole(now, before)
    at, said_before, says_now = first_difference(before[: len(whole)], whole)
    result = Debugged(places=(), passes=0, output="", stopped=None, lines=len(whole))
    if at == len(whole):
        return result
    return replace(result, line=at + 1, said_before=said_before, says_now=says_now)


def _whole(now: Sequence[str], before: Sequence[str]) -> Sequence[str]:
    """Without a last line of which only the beginning was said."""
    cut = now and len(now) <= len(before) and before[len(now) - 1].startswith(now[-1])
    return now[:-1] if cut and now[-1] != before[len(now) - 1] else now
