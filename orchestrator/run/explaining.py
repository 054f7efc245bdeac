# SPDX-License-Identifier: GPL-2.0-or-later
"""A deterministic cell again, up to just before its splat: who did what to the objects of the crash."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.text import capped_lines
from orchestrator.judge.frames import plain_name
from orchestrator.judge.infrastructure import INFRASTRUCTURE
from orchestrator.judge.race_table import (
    Table,
    given_objects,
    offsets_of,
    places,
    reported_object,
    spans_of,
    stopped_values,
    words_in,
)
from orchestrator.judge.traced_calls import CLOCK, SWITCH, calls, whole_copies
from orchestrator.kernel.code.race_places import RaceRequest, race_points
from orchestrator.kernel.code.symbols import Symbols
from orchestrator.model.arch import ARCHES
from orchestrator.model.crashes import Crash
from orchestrator.model.events import Listener, PhaseBegan
from orchestrator.model.explained import Act, Explained, Span
from orchestrator.model.images import KernelImage
from orchestrator.model.phases import Phase
from orchestrator.model.race_points import PointKind, RacePoint, RacePoints
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.stacks import SourceLine
from orchestrator.model.traced import Call, TracedFunction, Watched
from orchestrator.report.kept_diff import load_diff
from orchestrator.run.bootable import vm_spec
from orchestrator.run.debugging import Debugged, await_socket, compared_so_far, crash_of, stop_places
from orchestrator.run.replaying import QEMU_LOG, REPLAY_FOLDER, console_lines, kept_replay, replayable
from orchestrator.vm.debugger import STOPPED, Debugger, debugger_program
from orchestrator.vm.execution_log import LOGGED, entries
from orchestrator.vm.guest_clock import stamp_of
from orchestrator.vm.guest_memory import GUEST_CLOCK, memory_or_nothing, task_names
from orchestrator.vm.qemu import LONGEST_LOG_BYTES, Vm, boot, size_of
from orchestrator.vm.qmp import command_when

_MOST_SECONDS = 4 * 3600.0
# So many frames of a stack say what a crash is about.
_FRAMES = 4
# How far behind a pointer of the guest's another one may lie.
_NEAR_BYTES = 128
# Only what is known of these frames: the outer ones are those of the system call.
_COMMANDS = ("info registers", f"bt -full {_FRAMES}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The guest just before its splat."""

    console: Debugged  # compared with the cell's
    explained: Explained


def explain(
    report: RunReport, found: CellReport, listener: Listener, *, last: float | None = None, sandbox: bool
) -> Seen:
    """Replay the cell. Raises UserError for one that can't be replayed, or has no splat to stop before.

    `last`: look only at so many seconds of guest time before the splat.
    """
    kept_replay(report, found)
    bootable = replayable(report, found.cell, sandbox=sandbox)
    kernel, crash = bootable.kernel, crash_of(found)
    program = debugger_program(ARCHES[kernel.build.arch])
    stops, passes = stop_places(kernel, found, sandbox=sandbox)
    listener(PhaseBegan(what=found.cell.name, phase=Phase.SETUP))
    wanted = race_points(kernel, _request(report, kernel, crash), sandbox=sandbox)
    symbols = Symbols(vmlinux=kernel.vmlinux, arch=ARCHES[kernel.build.arch], sandbox=sandbox)
    watched = _watched(symbols, wanted)
    folder, again = report.folder / found.folder, report.folder / found.folder / REPLAY_FOLDER
    again.mkdir(exist_ok=True)
    (again / QEMU_LOG).unlink(missing_ok=True)
    spec = replace(vm_spec(found.cell, bootable), debugged=True)
    late = _late(symbols, folder / "console.log", crash, last) if last is not None else None
    spec = replace(spec, traced=watched.addresses, windows=tuple(watched.windows), traced_later=late is not None)
    listener(PhaseBegan(what=found.cell.name, phase=Phase.BOOT))
    with boot(spec, console_log=again / "console.log", qemu_log=again / QEMU_LOG) as vm:
        gdb = Debugger(program=program, vmlinux=kernel.vmlinux, files=vm.files, sandbox=sandbox)
        gdb.prepare(stops, passes, wanted.splits)
        await_socket(vm)
        output = _stopped(gdb, vm, again, late)
        listener(PhaseBegan(what=found.cell.name, phase=Phase.COLLECT))
        log = _Log(again / QEMU_LOG, watched, {point.address: point for point in wanted.points})
        explained = _explained(crash, log, wanted, output, vm)
        starts = symbols.starts_of("init_task")
        names = task_names(vm, starts[0], {act.task for act in explained.acts if act.task}) if starts else {}
    console = replace(compared_so_far(folder / "console.log", again / "console.log"), places=stops, passes=passes)
    lines = _lines(symbols, explained.acts)
    return Seen(
        console=console,
        explained=replace(
            explained, lines=lines, places=places(explained.acts, lines), tasks=names, stop=" or ".join(stops),
            seconds=seconds_of(folder / "console.log", crash), current=crash.task,
        ),
    )  # fmt: skip


