"""The crashes in a console log: all of them, and whether there is one by now that fails the cell."""

from pathlib import Path

from orchestrator.deadline import now
from orchestrator.judge.scan import crashes_in
from orchestrator.judge.verdict import WAITING, mark_allowed
from orchestrator.model import Allowed, Crash, Severity

_CHUNK = 1 << 18
_LOOK_SECONDS = 1.0


def crashes_of(console_log: Path, *, skip: int = 0) -> tuple[Crash, ...]:
    """The crashes of a console log, read piece by piece, without the first `skip` bytes."""
    with console_log.open("rb") as file:
        file.seek(skip)
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
