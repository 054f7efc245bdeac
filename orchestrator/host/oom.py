# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this machine ran out of memory: what its kernel counts, and nobody's words."""

from contextlib import suppress
from pathlib import Path


def oom_kills(root: Path = Path("/")) -> int:
    """How many processes it has killed so far: in our cgroup where that counts them, else on the whole machine.

    Source: the kernel's Documentation/admin-guide/cgroup-v2.rst, memory.events; mm/vmstat.c. 0 where neither is there.
    """
    for file in (root / "sys/fs/cgroup" / _own_cgroup(root) / "memory.events", root / "proc/vmstat"):
        for name, _, count in _fields(file, " "):
            if name == "oom_kill" and count.isdigit():
                return int(count)
    return 0


def memory_left(root: Path = Path("/")) -> float:
    """The share of this machine's memory that is available, or of our cgroup's where that has less; 1.0 if not known.

    Source: proc(5), MemAvailable; memory.max, memory.current and memory.stat of the cgroup.
    """
    sizes = {name: int(words[0]) for name, _, rest in _fields(root / "proc/meminfo", ":") if (words := rest.split())}
    shares = [sizes["MemAvailable"] / sizes["MemTotal"]] if sizes.get("MemTotal") and "MemAvailable" in sizes else []
    cgroup = root / "sys/fs/cgroup" / _own_cgroup(root)
    most, used = "".join(_lines(cgroup / "memory.max")), "".join(_lines(cgroup / "memory.current"))
    if most.isdigit() and used.isdigit() and int(most):
        cache = sum(int(rest) for name, _, rest in _fields(cgroup / "memory.stat", " ") if name == "inactive_file")
        shares.append((int(most) - int(used) + cache) / int(most))
    return min(shares, default=1.0)


def _own_cgroup(root: Path) -> str:
    lines = _lines(root / "proc/self/cgroup")
    return next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")


def _fields(file: Path, separator: str) -> list[tuple[str, str, str]]:
    return [line.partition(separator) for line in _lines(file)]


def _lines(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text(errors="replace").splitlines()
    return []
