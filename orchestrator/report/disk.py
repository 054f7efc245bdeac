"""How the files of a run come to the disk: whole or not at all, and with an error that says what to look at."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import InfraError


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old text or the new one, even after a crash of this machine."""
    with writing(path), replacement(path) as temporary:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(path)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """A new file beside `path`, to be filled and renamed to it in the block; gone afterwards if it was not."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        Path(name).chmod(0o644)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses in the block into an InfraError: it is full, or `path` can't be written."""
    try:
        yield
    except OSError as why:
        if why.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InfraError(f"the disk is full: cannot write {path}", hint=f"df -h {path.parent}") from why
        raise InfraError(f"cannot write {path}: {why.strerror}", hint=f"ls -ld {path.parent}") from why


def append(path: Path, lines: str) -> None:
    """Add whole lines to a file, on the disk when this returns; all of them or none."""
    with writing(path), path.open("ab") as sink:
        size = sink.seek(0, os.SEEK_END)
        try:
            sink.write(lines.encode())
            sink.flush()
            os.fsync(sink.fileno())
        except OSError:
            # Half a line would swallow the next one.
            with contextlib.suppress(OSError):
                os.truncate(path, size)
            raise
