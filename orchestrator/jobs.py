"""How many guests this machine carries at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.model import Cell

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
        compilers = _COMPILER_MIB * self.cores if self.building else 0
        memory = sum(map(memory_of, cells)) + compilers + _SPARE_MIB
        return sum(map(cores_of, cells)) <= self.cores and memory <= self.memory_mib


def memory_of(cell: Cell) -> int:
    """MiB of the host that the cell's guest may come to use."""
    return cell.workload.memory_mib + _QEMU_MIB


def cores_of(cell: Cell) -> int:
    """Cores of the host that the cell's guest needs to get on as its limits expect."""
    return -(-cell.workload.cpus // _THREADS_A_CORE)


def jobs_for(cells: Sequence[Cell], *, cores: int, memory_mib: int) -> int:
    """How many guests run side by side where any of the cells may meet: as many of the hungriest as fit."""
    largest, widest = max(map(memory_of, cells)), max(map(cores_of, cells))
    return max(1, min(cores // widest, len(cells), (memory_mib - _SPARE_MIB) // largest))


def available_memory_mib() -> int:
    """MemAvailable of this machine; source: proc(5)."""
    text = Path("/proc/meminfo").read_text()
    line = next(line for line in text.splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) >> 10
