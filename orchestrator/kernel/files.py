"""Writing into the cache: whole or not at all, and a full disk said plainly."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import InfraError

CHUNK = 1 << 20


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Turn ENOSPC inside the block into an InfraError that says which disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(folder) from error
        raise


def disk_full(folder: Path) -> InfraError:
    return InfraError(f"the disk is full: no space left for {folder}", hint="patchrig clean  # then the same again")


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file atomically and durably: after a crash it holds the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with full_disk_named(path.parent):
        # Never through a link: strangers' code has been in some of the folders that this writes to.
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def write_json(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")
