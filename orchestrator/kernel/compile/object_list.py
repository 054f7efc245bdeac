# SPDX-License-Identifier: GPL-2.0-or-later
"""Which objects of a kernel have something of a file that the series touches, by the dependencies that Kbuild keeps."""

import os
import posixpath
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from orchestrator.host.untrusted import BadFile, files_below, read_plain_text

_CMD_BYTES = 4 << 20


def objects_with(
    touched: Collection[PurePosixPath], out: Path, seen_out: Path, seen_src: Path
) -> dict[str, tuple[str, ...]]:
    """Each touched file -> what is compiled from it, below the build folder, as of the build that just ended.

    `seen_out`, `seen_src`: the folders as the build knows them. What is no object is named, too.
    """
    names = {file.name for file in touched}
    wanted = {str(file) for file in touched}
    found: dict[str, set[str]] = {file: set() for file in wanted}
    for entry in files_below(out):
        if not (entry.name.startswith(".") and entry.name.endswith(".cmd")):
            continue
        path = PurePosixPath(os.path.relpath(entry.path, out))
        for word in _words(out, path):
            if word.rpartition("/")[2] in names:
                file = _below(posixpath.normpath(posixpath.join(seen_out, word)), str(seen_src))
                if file in wanted:
                    found[file].add(str(path.with_name(path.name[1 : -len(".cmd")])))
    return {file: tuple(sorted(objects)) for file, objects in found.items()}


def _words(out: Path, path: PurePosixPath) -> set[str]:
    try:
        return set(read_plain_text(out, str(path), most_bytes=_CMD_BYTES).split())
    except (BadFile, OSError):
        return set()


def _below(path: str, folder: str) -> str:
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else ""
