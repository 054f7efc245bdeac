# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload: its command line (pure), its lines (pure), and the watch over it."""

import shlex
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from orchestrator.guest.block_counts import widen_argument
from orchestrator.guest.probe_lists import INTERFACES_FILE, probes_file
from orchestrator.guest.protocol import LONGEST_LINE, number, parsed, whole, yes_or_no
from orchestrator.guest.ssh import Guest, GuestUnreachable, Running
from orchestrator.host.deadline import POLL_SECONDS, Deadline, now, pause_seconds
from orchestrator.host.errors import OutOfTime
from orchestrator.host.text import one_line
from orchestrator.model.cells import Cell
from orchestrator.model.commands import filled
from orchestrator.model.configuration import DeviceKind
from orchestrator.model.guests import Accounting, Ending, Mismatch, UnexpectedError, WorkloadResult
from orchestrator.model.interfaces import InterfaceUse

_MISMATCHES = TypeAdapter(tuple[Mismatch, ...])
_LACKING = TypeAdapter(dict[str, str])
_ERRORS = TypeAdapter(tuple[UnexpectedError, ...])
# The kernel's counters have 64 bits, and none of them is below zero.
_COUNTS = TypeAdapter(dict[str, dict[str, Annotated[int, Field(strict=True, ge=0, lt=1 << 64)]]])
_CHANGED = TypeAdapter(dict[str, Annotated[int, Field(strict=True, ge=0, lt=1 << 64)] | None])
_FIGURES = TypeAdapter(dict[str, Annotated[int, Field(strict=True, ge=-(1 << 63), lt=1 << 64)]])
_INTERFACES = TypeAdapter(tuple[InterfaceUse, ...])
_TEXTS = TypeAdapter(tuple[str, ...])

# A swapfile needs room for ext2's own blocks beside it.
_FILE_SYSTEM_MIB = 4
# A dying QEMU closes its sockets before its process is over, and SSH a channel before its connection.
_MOMENT_SECONDS = 1.0
# The watch looks every 10 ms; on a busy machine it has been late by tenths of a second.
_OWN_STOP_SECONDS = 5.0
# Of what a workload prints: characters of the first part, and lines of the last, each of so many characters at most.
_MOST_KEPT = 4 << 20
_LAST_LINES = 1000
_LONGEST_KEPT = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Seconds, scaled with the guest's measured speed: a slow machine makes a run longer, not red."""

    swapoff: float
    no_progress: float
    overall: float
    command: float = 0.0  # of a workload that is a command: what it may take itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    operations: int
    swapoffs: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """How the watch ended, and what the workload said until then."""

    ending: Ending
    detail: str
    result: WorkloadResult | None
    exit_status: int | None
    output: str
    broken: str = ""  # how it broke the protocol, whatever else it said


REFERENCE_SPEED = 200.0
"""Iterations per microsecond of speed.c at which limits are as below; the reference machine under TCG, one guest."""
SLOWEST = 20.0
"""So many times slower a guest may be. With less there would be no limits left that end a hang within hours."""


def limits_for(cell: Cell, speed: float, *, kernel_slower: float = 1.0) -> Limits:
    """Time limits of a cell in a guest of this speed, whose kernel takes longer by a factor that no program shows."""
    slower = min(SLOWEST, max(1.0, REFERENCE_SPEED / max(speed, 0.1))) * kernel_slower
    if cell.workload.command:
        # Its silence means nothing.
        most = max(float(cell.seconds), cell.workload.most_seconds * slower)
        overall = most + 300.0 * slower
        return Limits(swapoff=45.0 * slower, no_progress=overall, overall=overall, command=most)
    # A mutant's load must get on sooner: that of the control did, in a guest like it.
    silence = 60.0 if cell.mutant is None else 20.0
    # A swapoff that reads 16 MiB back at a millisecond a page has taken 11 s beside another guest; a leak never ends.
    return Limits(swapoff=45.0 * slower, no_progress=silence * slower, overall=cell.seconds + 300.0 * slower)


def disk_sizes(cell: Cell) -> tuple[int, ...]:
    """MiB of the virtio disk behind each swap device, in order; 0 where the guest makes the device itself."""
    sizes = {DeviceKind.VIRTIO_BLK: 0, DeviceKind.SWAPFILE: _FILE_SYSTEM_MIB}
    return tuple(
        device.size_mib + sizes[device.kind] if device.kind in sizes else 0 for device in cell.workload.devices
    )


