# SPDX-License-Identifier: GPL-2.0-or-later
"""What a build may use in all, looked at while it runs: memory, disk, log.

The sandbox limits each process and each file; nothing there limits their sum for an ordinary user.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.untrusted import BadFile, files_below

_GIB = 1 << 30
_MEMORY_SECONDS = 1.0
_DISK_SECONDS = 10.0
_MOST_FILES = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildLimits:
    """In bytes; a small configuration with debug information takes 2 GiB of memory, 1 GiB of disk and 1 MiB of log."""

    memory: int
    disk: int = 30 * _GIB
    log: int = 64 << 20


def build_limits() -> BuildLimits:
    """Those of this machine: guests and everything else keep a quarter of its memory."""
    return BuildLimits(memory=max(4 * _GIB, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4))


class BuildWatch:
    """Looks at one build now and then."""

    def __init__(self, limits: BuildLimits, *, child: int, log: Path, folder: Path) -> None:
        self._limits = limits
        self._child = child
        self._log = log
        self._folder = folder
        self._memory_next = Deadline.after(_MEMORY_SECONDS, "the next look at a build's memory")
        self._disk_next = Deadline.after(_DISK_SECONDS, "the next look at a build's disk space")

    def exceeded(self) -> str:
        """Which limit the build is over, in words; "" while it keeps to all of them."""
        if self._log.stat().st_size > self._limits.log:
            return f"the build printed more than {self._limits.log >> 20} MiB"
        if self._memory_next.passed():
            self._memory_next = Deadline.after(_MEMORY_SECONDS, self._memory_next.what)
            if memory_of(descendants(self._child)) > self._limits.memory:
                return f"the build used more than {self._limits.memory / _GIB:.1f} GiB of memory"
        if self._disk_next.passed():
            self._disk_next = Deadline.after(_DISK_SECONDS, self._disk_next.what)
            if _disk_use(self._folder, self._limits.disk) > self._limits.disk:
                return f"the build wrote more than {self._limits.disk >> 30} GiB"
        return ""


def descendants(process: int) -> Iterator[int]:
    """A process and all that it started, and those started, that still run."""
    waiting = [process]
    while waiting:
        one = waiting.pop()
        yield one
        with suppress(OSError):
            for task in os.scandir(f"/proc/{one}/task"):
                waiting += map(int, (Path(task.path) / "children").read_text().split())


def memory_of(processes: Iterable[int]) -> int:
    """Bytes of memory that belong to the processes alone, files and what is shared with others left out."""
    total = 0
    for process in processes:
        with suppress(OSError, ValueError):
            status = Path(f"/proc/{process}/status").read_text()
            total += sum(
                int(line.split()[1]) for line in status.splitlines() if line.startswith(("RssAnon", "RssShmem"))
            )
    return total << 10


def _disk_use(folder: Path, most: int) -> int:
    """Bytes on the disk below a folder, counted until they are too many or the files are."""
    total = 0
    try:
        for files, entry in enumerate(files_below(folder)):
            with suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
            if total > most or files > _MOST_FILES:
                return most + 1
    except BadFile:
        return most + 1
    return total
