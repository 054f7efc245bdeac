"""What a large folder of the cache held when it was right: a source tree, or a build folder.

A manifest has, of each file and symbolic link, the SHA-256 of its content and the stamps (mode, size, time, inode)
that it had then. There are two ways in which a file goes wrong:

- Somebody wrote to it, or the power failed before it was on the disk: its stamps are others. All stamps of a kernel
  tree (92,000 files, 1.5 GB) are looked at in 0.8 s, and whatever has others is read.
- A bit flipped below the file system: all stamps are as they were. Only reading tells. To read all of a tree takes 3 s
  on two CPUs when it is in memory, 10 s when it comes from a disk. That is little for a build of minutes, but a run may
  build many times, for seconds each. So a process reads all of a folder the first time it checks it, and goes by stamps
  afterwards: what it has read is in memory from then on, where the disk can't change it.

The manifest is sealed, and written when all of the folder is on the disk: without it, the folder is as good as none.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from orchestrator.disk import flush_file_system, trouble_named
from orchestrator.sealed import read_sealed, write_sealed

_FORMAT = b"patchrig manifest 1"
_CHUNK = 1 << 20
_THREADS = len(os.sched_getaffinity(0))


class _Entry(NamedTuple):
    """One file: bytes, as there are many of them and they are only ever compared."""

    stamp: bytes  # mode, size, time, inode
    content: bytes  # kind and SHA-256; b"" where it is neither a file nor a link, or can't be read


# What this process has read all of: folder, SHA-256 of the manifest.
_read: set[tuple[str, str]] = set()
_lock = threading.Lock()


def write_manifest(folder: Path, manifest: Path, *, aside: Path | None = None, changed: Collection[str] = ()) -> None:
    """Take down what is in the folder now, and is right; returns when that and all of the folder is on the disk.

    Files with the stamps of an earlier manifest are not read again. `changed`: paths in the folder that hold something
    else for the moment, a series; what belongs there lies under the same path in `aside`, or nowhere.
    Raises InfraError, OSError.
    """
    known = _entries(read_sealed(manifest)) or {}
    found = _with_aside(_walk(folder), aside, changed)
    entries = {path: known[path] for path, (_, stamp) in found.items() if path in known and known[path].stamp == stamp}
    missing = {path: place for path, place in found.items() if path not in entries}
    entries |= _read_all(missing)
    with trouble_named(manifest.parent):
        flush_file_system(folder)
        write_sealed(manifest, _dumped(entries))


def check_manifest(
    folder: Path,
    manifest: Path,
    *,
    aside: Path | None = None,
    changed: Collection[str] = (),
    content: bool | None = None,
    renew: bool = True,
) -> list[str] | None:
    """The paths in the folder that are not what the manifest says, sorted: [] is good; None without a whole manifest.

    A path is wrong when its content or kind has changed, when it is gone, and when the manifest does not know it.
    Folders without files do not count. `content`: read all files, True, or those with other stamps, False; None: all
    the first time in this process. `aside` and `changed` as for write_manifest(): the copy aside is looked at, and
    without `aside` nothing is said of these paths.

    When all is right and some stamps were not, the manifest gets the new ones; unless `renew` is false, for a folder
    that is a copy of the manifest's own, with hard links or without. Raises InfraError, OSError.
    """
    text = read_sealed(manifest)
    known = _entries(text)
    if text is None or known is None:
        return None
    if content is None:
        with _lock:
            content = _name(folder, text) not in _read
    found = _with_aside(_walk(folder), aside, changed)
    doubtful = {
        path: place for path, place in found.items() if path in known and (content or known[path].stamp != place[1])
    }
    now = _read_all(doubtful)
    wrong = [path for path, entry in now.items() if entry.content != known[path].content or not entry.content]
    # Without copies aside, nothing is said of what has been changed on purpose.
    wrong += (known.keys() ^ found.keys()) - ({os.fsencode(path) for path in changed} if aside is None else set())
    if wrong:
        return sorted(os.fsdecode(path) for path in wrong)
    if renew and any(entry.stamp != known[path].stamp for path, entry in now.items()):
        text = _dumped(known | now)
        write_sealed(manifest, text)
    if content:
        with _lock:
            _read.add(_name(folder, text))
    return []


def _name(folder: Path, text: bytes) -> tuple[str, str]:
    return str(folder), hashlib.sha256(text).hexdigest()


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


def _with_aside(
    found: Iterable[tuple[bytes, bytes, os.stat_result]], aside: Path | None, changed: Collection[str]
) -> dict[bytes, tuple[bytes, bytes]]:
    """Relative path -> where its content lies, and the stamp of that."""
    skipped = {os.fsencode(path) for path in changed}
    places = {path: (place, _stamp(said)) for path, place, said in found if path not in skipped}
    for path in skipped if aside else ():
        place = os.path.join(os.fsencode(aside or ""), path)  # noqa: PTH118  # bytes
        if os.path.lexists(place):
            places[path] = (place, _stamp(os.lstat(place)))
    return places


def _stamp(said: os.stat_result) -> bytes:
    # Not the time of the inode's last change: each hard link that is made or removed is one.
    return b"%o %d %d %d" % (said.st_mode, said.st_size, said.st_mtime_ns, said.st_ino)


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
    content, *stamp, path = line.split(b" ", 5)
    return content, b" ".join(stamp), path
