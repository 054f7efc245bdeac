# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host sees of a guest while it runs: splats on its console, and whether it was given any CPU."""

from pathlib import Path

from orchestrator.host.deadline import now
from orchestrator.host.text import capped_lines
from orchestrator.judge.guest_splats import GOES_ON
from orchestrator.judge.hang import merged, shown_tasks
from orchestrator.judge.scan import crashes_in
from orchestrator.judge.verdict import mark_allowed
from orchestrator.model.configuration import Allowed
from orchestrator.model.crashes import Crash
from orchestrator.model.guests import Ending, Observation, Standstill, StuckTask
from orchestrator.vm.qemu import LONGEST_LOG_BYTES, Vm, size_of

_CHUNK = 1 << 18
_LOOK_SECONDS = 1.0
# A line may have several messages of the kernel behind what a workload wrote without an end.
_LONGEST = 1 << 16
_SHOWN_BYTES = 8 << 20
# A guest that prints more does nothing else, and the next thing that it fills is the disk.
_MOST_PRINTED = LONGEST_LOG_BYTES // 2
# A console that takes long to read is read seldom.
_LOOK_SHARE = 0.1


def crashes_of(console_log: Path, *, skip: int = 0) -> tuple[Crash, ...]:
    """The crashes of a console log, read piece by piece, without the first `skip` bytes."""
    with console_log.open("rb") as file:
        file.seek(skip)
        return tuple(crashes_in(iter(lambda: file.read(_CHUNK), b"")))


def shown_tasks_of(run: Observation, console_log: Path) -> tuple[StuckTask, ...]:
    """The tasks that are stuck, with the stacks that the kernel printed of them: they have more than those of /proc."""
    if not run.evidence:
        return run.stuck
    with console_log.open("rb") as file:
        # It was asked for at the very end.
        file.seek(max(0, size_of(console_log) - _SHOWN_BYTES))
        return merged(run.stuck, shown_tasks(capped_lines(file, longest=_LONGEST)))


class Flood:
    """Whether a guest, or QEMU on its behalf, has printed more than anybody reads."""

    def __init__(self, *logs: Path, most: int = _MOST_PRINTED) -> None:
        self._logs = logs
        self._most = most

    def __call__(self) -> bool:
        return bool(self.text())

    def text(self) -> str:
        """In words; "" where it has not."""
        over = next((log.name for log in self._logs if size_of(log) > self._most), "")
        return f"the guest made {over} longer than {self._most >> 20} MiB" if over else ""


class CrashSeen:
    """Whether a console holds a fatal crash by now; looks once a second, and only at one that has grown.

    Splats about waiting don't count: a hang is given its time and looked into. Nor do data races, most of which
    only the end shows to be notes.
    """

    def __init__(self, console_log: Path, allow: tuple[Allowed, ...]) -> None:
        self._log = console_log
        self._allow = allow
        self._size = 0
        self._pause = _LOOK_SECONDS
        self._looked_at = now()

    def __call__(self) -> bool:
        if now() - self._looked_at < self._pause:
            return False
        began = self._looked_at = now()
        size = self._log.stat().st_size
        if size == self._size:
            return False
        self._size = size
        crashes = mark_allowed(crashes_of(self._log), self._allow)
        self._looked_at = now()
        self._pause = max(_LOOK_SECONDS, (self._looked_at - began) / _LOOK_SHARE)
        return any(crash.fails and crash.kind not in GOES_ON for crash in crashes)


class Pulse:
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
