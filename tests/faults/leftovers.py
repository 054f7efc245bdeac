# SPDX-License-Identifier: GPL-2.0-or-later
"""What must not be there after patchrig has ended: processes, mounts, scratch folders, held locks, setuid files."""

import ctypes
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
# The kernel ends a PID namespace a moment after its first process: on a busy machine that takes seconds.
_MOMENT_SECONDS = 15.0


def become_subreaper() -> None:
    """Whoever loses their parent becomes our child, and can be found."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processes() -> dict[int, tuple[int, str]]:
    """Each process that runs: its parent and its name."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name, _, rest = (folder / "stat").read_text(errors="replace").partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            if state not in ("Z", "X"):
                found[int(folder.name)] = int(parent), name
    return found


def descendants(of: int) -> dict[int, str]:
    """The processes below one, with their names."""
    running = processes()
    found: dict[int, str] = {}
    todo = [of]
    while todo:
        parent = todo.pop()
        children = [pid for pid, (whose, _) in running.items() if whose == parent]
        found |= {pid: running[pid][1] for pid in children}
        todo += children
    return found


def kill_descendants(of: int) -> None:
    """End all processes below one, and those that they start meanwhile."""
    for _ in range(50):
        below = descendants(of)
        if not below:
            return
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def reap() -> None:
    """Take note of children that have ended and that nobody waits for."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def left_behind(folder: Path, scratch: Path) -> Iterator[str]:
    """A line for each thing that is left of the patchrig calls of this process in a folder."""
    until = time.monotonic() + _MOMENT_SECONDS
    while (below := descendants(os.getpid())) and time.monotonic() < until:
        time.sleep(0.05)
    yield from (f"the process {pid} ({name}) is left" for pid, name in below.items())
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    yield from (f"a mount is left: {line.split()[4]}" for line in mounts if line.split()[4].startswith(f"{folder}/"))
    yield from (f"a scratch folder is left: {path.name}" for path in scratch.glob("patchrig-*"))
    yield from _in_files(folder)


def _in_files(folder: Path) -> Iterator[str]:
    # By find, which a series' thousand nested folders do not stop.
    yield from (f"a setuid file is left: {path}" for path in _found(folder, "-perm", "/6000"))
    yield from (f"a lock is held: {path}" for path in _found(folder, "-name", "*lock") if _is_held(path))


def _found(folder: Path, *conditions: str) -> list[Path]:
    argv = ["find", str(folder), "-type", "f", *conditions]
    return [
        Path(path) for path in subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()
    ]


def _is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def abandoned_in_memory() -> list[Path]:
    """Scratch folders in /dev/shm whose owner has ended."""
    found = ((path, path.name.split("-")[1]) for path in Path("/dev/shm").glob("patchrig-*-*"))
    return [path for path, owner in found if owner.isdigit() and not Path("/proc", owner).exists()]
