# SPDX-License-Identifier: GPL-2.0-or-later
"""How many guests this machine carries at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.model.cells import Cell

# QEMU's own memory beside the guest's.
_QEMU_MIB = 200
# So much of the machine's memory stays free for everything else.
_SPARE_MIB = 1024
# A compiler with the kernel's headers and debug information, and its share of the linker.
_COMPILER_MIB = 256
# Each virtual CPU is a thread of QEMU's. So many on a core are what the time limits and the counters' thresholds are
# measured with: two guests of four CPUs on two cores.
_THREADS_A_CORE = 4


@dataclass(slots=True)
class Room:
    """The cores and the memory (MiB) that guests may have together, and what they have of it."""

    cores: int
    memory_mib: int
    jobs: int | None = None  # so many guests, whatever they need: the user's word
    building: bool = False  # a kernel is compiled beside the guests
    _cells: list[Cell] = field(default_factory=list)

    @property
    def most(self) -> int:
        """No more guests than this at any time."""
        return self.jobs or self.cores

    def take(self, cell: Cell) -> bool:
        """Whether there is room for the cell's guest, which then has it. One guest always fits."""
        together = [*self._cells, cell]
        fits = len(together) <= self.jobs if self.jobs else self._holds(together)
        if fits or not self._cells:
            self._cells.append(cell)
            return True
        return False

    def give_back(self, cell: Cell) -> None:
        """The cell's guest has ended."""
        # By identity: repeats may be equal, and a comparison of all that a workload says takes its time.
        del self._cells[next(index for index, one in enumerate(self._cells) if one is cell)]

    def _holds(self, cells: Sequence[Cell]) -> bool:
        compilers = _compilers_mib(self.cores) if self.building else 0
        memory = sum(map(memory_of, cells)) + compilers + _SPARE_MIB
        return sum(map(cores_of, cells)) <= self.cores and memory <= self.memory_mib


def memory_of(cell: Cell) -> int:
    """MiB of the host that the cell's guest may come to use."""
    return cell.workload.memory_mib + _QEMU_MIB


def cores_of(cell: Cell) -> int:
    """Cores of the host that the cell's guest needs to get on as its limits expect."""
    return -(-cell.workload.cpus // _THREADS_A_CORE)


def jobs_for(cells: Sequence[Cell], *, cores: int, memory_mib: int) -> int:
    """How many guests run side by side where any of the cells may meet: as many of the hungriest as fit.

    A kernel is compiled beside them.
    """
    largest, widest = max(map(memory_of, cells)), max(map(cores_of, cells))
    free = memory_mib - _SPARE_MIB - _compilers_mib(cores)
    return max(1, min(cores // widest, len(cells), free // largest))


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
