# SPDX-License-Identifier: GPL-2.0-or-later
"""strace: which system calls patchrig's own process makes, and one of them failing or killing it.

Only the main thread of patchrig is looked at: without -f, what it starts runs at full speed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.process import find_tool
from tests.faults.rig import Rig
from tests.faults.tally import Skip

CHANGES = (
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "symlink"),
    *("fsync", "fdatasync", "truncate", "ftruncate", "mount", "umount2"),
)
WRITES = ("write", "pwrite64", "copy_file_range", "sendfile", *CHANGES)
_CALL = re.compile(r"^(?:\d+ +)?(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"|<([^>]*)>')


@dataclass(frozen=True, slots=True)
class Point:
    """The nth call of a system call, and the first file that it names."""

    name: str
    nth: int
    file: str

    def __str__(self) -> str:
        # Not the file, which may have a process id or a random part in its name.
        return f"{self.name} {self.nth}"


@dataclass(frozen=True, slots=True)
class Traced:
    name: str
    files: tuple[str, ...]
    result: int


def check_strace() -> None:
    if find_tool("strace") is None:
        raise Skip("strace is not installed")


def recording(log: Path, calls: Sequence[str]) -> list[str]:
    return ["strace", "-qq", "-y", "-s", "0", "-o", str(log), "-e", f"trace={','.join(calls)}", "-e", "signal=none"]


def injecting(point: Point, effect: str) -> list[str]:
    """`effect` is `signal=KILL` or `error=EIO`."""
    trace = ["-e", f"trace={point.name}", "-e", "signal=none"]
    return ["strace", "-qq", "-o", "/dev/null", *trace, "-e", f"inject={point.name}:{effect}:when={point.nth}"]


def traced(log: Path) -> list[Traced]:
    """The calls of a log, in order."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if m := _CALL.match(line):
            found.append(Traced(m["name"], tuple(_paths(m["arguments"])), int(m["result"])))
    return found


def _paths(arguments: str) -> Iterator[str]:
    """The files that a call names; a name that is relative to an open folder is joined with it."""
    folder = ""
    for quoted, named in _PATH.findall(arguments):
        if quoted:
            yield str(Path(folder, quoted))
            folder = ""
        else:
            if folder:
                yield folder
            folder = named
    if folder:
        yield folder


def points(rig: Rig, log: Path, *, below: bool = True) -> list[Point]:
    """The calls of a log as points; `below`: only those on files of the rig."""
    counts: dict[str, int] = {}
    found = []
    for call in traced(log):
        counts[call.name] = counts.get(call.name, 0) + 1
        file = call.files[0] if call.files else ""
        if not below or not file.startswith("/") or file.startswith(f"{rig.folder}/"):
            found.append(Point(call.name, counts[call.name], file))
    return found
