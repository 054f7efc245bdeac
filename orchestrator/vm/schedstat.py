# SPDX-License-Identifier: GPL-2.0-or-later
"""How much CPU this host gave a process, and how long it let it wait: what tells a slow guest from a stuck one."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_NS = 1e9


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessorTime:
    """Seconds since the threads began, all together."""

    ran: float
    waited: float  # ready to run, while the CPUs had other things to do

    @property
    def waited_share(self) -> float:
        """Of the time in which they wanted a CPU, how much they waited for one; between 0 and 1."""
        wanted = self.ran + self.waited
        return self.waited / wanted if wanted else 0.0


def processor_time(pid: int, proc: Path = Path("/proc")) -> ProcessorTime | None:
    """The sums over a process' threads; None where the process has gone or the kernel keeps no such statistics.

    Source: /proc/PID/task/TID/schedstat, "ran waited slices", in nanoseconds (Documentation/scheduler/sched-stats.rst).
    """
    ran = waited = 0
    try:
        for file in (proc / str(pid) / "task").glob("*/schedstat"):
            said = file.read_text().split()
            ran, waited = ran + int(said[0]), waited + int(said[1])
    except (OSError, ValueError, IndexError):
        return None
    return ProcessorTime(ran=ran / _NS, waited=waited / _NS) if ran else None


def inner_process(pid: int, around: Collection[str], proc: Path = Path("/proc")) -> int | None:
    """The process itself, or the first below it that is not called by one of the names in `around`.

    None where there is none, or the kernel does not list children (CONFIG_PROC_CHILDREN). Sources: proc(5), comm and
    children.
    """
    try:
        if (proc / str(pid) / "comm").read_text().strip() not in around:
            return pid
        children = list(_children(pid, proc))
    except OSError:
        return None
    return next((found for child in children if (found := inner_process(child, around, proc))), None)


def _children(pid: int, proc: Path) -> Iterator[int]:
    for file in (proc / str(pid) / "task").glob("*/children"):
        yield from map(int, file.read_text().split())
