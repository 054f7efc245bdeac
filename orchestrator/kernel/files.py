"""Writing into the cache: whole or not at all, and a full disk said plainly."""

import errno
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.disk import replace_whole
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
    """Replace the file in one step; its folder is made if need be. Raises InfraError where the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_named(path.parent):
        replace_whole(path, content)


def write_json(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")
