"""How many guests this machine carries at once."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.model import Cell

# QEMU's own memory beside the guest's.
_QEMU_MIB = 200
# So much of the machine's memory stays free for everything else.
_SPARE_MIB = 1024


def jobs_for(cells: Sequence[Cell], *, cores: int, memory_mib: int) -> int:
    """How many guests run side by side: one a core, and no more than memory holds."""
    largest = max(cell.workload.memory_mib for cell in cells) + _QEMU_MIB
    return max(1, min(cores, len(cells), (memory_mib - _SPARE_MIB) // largest))


def available_memory_mib() -> int:
    """MemAvailable of this machine; source: proc(5)."""
    text = Path("/proc/meminfo").read_text()
    line = next(line for line in text.splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) >> 10
