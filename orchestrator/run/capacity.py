# SPDX-License-Identifier: GPL-2.0-or-later
"""How many guests this machine carries at once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.cores import host_cores
from orchestrator.run.order import Job

# QEMU's own memory beside the guest's.
_QEMU_MIB = 200
# So much of the machine's memory stays free for everything else.
_SPARE_MIB = 1024
# A compiler with the kernel's headers and debug information, and its share of the linker.
_COMPILER_MIB = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one guest has of a room."""

    cores: int
    memory_mib: int


@dataclass(slots=True)
class Room:
    """The cores and the memory (MiB) that guests may have together, and what they have of it."""

    cores: int
    memory_mib: int
    jobs: int | None = None  # so many guests, whatever they need: the user's word
    building: bool = False  # a kernel is compiled beside the guests
    one_thread: bool = False  # as for cores_of()
    _guests: int = 0
    _cores_taken: int = 0
    _memory_taken: int = 0

    @property
    def most(self) -> int:
        """No more guests than this at any time."""
        return self.jobs or self.cores

    def take(self, job: Job, root_mib: Callable[[], int] = lambda: 0) -> Share | None:
        """What the job's guest has from now on; None where there is no room for it. One guest always fits.

        `root_mib`: what it needs for its root beside what its workload asks for, where anybody counts that.
        """
        share = _NOT_COUNTED if self.jobs else self._share(job, root_mib())
        if self._guests and not self._holds(share):
            return None
        self._count(share, 1)
        return share

    def give_back(self, share: Share) -> None:
        """The guest that had it has ended."""
        self._count(share, -1)

    def _share(self, job: Job, root_mib: int) -> Share:
        return Share(cores=cores_of(job, one_thread=self.one_thread), memory_mib=memory_of(job) + root_mib)

    def _count(self, share: Share, guests: int) -> None:
        self._guests += guests
        self._cores_taken += guests * share.cores
        self._memory_taken += guests * share.memory_mib

    def _holds(self, share: Share) -> bool:
        """Whether there is room for it beside what the guests have."""
        if self.jobs:
            return self._guests < self.jobs
        compilers = _compilers_mib(self.cores) if self.building else 0
        memory = self._memory_taken + share.memory_mib + compilers + _SPARE_MIB
        return self._cores_taken + share.cores <= self.cores and memory <= self.memory_mib


_NOT_COUNTED = Share(cores=0, memory_mib=0)


def room_here(jobs: int | None, *, one_thread: bool = False) -> Room:
    """What this machine has for guests now."""
    return Room(cores=host_cores(), memory_mib=available_memory_mib(), jobs=jobs, one_thread=one_thread)


def memory_of(job: Job) -> int:
    """MiB of the host that the job's guest may come to use, with a small root."""
    return job.workload.memory_mib + _QEMU_MIB


def cores_of(job: Job, *, one_thread: bool = False) -> int:
    """Cores of the host that a guest needs; one if its CPUs take turns in `one_thread`, as a deterministic one's do.

    Each virtual CPU is a thread of QEMU's. A CPU that unmaps a page waits until all others have answered its interrupt.
    Where there are more of these threads than cores, that is until the host lets them run, and a guest does a tenth of
    the work that it could do: docs/performance.md.
    """
    return 1 if one_thread else job.workload.cpus


def _compilers_mib(cores: int) -> int:
    return _COMPILER_MIB * cores


def available_memory_mib(root: Path = Path("/")) -> int:
    """MiB that this machine has left, or the container in it that we are in.

    Sources: proc(5), and the kernel's Documentation/admin-guide/cgroup-v2.rst.
    """
    text = (root / "proc/meminfo").read_text()
    line = next(line for line in text.splitlines() if line.startswith("MemAvailable:"))
    return min(int(line.split()[1]) << 10, *map(_left_in, _cgroups(root))) >> 20


def _cgroups(root: Path) -> list[Path]:
    """Our cgroup and all that it is in; a limit of any of them holds for us."""
    mounted, own = root / "sys/fs/cgroup", root / "proc/self/cgroup"
    lines = own.read_text().splitlines() if own.exists() else []
    inside = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    folder = mounted / inside
    return [folder, *(above for above in folder.parents if above.is_relative_to(mounted))]


_UNLIMITED = 1 << 62


def _left_in(cgroup: Path) -> int:
    """Bytes until the limit of a cgroup. Pages of files that nobody uses do not count: the kernel takes them back."""
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except OSError:
        return _UNLIMITED
    return _UNLIMITED if limit == "max" else max(0, int(limit) - used + int(stat.get("inactive_file", 0)))
