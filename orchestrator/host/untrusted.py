# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading files that a stranger's code wrote: the one reader of them.

A build or a guest leaves what it likes in its folder: links to files of the host, pipes that block, endless files.
Source: openat(2), O_NOFOLLOW and O_NONBLOCK.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

_CHUNK = 1 << 20
# A kernel's build folder is a dozen deep.
_DEEPEST = 50


class BadFile(Exception):
    """What lies at a path is not what was expected there: no plain file, or a file that is too long."""


@contextmanager
def open_plain(root: Path, relative: str, *, most_bytes: int) -> Iterator[BinaryIO]:
    """A regular file below `root` for reading; no component of the path below it may be a link. Raises BadFile."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise BadFile(f"{relative!r} does not name a file below the folder")
    try:
        handle = _opened(root, path)
    except OSError as error:
        raise BadFile(f"no plain file at {relative}: {error.strerror}") from error
    known = os.fstat(handle)
    if not stat.S_ISREG(known.st_mode):
        os.close(handle)
        raise BadFile(f"no plain file at {relative}: it is {_kind(known.st_mode)}")
    with os.fdopen(handle, "rb") as file:
        if known.st_size > most_bytes:
            raise BadFile(f"{relative} has {known.st_size} bytes, {most_bytes} at most were expected")
        yield file


def check_plain(root: Path, relative: str, *, most_bytes: int) -> None:
    """Raise BadFile where open_plain() would, and for a file that is empty."""
    with open_plain(root, relative, most_bytes=most_bytes) as file:
        if not file.read(1):
            raise BadFile(f"nothing in {relative}")


def read_plain(root: Path, relative: str, *, most_bytes: int) -> bytes:
    """The content of a regular file below `root`, as open_plain() opens it."""
    with open_plain(root, relative, most_bytes=most_bytes) as file:
        return file.read(most_bytes)


def read_plain_text(root: Path, relative: str, *, most_bytes: int) -> str:
    """The same as text; what is no UTF-8 is replaced."""
    return read_plain(root, relative, most_bytes=most_bytes).decode("utf-8", "replace")


def copy_plain(root: Path, relative: str, target: Path, *, most_bytes: int) -> None:
    """Copy a regular file below `root`, as open_plain() opens it."""
    with open_plain(root, relative, most_bytes=most_bytes) as file, target.open("wb") as copy:
        while chunk := file.read(_CHUNK):
            copy.write(chunk)


def files_below(top: Path) -> Iterator[os.DirEntry[str]]:
    """Each entry below a folder that is no folder, links not followed. Raises BadFile for folders nested without end.

    os.walk() recurses, and a path that is longer than the kernel takes can't be looked at.
    """
    waiting = [(os.fspath(top), 0)]
    while waiting:
        folder, depth = waiting.pop()
        if depth > _DEEPEST:
            raise BadFile(f"folders nested more than {_DEEPEST} deep")
        # A folder that has just been removed, or that nobody may read.
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))
                else:
                    yield entry


def _opened(root: Path, path: PurePosixPath) -> int:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.parts[:-1]:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Without O_NONBLOCK a pipe that nobody writes to would be waited for.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(path.name, flags, dir_fd=folder)
    finally:
        os.close(folder)


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((name for test, name in kinds.items() if test(mode)), "a device")
