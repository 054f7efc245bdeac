# SPDX-License-Identifier: GPL-2.0-or-later
"""A file of the cache with its own checksum: a file that was cut short, or has one wrong bit, is as good as none."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.files import write_cached
from orchestrator.host.lock import locked

_MARK = b"\nsha256:"
_LENGTH = len(_MARK) + 64 + 1


def write_sealed(path: Path, content: bytes) -> None:
    """Write or replace the file, durably, with the SHA-256 of the content as its last line. Raises InfraError."""
    write_cached(path, sealed(content))


def sealed(content: bytes) -> bytes:
    """The content with its seal; in one file, so that one is never there without the other."""
    return content + _MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"


def read_sealed(path: Path) -> bytes | None:
    """The content that was sealed; None where there is no file, or not the one that was written."""
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    content = whole[:-_LENGTH]
    return content if whole == sealed(content) else None


def kept_or_made(kept: Path, make: Callable[[], bytes], until: Deadline) -> bytes:
    """The content of a sealed file; one that is missing or damaged is made, by one run at a time. Raises InfraError."""
    if (content := read_sealed(kept)) is not None:
        return content
    with locked(kept.with_suffix(".lock"), until):
        content = read_sealed(kept)  # another run may have made it meanwhile
        if content is None:
            content = make()
            write_sealed(kept, content)
    return content
