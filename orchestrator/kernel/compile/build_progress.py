# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a build is: objects in its log so far, and how many there will be."""

import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.host.untrusted import BadFile, files_below, read_plain
from orchestrator.kernel.compile.build_log import OBJECT
from orchestrator.model.cells import Build
from orchestrator.model.events import BuildProgress, Listener

_COMMAND_BYTES = 1 << 20


class BuildCounter:
    """Counts the objects in a growing build log; says so whenever the number has changed."""

    def __init__(self, *, build: Build, log: Path, expected: int | None, on_event: Listener) -> None:
        self._build = build
        self._log = log
        self._expected = expected
        self._on_event = on_event
        self._offset = log.stat().st_size if log.exists() else 0
        self.objects = 0

    def show(self) -> None:
        with self._log.open("rb") as log:
            log.seek(self._offset)
            grown = log.read()
        whole = grown[: grown.rfind(b"\n") + 1]
        self._offset += len(whole)
        if found := len(OBJECT.findall(whole)):
            self.objects += found
            self._on_event(BuildProgress(build=self._build, objects=self.objects, expected=self._expected))


def expected_objects(out: Path, src: Path, seen_src: Path, *, last_full: int | None) -> int | None:
    """How many objects make is going to compile in `out`; None when nothing of the kind was built before.

    `last_full` is the number that a build from nothing had. Read from Kbuild's .cmd files, as make itself will; they
    name sources below `seen_src`, which is `src` as the build sees it.
    """
    times: dict[bytes, int] = {}
    commands = list(_commands(out))
    source_file = re.compile(re.escape(f"{seen_src}/".encode()) + rb"([^\s\\)]+)")
    stale = sum(_is_stale(out, src, command, source_file, times) for command in commands)
    if last_full is not None:
        return stale + max(0, last_full - len(commands))
    return stale if (out / "vmlinux").exists() else None


def _commands(out: Path) -> Iterator[Path]:
    return (
        Path(entry.path) for entry in files_below(out) if entry.name.startswith(".") and entry.name.endswith(".o.cmd")
    )


def _is_stale(out: Path, src: Path, command: Path, source_file: re.Pattern[bytes], times: dict[bytes, int]) -> bool:
    made = command.with_name(command.name.removeprefix(".").removesuffix(".cmd"))
    try:
        built = made.lstat().st_mtime_ns
        text = read_plain(out, str(command.relative_to(out)), most_bytes=_COMMAND_BYTES)
    except (OSError, BadFile):
        return True
    _, _, sources = text.partition(b"source_")
    return any(_time(src, path, times) > built for path in set(source_file.findall(sources)))


def _time(src: Path, path: bytes, times: dict[bytes, int]) -> int:
    if path not in times:
        try:
            times[path] = (src / path.decode("utf-8", "surrogateescape")).lstat().st_mtime_ns
        except (OSError, ValueError):
            # A header that is gone makes its users stale as well.
            times[path] = 2**63
    return times[path]
