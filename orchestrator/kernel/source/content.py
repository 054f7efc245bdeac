# SPDX-License-Identifier: GPL-2.0-or-later
"""A hash over what is in a source archive, for an archive whose own hash is not known.

The same release is packed differently by different people. What git would keep of it is the same: each file and link,
whether it is a program, and its content. The hash is the SHA-256 of these lines, sorted by their bytes, each with a
newline: `MODE SHA256 PATH`. MODE is 100644 for a file, 100755 for a program, 120000 for a link, whose content is where
it leads; PATH is without the archive's top folder. Folders, owners and times do not count.
"""

import hashlib
import tarfile
from collections.abc import Collection
from pathlib import Path

_CHUNK = 1 << 20
_PROGRAM = 0o100


class NotHashable(Exception):
    """The archive can't be read, or holds what no kernel source does."""


def content_sha256(archive: Path, without: Collection[str] = ()) -> str:
    """The hash over an archive's content; what lies at, or below, the paths of `without` is left out of it.

    Nothing is written. Raises NotHashable.
    """
    lines: dict[str, str] = {}
    try:
        with tarfile.open(archive, mode="r|*") as members:
            for member in members:
                path = member.name.partition("/")[2]
                if member.isdir() or is_below(path, without):
                    continue
                if path in lines or not path:
                    raise NotHashable(f"{member.name!a} is there twice, or has no folder")
                lines[path] = f"{_mode(member)} {_digest(members, member)} {path}\n"
    except (tarfile.TarError, OSError, EOFError) as error:
        raise NotHashable(f"it is no archive that can be read: {error}") from error
    digest = hashlib.sha256()
    for line in sorted(line.encode("utf-8", "surrogateescape") for line in lines.values()):
        digest.update(line)
    return digest.hexdigest()


def is_below(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of the places, or below one."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _mode(member: tarfile.TarInfo) -> str:
    if member.issym():
        return "120000"
    if not member.isreg():
        raise NotHashable(f"{member.name!a} is neither a file nor a link")
    return "100755" if member.mode & _PROGRAM else "100644"


def _digest(members: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    digest = hashlib.sha256()
    if member.issym():
        digest.update(member.linkname.encode("utf-8", "surrogateescape"))
    elif content := members.extractfile(member):
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