def _request(report: RunReport, kernel: KernelImage, crash: Crash) -> RaceRequest:
    diff = load_diff(report.folder, kernel.build)
    functions = diff.functions if diff else ()
    stack = [frame.function for frame in crash.stack if not frame.module]
    crashed = [name for name in stack if not any(family.match(plain_name(name)) for family in INFRASTRUCTURE)]
    return RaceRequest(
        arch=kernel.build.arch,
        crashed=tuple(dict.fromkeys(crashed))[:_FRAMES],
        inlined=tuple(
            place.function for frame in crash.stack if frame.function in crashed[:1] for place in frame.places[:-1]
        ),
        changed=tuple(dict.fromkeys(one.name for one in functions)),
        files=tuple(dict.fromkeys(one.file for one in functions if one.file.endswith(".c"))),
    )


def _watched(symbols: Symbols, wanted: RacePoints) -> Watched:
    functions = {point.address: TracedFunction(name=point.function) for point in wanted.points}
    if not functions:
        raise UserError("nothing is known of what this splat is about", hint="patchrig replay RUN CELL --gdb")
    return Watched(
        functions=functions,
        clocks=frozenset(symbols.starts_of(CLOCK)),
        switches=frozenset(symbols.starts_of(SWITCH)),
        windows=frozenset(point.address for point in wanted.points if point.kind is PointKind.COPY),
    )


@dataclass(frozen=True, slots=True)
class _Late:
    """From when on QEMU is to log."""

    clock: int  # address of the guest's clock
    nanoseconds: int


def _late(symbols: Symbols, console: Path, crash: Crash, last: float) -> _Late:
    clocks, seconds = symbols.starts_of(GUEST_CLOCK), seconds_of(console, crash)
    if not clocks or seconds is None:
        raise UserError("--last: when the splat came is not known", hint=f"less {console}")
    return _Late(clocks[0], max(1, round((seconds - last) * 1e9)))


def _stopped(gdb: Debugger, vm: Vm, folder: Path, late: _Late | None) -> str:
    """What gdb says of the guest, which then stands still. Raises InfraError where it did not come to the place."""
    until = Deadline.after(_MOST_SECONDS, "the splat")
    log = folder / "gdb.log"
    log.unlink(missing_ok=True)
    with process.spawn(gdb.batch_argv(_COMMANDS, last="disconnect"), log=log) as child:
        if late:
            command_when(vm.files.qmp_socket, late.clock, late.nanoseconds, f"log {LOGGED}", until)
        while child.poll() is None and vm.alive():
            until.pause()
    said = log.read_text(encoding="utf-8", errors="replace")
    _, mark, output = said.partition(STOPPED)
    if not mark:
        why = vm.ending() if not vm.alive() else process.last_lines(said, 3)
        hint = f"less {log}" if size_of(vm.files.qemu_log) <= LONGEST_LOG_BYTES else "patchrig explain ... --last 0.2"
        raise InfraError(f"the guest did not come to its splat: {why}", hint=hint)
    return output


@dataclass(frozen=True, slots=True)
class _Log:
    """What QEMU has told, to be read more than once: it may be long."""

    path: Path
    watched: Watched
    points: Mapping[int, RacePoint]

    def calls(self) -> Iterator[Call]:
        with self.path.open("rb") as lines:
            yield from calls(whole_copies(entries(capped_lines(lines)), self.watched), self.watched)


def _objects(crash: Crash, given: Mapping[int, str], output: str, vm: Vm) -> tuple[Span, ...]:
    """What the crash is about: in its report, in the guest's registers, or where these point."""
    if reported := reported_object(crash.text):
        return (reported,)
    values = stopped_values(output)
    if found := spans_of(given, values):
        return found
    near = (word for value in values for word in words_in(memory_or_nothing(vm, value, _NEAR_BYTES)))
    return spans_of(given, set(near))


def _explained(crash: Crash, log: _Log, wanted: RacePoints, output: str, vm: Vm) -> Explained:
    given = given_objects(log.calls(), log.points)
    objects = _objects(crash, given, output, vm)
    table = Table(points=log.points, objects=objects, offsets=offsets_of(log.calls(), log.points, given))
    return Explained(
        splat=crash.title,
        seconds=None,
        stop="",
        types=wanted.types,
        objects=objects,
        acts=tuple(table.acts(log.calls())),
        places=(),
        left_out=wanted.left_out,
    )


def _lines(symbols: Symbols, found: Sequence[Act]) -> dict[int, SourceLine]:
    """The line of the C file that an act stands in: of what was inlined from headers, the line that it was put into."""
    known = symbols.lines({act.address for act in found})
    return {
        address: next((line for line in chain if line.file.endswith(".c")), chain[-1])
        for address, chain in known.items()
    }


def seconds_of(console: Path, crash: Crash) -> float | None:
    """When a splat came, in seconds of guest time; None where its line has no stamp."""
    lines = console_lines(console)
    return stamp_of(lines[crash.line - 1]) if 0 < crash.line <= len(lines) else None
