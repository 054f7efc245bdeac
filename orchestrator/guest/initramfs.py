# SPDX-License-Identifier: GPL-2.0-or-later
"""Packing files into the archive that the kernel unpacks at boot (pure: bytes in, bytes out)."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file of the archive. `data` is the content, or the target of a symbolic link."""

    path: str  # relative, no leading slash
    mode: int  # type and permissions, as in st_mode
    data: bytes = b""
    device: tuple[int, int] = (0, 0)  # major, minor of a device node


def regular(path: str, data: bytes, *, permissions: int = 0o644) -> Entry:
    return Entry(path=path, mode=stat.S_IFREG | permissions, data=data)


def directory(path: str, *, permissions: int = 0o755) -> Entry:
    return Entry(path=path, mode=stat.S_IFDIR | permissions)


def symlink(path: str, target: str) -> Entry:
    return Entry(path=path, mode=stat.S_IFLNK | 0o777, data=target.encode())


def character_device(path: str, major: int, minor: int) -> Entry:
    return Entry(path=path, mode=stat.S_IFCHR | 0o600, device=(major, minor))


def newc(entries: Iterable[Entry]) -> bytes:
    """The entries as an uncompressed cpio archive of the "newc" form, parents before children as given.

    The same entries give the same bytes: no times, owner root. Archives may simply be joined; a later file replaces an
    earlier one of the same path. Written here and not by cpio(1), which would need root for the device nodes.
    Source: Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    parts = [_member(number, entry) for number, entry in enumerate(entries, start=1)]
    parts.append(_member(0, Entry(path="TRAILER!!!", mode=0)))
    archive = b"".join(parts)
    return archive + bytes(-len(archive) % 512)


def _member(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    major, minor = entry.device
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    numbers = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, major, minor, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in numbers) + name
    return _padded(head) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