def workload_argv(cell: Cell, limits: Limits) -> list[str]:
    """The command that runs the cell's workload in the guest, as run-workload takes it."""
    load = cell.workload
    argv = ["run-workload"]
    for device in load.devices:
        words = (device.kind, device.size_mib, device.priority, device.latency_us, *("discard",) * device.discard)
        argv += ["--device", ":".join(map(str, words))]
    for path, value in load.settings.items():
        argv += ["--setting", f"{path}={value}"]
    for file, value in load.cgroup.items():
        argv += ["--cgroup", f"{file}={value}"]
    if cell.widening:
        argv += ["--widen", widen_argument(cell.widening, cell.seed, load.widen_only)]
    if load.command:
        values = {"seconds": cell.seconds, "seed": cell.seed, "limit": round(limits.command)}
        return [*argv, "--", load.name, "--", *(filled(word, values) for word in load.command)]
    argv += ["--", load.name, "--seconds", str(cell.seconds), "--seed", str(cell.seed)]
    argv += ["--swapoff-budget", f"{limits.swapoff:.0f}", "--probes", f"/{probes_file(load.name)}"]
    argv += ["--interfaces", f"/{INTERFACES_FILE}"] if load.interfaces else []
    return [*argv, *load.arguments]


def result_of(said: Mapping[str, object]) -> WorkloadResult:
    """The workload's result line as a value. Raises ValueError where it is not what the protocol asks for."""
    try:
        return WorkloadResult(
            operations=whole(said, "operations"),
            verified=whole(said, "verified"),
            mismatch_count=whole(said, "mismatch_count"),
            mismatches=_MISMATCHES.validate_python(said["mismatches"]),
            errors=_ERRORS.validate_python(said["errors"]),
            swapoffs=whole(said, "swapoffs"),
            swapoff_longest_ms=number(said, "swapoff_longest_ms"),
            swapoff_stuck=yes_or_no(said, "swapoff_stuck"),
            counters=growth(said["counters"]),
            lacking=_LACKING.validate_python(said.get("lacking", {})),
            missing=str(said.get("missing", "")),
            changed=_CHANGED.validate_python(said.get("changed", {})),
            accounting=accounting_of(said.get("accounting")),
            interfaces=_INTERFACES.validate_python(said.get("interfaces", ())),
        )
    except (KeyError, ValidationError) as e:
        raise ValueError(f"the result line lacks something: {e}") from e


def accounting_of(said: object) -> Accounting | None:
    """The figures before and after the load; None where the program took none. Raises ValueError, KeyError."""
    if said is None:
        return None
    if not isinstance(said, Mapping):
        raise ValueError("accounting is no object")  # noqa: TRY004  # one kind of error for a bad line
    return Accounting(
        before=_figures(said["before"]),
        after=_figures(said["after"]),
        left_pages=_TEXTS.validate_python(said.get("left_pages", ())),
        lacking=_LACKING.validate_python(said.get("lacking", {})),
    )


def _figures(said: object) -> dict[str, int]:
    """A total that fell below zero is printed as the kernel prints it: without a sign."""
    return {
        name: value - (value >> 63 << 64) if value >= 0 else value
        for name, value in _FIGURES.validate_python(said).items()
    }


def growth(counters: object) -> dict[str, int]:
    """{"before": {...}, "after": {...}} as after minus before; a counter without a before started at 0."""
    counts = _COUNTS.validate_python(counters)
    before = counts["before"]
    return {name: value - before.get(name, 0) for name, value in sorted(counts["after"].items())}


def unprepared_result(why: str) -> WorkloadResult:
    """What a guest that could not provide the workload's devices or settings has proved: nothing."""
    return WorkloadResult(
        operations=0,
        verified=0,
        mismatch_count=0,
        mismatches=(),
        errors=(),
        swapoffs=0,
        swapoff_longest_ms=0.0,
        swapoff_stuck=False,
        counters={},
        missing=why,
    )


@dataclass(slots=True)
class _Printed:
    """What the workload printed, for its log: the first part and the last lines."""

    room: int = _MOST_KEPT
    first: list[str] = field(default_factory=list)
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    left_out: int = 0

    def add(self, line: str) -> None:
        if not self.last and len(line) < self.room:
            self.first.append(line)
            self.room -= len(line) + 1
            return
        self.left_out += len(self.last) == _LAST_LINES
        self.last.append(line[:_LONGEST_KEPT])

    def text(self) -> str:
        gap = [f"[patchrig: {self.left_out} lines left out]"] if self.left_out else []
        return "\n".join([*self.first, *gap, *self.last, ""])


