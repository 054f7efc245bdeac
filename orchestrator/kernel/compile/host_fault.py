# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this host made a build fail: words in a log are where to look, and what the host itself shows decides.

Whoever writes a Makefile can print any words, and must not turn a kernel that does not compile into trouble of ours.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, of_this_machine
from orchestrator.host.oom import memory_left, oom_kills
from orchestrator.host.paths import scratch_folder
from orchestrator.host.process import find_tool, run, signal_of
from orchestrator.kernel.compile.build_log import Suspicion, suspicions

# A linker takes so much at once, and gives it back when it fails.
_ROOM_BYTES = 256 << 20
_LEAST_ROOM_BYTES = 1 << 20
# Below this share of the machine's memory, guards like earlyoom begin to kill.
_LEAST_MEMORY = 0.1
_COMPILING_SECONDS = 30.0


class HostWatch:
    """What this machine had left for one build, looked at while it runs."""

    def __init__(self, folders: Sequence[Path], *, root: Path = Path("/")) -> None:
        self._folders = folders  # that the build and we write to
        self._root = root
        self._oom_kills = oom_kills(root)
        self._least_room = _ROOM_BYTES
        self._least_memory = 1.0
        self.look()

    def look(self) -> None:
        self._least_memory = min(self._least_memory, memory_left(self._root))
        self._least_room = min(self._least_room, *map(_room_in, self._folders))

    def trouble(self, log: str, status: int, *, sandbox: Callable[[], str]) -> InfraError | None:
        """What of this host made make end with this status, with what to type; None where nothing shows.

        `sandbox` says what is wrong with the sandbox, "" for nothing.
        """
        self.look()
        return next(self._troubles(suspicions(log), status, sandbox), None)

    def _troubles(self, seen: frozenset[Suspicion], status: int, sandbox: Callable[[], str]) -> Iterator[InfraError]:
        signal = signal_of(status)
        if signal > 0 or Suspicion.KILLED in seen:
            yield from self._memory()
        if signal > 0:
            yield InfraError(f"make was killed by signal {signal}", hint="dmesg | tail; journalctl -n 50  # by whom")
        yield from self._disk(suspected=Suspicion.DISK in seen)
        for one, header, package in _HEADERS:
            if one in seen and _lacks(header):
                yield InfraError(f"the compiler does not find {header}", hint=f"apt install {package}")
        if Suspicion.BC in seen and find_tool("bc") is None:
            yield InfraError("bc is not installed", hint="apt install bc")
        if Suspicion.SANDBOX in seen and (why := sandbox()):
            yield InfraError(f"the sandbox could not be set up: {why}", hint="patchrig doctor  # or --no-sandbox")

    def _memory(self) -> Iterator[InfraError]:
        killed = oom_kills(self._root) - self._oom_kills
        if killed > 0:
            yield InfraError(f"this machine ran out of memory: {killed} processes were killed for it", hint="free -h")
        if self._least_memory < _LEAST_MEMORY:
            had = f"{self._least_memory:.0%} of its memory left"
            yield InfraError(f"the compiler was killed when this machine had {had}", hint="free -h")

    def _disk(self, *, suspected: bool) -> Iterator[InfraError]:
        size = _ROOM_BYTES if suspected else _LEAST_ROOM_BYTES
        for folder in self._folders:
            if refused := _refused(folder, size):
                yield refused
        if self._least_room < size:
            yield InfraError(f"the disk was full: {self._folders[0]}", hint=f"df -h {self._folders[0]}; patchrig clean")


_HEADERS = (
    (Suspicion.LIBELF, "gelf.h", "libelf-dev"),
    (Suspicion.OPENSSL, "openssl/opensslv.h", "libssl-dev"),
)


def _room_in(folder: Path) -> int:
    """Bytes that may be written to the folder's disk; 0 where it takes no more files."""
    with suppress(OSError):
        disk = os.statvfs(folder)
        return 0 if disk.f_files and not disk.f_favail else disk.f_bavail * disk.f_frsize
    return _ROOM_BYTES


def _refused(folder: Path, size: int) -> InfraError | None:
    """What the disk or a quota has against so many bytes more; they are given back at once."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as e:
        if not e.filename:
            e.filename = str(folder / "_")
        return of_this_machine(e)
    return None


def _lacks(header: str) -> bool:
    with scratch_folder() as name:
        source = Path(name) / "x.c"
        source.write_text(f"#include <{header}>\n")
        until = Deadline.after(_COMPILING_SECONDS, "compiling one line")
        return run(["gcc", "-fsyntax-only", str(source)], log=Path(name) / "log", until=until).status != 0
