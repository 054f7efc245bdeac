# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user names, read whole: a plain or compressed file of a bounded size. Raises UserError for anything else."""

import bz2
import gzip
import lzma
import stat
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Protocol

from orchestrator.host.errors import UserError

MIB = 1 << 20
LARGEST = 256 * MIB  # of a series, and of what its binary patches unpack to


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


_PACKED: tuple[tuple[bytes, Callable[[BytesIO], _Readable]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
)
# What is no patch, though a patch may be inside: beginning -> what it is, and what to type.
_OTHER = (
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstd -d {path}"),
    (b"PK\x03\x04", "a zip file", "unzip {path} -d series; --patch series"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "a message of Outlook's",
        "msgconvert {path}  # Debian: libemail-outlook-message-perl",
    ),
    (b"\xff\xfe", "UTF-16 text", "iconv -f utf-16 -t utf-8 {path}"),
    (b"\xfe\xff", "UTF-16 text", "iconv -f utf-16 -t utf-8 {path}"),
    (b"# v2 git bundle", "a git bundle", "git fetch {path}; --patch A..B --tree DIR"),
    (b"# v3 git bundle", "a git bundle", "git fetch {path}; --patch A..B --tree DIR"),
)
_TAR_AT = 257


def read_packed(path: Path, *, largest: int = LARGEST) -> bytes:
    """The file's content, unpacked."""
    try:
        # Opening a FIFO or a terminal would wait for somebody who writes.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path} is no plain file")
        with path.open("rb") as file:
            raw = _limited(file, path, largest)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from error
    content = _unpacked(raw, path, largest)
    for start, what, command in _OTHER:
        if content.startswith(start):
            raise UserError(f"{path} is {what}", hint=command.format(path=path))
    if content[_TAR_AT : _TAR_AT + 5] == b"ustar":
        raise UserError(f"{path} is a tar file", hint=f"mkdir series; tar -xf {path} -C series; --patch series")
    if content[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise UserError(f"{path} is a web page", hint="take the mail itself: lore's `raw` or `mbox.gz`, or b4 am")
    return content.removeprefix(b"\xef\xbb\xbf")


def _unpacked(raw: bytes, path: Path, largest: int) -> bytes:
    for start, opened in _PACKED:
        if raw.startswith(start):
            try:
                return _limited(opened(BytesIO(raw)), path, largest)
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                raise UserError(f"{path} is a damaged compressed file: {error}") from error
    return raw


def _limited(file: _Readable, path: Path, largest: int) -> bytes:
    content = file.read(largest + 1)
    if len(content) > largest:
        raise UserError(f"{path} holds more than {largest // MIB} MiB; no series is that large")
    return content
