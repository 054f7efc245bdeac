# SPDX-License-Identifier: GPL-2.0-or-later
"""How files come to the disk: whole or not at all, and still so after this machine lost its power.

The one place that writes a file beside another and renames it. Each step is made durable before the next one: content,
then name. A folder of several files gets its name last, too (`settle_folder`).
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.host.errors import InfraError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ELOOP)


def replace_whole(path: Path, content: bytes | Iterable[bytes], *, mode: int = 0o644) -> None:
    """Write or replace a file, durably: after a crash of this machine it is the old one or the new. Raises OSError.

    Content in pieces is never in memory as a whole.
    """
    with replacement(path, mode=mode) as temporary:
        with temporary.open("wb") as sink:
            sink.writelines([content] if isinstance(content, bytes) else content)
        settle(temporary, path)


def write_cached(path: Path, content: bytes) -> None:
    """Write or replace a file of the cache, durably; its folder is made if need be. Raises InfraError."""
    with trouble_named(path.parent):
        make_folders(path.parent)
        replace_whole(path, content)


def write_json(path: Path, value: object) -> None:
    """write_cached() of a value."""
    write_cached(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file, which nobody changes, a second name; where that can't be, a copy, whole. Raises OSError.

    What has the name already stays.
    """
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without hard links.
        with replacement(target) as temporary:
            shutil.copyfile(source, temporary)
            settle(temporary, target)


def point_to(link: Path, name: str) -> None:
    """Let a symbolic link lead to `name` beside it, in one step. Raises OSError."""
    with replacement(link) as temporary:
        temporary.unlink()
        temporary.symlink_to(name)
        temporary.replace(link)


def settle(made: Path, path: Path) -> None:
    """Give a finished file its name, durably; replaces the file that has it. Raises OSError."""
    flush(made)
    made.replace(path)
    flush(path.parent)


def settle_folder(made: Path, path: Path) -> None:
    """Give a finished folder of plain files its name, durably; nothing may have it yet. Raises OSError."""
    for file in sorted(made.iterdir()):
        flush(file)
    flush(made)
    made.rename(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Bring a file's content, or the names in a folder, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacement(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """A new file beside `path`, to be filled and given to settle() in the block; gone afterwards if it was not.

    Never one that was there: strangers' code has been in some of the folders that are written to. Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        Path(name).chmod(mode)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it that are missing.

    Raises OSError; FileNotFoundError where one of them is removed meanwhile.

    The first that is missing, a new cache's own, is closed to other users; and so is all that is below it.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700 if one is missing[-1] else 0o777, exist_ok=True)
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex: 0.1 s for 100 MB where the CPU has an instruction for it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def trouble_named(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses to a writer of the cache in the block into an InfraError with a next step.

    A full disk and an I/O error, whatever file they are about; a refusal only where the file is in `folder`, or is one
    that `folder` is in: any other one is not the cache's.
    """
    try:
        yield
    except OSError as error:
        if known := _known_trouble(error, folder):
            raise known from error
        raise


def _known_trouble(error: OSError, folder: Path) -> InfraError | None:
    if error.errno in _FULL:
        return InfraError(f"the disk is full: no space left for {folder}", hint="patchrig clean  # then the same again")
    if error.errno == errno.EIO:
        return InfraError(f"the disk that has {folder} fails: {error}", hint="sudo dmesg | tail")
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder
    if error.errno in _REFUSED and (place.is_relative_to(folder) or folder.is_relative_to(place)):
        return InfraError(
            f"the cache can't be written: {place}: {error.strerror}",
            hint=f"PATCHRIG_CACHE=/a/folder/of/yours patchrig ...  # or: ls -ld {place}",
        )
    return None


def flush_file_system(path: Path) -> None:
    """Bring all that was written to the file system of `path` to the disk: for more files than flush() is for."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(handle)
