# SPDX-License-Identifier: GPL-2.0-or-later
"""What a large folder of the cache held when it was right: a source tree, or a build folder.

A manifest has, of each file and symbolic link, the SHA-256 of its content and the stamps (mode, size, times, inode)
that it had then. There are two ways in which a file goes wrong:

- Somebody wrote to it, or the power failed before it was on the disk: its stamps are others. All stamps of a kernel
  tree (92,000 files, 1.5 GB) are looked at in 0.8 s, and whatever has others is read.
- A bit flipped below the file system: all stamps are as they were. Only reading tells. To read all of a tree takes 3 s
  on two CPUs when it is in memory, 10 s when it comes from a disk. That is little for a build of minutes, and much for
  one of seconds. So the callers have all of a folder read once after each start of the machine, and go by stamps
  afterwards: most of what was read stays in memory, where the disk can't change it.

The manifest is sealed, and written when all of the folder is on the disk: without it, the folder is as good as none.

contents_of() keeps the same of a developer's tree, which others write to at any time.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from orchestrator.host.cores import host_cores
from orchestrator.host.errors import InfraError
from orchestrator.host.files import flush_file_system, trouble_named
from orchestrator.host.sealed import read_sealed, write_sealed

_FORMAT = b"patchrig manifest 1"
# The coarsest file system notes times in steps of 2 s (FAT).
_STEP_NS = 2_000_000_000
_CHUNK = 1 << 20
_THREADS = host_cores()


class _Entry(NamedTuple):
    """One file: bytes, as there are many of them and they are only ever compared."""

    stamp: bytes  # mode, size, times, inode
    content: bytes  # kind and SHA-256; b"" where it is neither a file nor a link, or can't be read


def write_manifest(folder: Path, manifest: Path) -> None:
    """Take down what is in the folder now, and is right; returns when that and all of the folder is on the disk.

    Files with the stamps of an earlier manifest are not read again. Raises InfraError, OSError.
    """
    known = _entries(read_sealed(manifest)) or {}
    found = _found(folder)
    entries = {path: known[path] for path, (_, stamp) in found.items() if path in known and known[path].stamp == stamp}
    missing = {path: place for path, place in found.items() if path not in entries}
    entries |= _read_all(missing)
    with trouble_named(manifest.parent):
        flush_file_system(folder)
        write_sealed(manifest, _dumped(entries))


def check_manifest(folder: Path, manifest: Path, *, content: bool) -> list[str] | None:
    """The paths in the folder that are not what the manifest says, sorted: [] is good; None without a whole manifest.

    A path is wrong when its content or kind has changed, when it is gone, and when the manifest does not know it.
    Folders without files do not count. `content`: read all files, or only those with other stamps. When all is right
    and some stamps were not, the manifest gets the new ones. Raises InfraError, OSError.
    """
    known = _entries(read_sealed(manifest))
    if known is None:
        return None
    found = _found(folder)
    doubtful = {
        path: place for path, place in found.items() if path in known and (content or known[path].stamp != place[1])
    }
    now = _read_all(doubtful)
    wrong = [path for path, entry in now.items() if entry.content != known[path].content or not entry.content]
    wrong += known.keys() ^ found.keys()
    if wrong:
        return sorted(os.fsdecode(path) for path in wrong)
    if any(entry.stamp != known[path].stamp for path, entry in now.items()):
        write_sealed(manifest, _dumped(known | now))
    return []


def restamp(folder: Path, manifest: Path) -> None:
    """Take down the stamps that the files have after something of ours that changes no content: making hard links.

    To be called right after, by who holds the lock of the folder and has checked it before. Raises InfraError, OSError.
    """
    known = _entries(read_sealed(manifest))
    if known is None:
        return
    found = _found(folder)
    # Nothing but the time of the last change of the inode may differ.
    entries = {
        path: _Entry(found[path][1], entry.content)
        if path in found and _without_change_time(found[path][1]) == _without_change_time(entry.stamp)
        else entry
        for path, entry in known.items()
    }
    write_sealed(manifest, _dumped(entries))


def contents_of(folder: Path, paths: Iterable[str], kept: Path | None) -> dict[str, str]:
    """Kind and SHA-256 of files and links in a folder that others write to; paths where nothing lies are left out.

    What was read once is kept in the file `kept`, with its stamps, and not read again while it has them. A file that
    changed in the step of the clock in which it was read may have the same stamps afterwards, so one that was young
    then is read again (git's rule for a "racily clean" index). Raises InfraError where a file can't be read.
    """
    begun = time.time_ns()
    known, taken = _kept(kept)
    found = {os.fsencode(path): place for path in paths if (place := _place(folder, path))}
    good = {
        path: known[path]
        for path, (_, stamp) in found.items()
        if path in known and known[path].stamp == stamp and _last_change(stamp) + _STEP_NS < taken
    }
    fresh = _read_all({path: place for path, place in found.items() if path not in good})
    if unread := [path for path, entry in fresh.items() if not entry.content]:
        raise InfraError(f"{folder / os.fsdecode(unread[0])} can't be read", hint="ls -l on it says why")
    entries = good | fresh
    if kept and (fresh or known.keys() != entries.keys()):
        write_sealed(kept, b"%d\0%s" % (begun, _dumped(entries)))
    return {os.fsdecode(path): entry.content.decode() for path, entry in entries.items()}


def _kept(kept: Path | None) -> tuple[dict[bytes, _Entry], int]:
    """What contents_of() kept, and when it began to read it."""
    taken, _, text = ((kept and read_sealed(kept)) or b"").partition(b"\0")
    entries = _entries(text)
    return ({}, 0) if entries is None else (entries, int(taken))


def _place(folder: Path, path: str) -> tuple[bytes, bytes] | None:
    place = os.path.join(folder, path)  # noqa: PTH118  # 90,000 files: Path objects cost seconds.
    try:
        said = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):  # of a checkout: deleted, and the commit of that is not made yet
        return None
    return (os.fsencode(place), _stamp(said)) if stat.S_ISREG(said.st_mode) or stat.S_ISLNK(said.st_mode) else None


def _last_change(stamp: bytes) -> int:
    _, _, modified, changed, _ = stamp.split(b" ")
    return max(int(modified), int(changed))


def _walk(folder: Path) -> Iterator[tuple[bytes, bytes, os.stat_result]]:
    """Each path below the folder that is no folder, relative; where it lies; what lstat() says."""
    waiting = [(os.fsencode(folder), b"")]
    while waiting:
        here, prefix = waiting.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, prefix + entry.name + b"/"))
                else:
                    yield prefix + entry.name, entry.path, entry.stat(follow_symlinks=False)


def _found(folder: Path) -> dict[bytes, tuple[bytes, bytes]]:
    """Relative path -> where it lies, and its stamp."""
    return {path: (place, _stamp(said)) for path, place, said in _walk(folder)}


def _stamp(said: os.stat_result) -> bytes:
    return b"%o %d %d %d %d" % (said.st_mode, said.st_size, said.st_mtime_ns, said.st_ctime_ns, said.st_ino)


def _without_change_time(stamp: bytes) -> list[bytes]:
    mode, size, modified, _, inode = stamp.split(b" ")
    return [mode, size, modified, inode]


def _read_all(places: Mapping[bytes, tuple[bytes, bytes]]) -> dict[bytes, _Entry]:
    # In threads: most of the time goes to the disk and to SHA-256, neither of which keeps the others waiting.
    items = list(places.items())
    parts = [items[first::_THREADS] for first in range(_THREADS)]

    def read(part: list[tuple[bytes, tuple[bytes, bytes]]]) -> list[tuple[bytes, _Entry]]:
        return [(path, _Entry(stamp, _content(place))) for path, (place, stamp) in part]

    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(entry for part in pool.map(read, parts) for entry in part)


def _content(place: bytes) -> bytes:
    """The kind (a link, a file, a program) and the SHA-256 of what lies there; b"" for anything else."""
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return _link(place)
    try:
        said = os.fstat(handle)
        if not stat.S_ISREG(said.st_mode):
            return b""
        digest = hashlib.sha256()
        # A buffer of the file's size: a larger one for each file would take longer than to read it.
        while chunk := os.read(handle, min(said.st_size + 1, _CHUNK)):
            digest.update(chunk)
    except OSError:
        return b""
    finally:
        os.close(handle)
    return b"%c%s" % (b"x" if said.st_mode & stat.S_IXUSR else b"f", digest.hexdigest().encode())


def _link(place: bytes) -> bytes:
    try:
        return b"l" + hashlib.sha256(bytes(Path(os.fsdecode(place)).readlink())).hexdigest().encode()
    except OSError:
        return b""


def _dumped(entries: Mapping[bytes, _Entry]) -> bytes:
    lines = (b"%s %s %s" % (entry.content, entry.stamp, path) for path, entry in sorted(entries.items()))
    # No path has a zero byte in it.
    return b"\0".join((_FORMAT, *lines))


def _entries(text: bytes | None) -> dict[bytes, _Entry] | None:
    first, *lines = (text or b"").split(b"\0")
    if first != _FORMAT:
        return None
    entries = {}
    for line in lines:
        content, stamp, path = _fields(line)
        entries[path] = _Entry(stamp, content)
    return entries


def _fields(line: bytes) -> tuple[bytes, bytes, bytes]:
    content, *stamp, path = line.split(b" ", 6)
    return content, b" ".join(stamp), path
