"""What the host sees of a guest while it runs: complaints on its console, and whether it was given any CPU."""

from pathlib import Path

from orchestrator.deadline import now
from orchestrator.judge.scan import crashes_in
from orchestrator.judge.verdict import WAITING, mark_allowed
from orchestrator.model import Allowed, Crash, Ending, Severity, Standstill
from orchestrator.vm.qemu import Vm

_CHUNK = 1 << 18
_LOOK_SECONDS = 1.0


def crashes_of(console_log: Path) -> tuple[Crash, ...]:
    """The crashes of a console log, read piece by piece."""
    with console_log.open("rb") as file:
        return tuple(crashes_in(iter(lambda: file.read(_CHUNK), b"")))


class CrashSeen:
    """Whether a console holds a fatal crash by now; looks once a second, and only at one that has grown.

    Complaints about waiting don't count: a hang is given its time and looked into.
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
        return any(
            crash.severity is Severity.FATAL and not crash.allowed and crash.kind not in WAITING for crash in crashes
        )


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
