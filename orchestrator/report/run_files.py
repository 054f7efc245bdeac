# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a run: written whole or not at all, and with an error that says what to look at."""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.files import replace_whole
from orchestrator.host.lock import locked_at_once

LOCK_FILE = ".lock"


def write_whole(path: Path, text: str | Iterable[str], *, mode: int = 0o644) -> None:
    """Replace a file in one step; its text may come in pieces. Raises InfraError."""
    pieces = [text] if isinstance(text, str) else text
    with writing(path):
        replace_whole(path, (piece.encode("utf-8", errors="backslashreplace") for piece in pieces), mode=mode)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses in the block into an InfraError: it is full, or `path` can't be written."""
    try:
        yield
    except OSError as why:
        if why.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InfraError(f"the disk is full: cannot write {path}", hint=f"df -h {path.parent}") from why
        raise InfraError(f"cannot write {path}: {why.strerror}", hint=f"ls -ld {path.parent}") from why


@contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Keep everybody else from working in a run's folder for the length of the block. Raises UserError.

    The host's kernel gives the folder free when patchrig ends, however it ends. A file system without locks has none.
    """
    with contextlib.ExitStack() as stack:
        free = True
        with contextlib.suppress(InfraError):
            free = stack.enter_context(locked_at_once(folder / LOCK_FILE))
        if not free:
            raise UserError(f"{folder.name} is still being run", hint=f"tail -f {folder / 'cells.jsonl'}")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                (folder / LOCK_FILE).unlink(missing_ok=True)


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
