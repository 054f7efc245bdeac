"""Whether the kernel of this machine killed processes for lack of memory: its own counters, and nobody's words."""

from contextlib import suppress
from pathlib import Path


def oom_kills(root: Path = Path("/")) -> int:
    """How many processes it has killed so far: in our cgroup where that counts them, else on the whole machine.

    Source: the kernel's Documentation/admin-guide/cgroup-v2.rst, memory.events; mm/vmstat.c. 0 where neither is there.
    """
    lines = _lines(root / "proc/self/cgroup")
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    for file in (root / "sys/fs/cgroup" / own / "memory.events", root / "proc/vmstat"):
        for line in _lines(file):
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.isdigit():
                return int(count)
    return 0


def _lines(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text(errors="replace").splitlines()
    return []