@dataclass(slots=True)
class ProtocolReader:
    """What the lines have reader so far."""

    operations: int = -1
    moved_at: float = field(default_factory=now)
    result: WorkloadResult | None = None
    trouble: str = ""
    output: _Printed = field(default_factory=_Printed)
    rest: str = ""
    stood: float = 0.0  # seconds in which nobody looked

    def paused(self, seconds: float) -> None:
        """A pause took so long. We were stopped, or all of this machine was: that is no standstill of the guest's.

        Only pauses count: what a guest prints takes time to read, and must not put off its own deadline.
        """
        if seconds > _OWN_STOP_SECONDS:
            self.moved_at += seconds
            self.stood += seconds

    def take(self, text: str, on_progress: Callable[[Progress], None]) -> None:
        *lines, rest = (self.rest + text).split("\n")
        # Of a line that does not end, enough is kept to see that it is too long.
        self.rest = rest[: LONGEST_LINE + 1]
        for line in lines:
            self.output.add(line)
            self._line(line, on_progress)

    def _line(self, line: str, on_progress: Callable[[Progress], None]) -> None:
        if not line.startswith("{"):
            return
        try:
            said = parsed(line)
            kind = said.get("type")
            if kind == "progress":
                self._progress(said, on_progress)
            elif kind in ("result", "unprepared"):
                self._result(result_of(said) if kind == "result" else unprepared_result(str(said["why"])))
        except (ValueError, KeyError, TypeError) as e:
            self.trouble = self.trouble or f"a line that breaks the protocol: {one_line(str(e))}: {one_line(line, 200)}"

    def _result(self, result: WorkloadResult) -> None:
        if self.result is not None:
            raise ValueError("a second result")
        self.result = result

    def _progress(self, said: Mapping[str, object], on_progress: Callable[[Progress], None]) -> None:
        operations = whole(said, "operations")
        if operations != self.operations:
            self.operations, self.moved_at = operations, now()
        seconds = number(said, "seconds")
        on_progress(Progress(operations=operations, swapoffs=whole(said, "swapoffs"), seconds=seconds))


def watch(
    guest: Guest,
    argv: list[str],
    limits: Limits,
    *,
    alive: Callable[[], bool],
    on_progress: Callable[[Progress], None],
    enough: Callable[[], bool] = lambda: False,
) -> Watched:
    """Run the workload and watch it until it has reported or something went wrong, which is a value too.

    `enough` is asked all the time; when it says yes nothing more can be learned, and the watch ends as STOPPED.
    """
    reader = ProtocolReader()
    status = None
    overall = Deadline.after(limits.overall, "the workload's end")
    try:
        with guest.start(shlex.join(argv), overall) as running:
            ending, detail = _follow(running, guest, reader, limits, alive, on_progress, enough, overall)
            if ending is Ending.REPORTED:
                ending, detail, status = _ended(running, guest, limits, alive, detail)
            # The last words of what has just died.
            reader.take(running.read(), on_progress)
            for line in filter(None, (reader.rest, *running.read_errors().splitlines())):
                reader.output.add(line)
    except GuestUnreachable as e:
        ending, detail = (Ending.GUEST_GONE if is_gone(alive) else Ending.SSH_LOST), str(e)
    return Watched(
        ending=ending,
        detail=detail,
        result=reader.result,
        exit_status=status,
        output=reader.output.text(),
        broken=reader.trouble,
    )


def _follow(  # noqa: PLR0913  # the watch's own state, handed down once
    running: Running,
    guest: Guest,
    reader: ProtocolReader,
    limits: Limits,
    alive: Callable[[], bool],
    on_progress: Callable[[Progress], None],
    enough: Callable[[], bool],
    overall: Deadline,
) -> tuple[Ending, str]:
    while True:
        ended = running.ended()
        reader.take(running.read(), on_progress)
        if reader.result is not None:
            return (Ending.SWAPOFF_STUCK if reader.result.swapoff_stuck else Ending.REPORTED), ""
        if not alive():
            return Ending.GUEST_GONE, ""
        if ended or not guest.reachable():
            return _broken_off(guest, alive, reader.trouble)
        if enough():
            return Ending.STOPPED, ""
        if now() - reader.moved_at > limits.no_progress:
            return Ending.NO_PROGRESS, f"no operation was finished for {limits.no_progress:.0f} s"
        if now() > overall.at + reader.stood:
            return Ending.TIMED_OUT, f"no result after {limits.overall:.0f} s"
        began = now()
        pause_seconds(POLL_SECONDS)
        reader.paused(now() - began)


def _broken_off(guest: Guest, alive: Callable[[], bool], trouble: str) -> tuple[Ending, str]:
    """Nothing more will be said: because the guest, the connection or the program is gone, in this order."""
    if is_gone(alive):
        return Ending.GUEST_GONE, ""
    if not guest.reachable():
        return Ending.SSH_LOST, "the SSH connection broke while the workload ran"
    return Ending.PROGRAM_DIED, trouble or "the program ended without a result"


def _ended(
    running: Running, guest: Guest, limits: Limits, alive: Callable[[], bool], detail: str
) -> tuple[Ending, str, int | None]:
    """After the result: a process that can't end is a hang of the kernel's, as an exit drops all that it held."""
    try:
        status = running.status(Deadline.after(limits.no_progress, "the exit status"))
    except OutOfTime:
        return Ending.TIMED_OUT, f"it reported, but its process did not end for {limits.no_progress:.0f} s", None
    if status < 0:
        ending, why = _broken_off(guest, alive, "")
        if ending is not Ending.PROGRAM_DIED:
            return ending, why, None
    return Ending.REPORTED, detail, status


def is_gone(alive: Callable[[], bool]) -> bool:
    """Whether the guest has ended, or does within a moment."""
    moment = Deadline.after(_MOMENT_SECONDS, "QEMU's end")
    while alive() and not moment.passed():
        pause_seconds(POLL_SECONDS)
    return not alive()
