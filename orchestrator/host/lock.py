# SPDX-License-Identifier: GPL-2.0-or-later
"""One user at a time for a file or folder of the cache, across processes and threads."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.files import make_folders, trouble_named

_POLL_SECONDS = 0.1
# Held, shared, by whoever relies on the cache staying as it is for a while; alone by who removes all of it.
IN_USE = ".in-use.lock"


@contextmanager
def locked(
    path: Path, until: Deadline, on_wait: Callable[[], None] = lambda: None, *, shared: bool = False
) -> Iterator[None]:
    """Hold the lock file `path` for the length of the block; raises OutOfTime when another run keeps it.

    `on_wait` is called once when the lock is not free at first. The kernel gives a lock back when its process ends,
    however that ends. Raises InfraError where the file can't be made.
    """
    handle = _taken(path, shared)
    if handle is None:
        on_wait()
        handle = until.until(lambda: _taken(path, shared), every=_POLL_SECONDS)
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def locked_at_once(path: Path) -> Iterator[bool]:
    """Hold the lock file for the length of the block if it is free now; yields whether it was."""
    handle = _taken(path, shared=False)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def in_use(cache: Path, until: Deadline) -> Iterator[None]:
    """Keep `patchrig clean --all` away from the cache for the length of the block; any number of runs may."""
    with locked(cache / IN_USE, until, shared=True):
        yield


@contextmanager
def unused(cache: Path) -> Iterator[bool]:
    """Keep runs away from the cache for the length of the block, unless one uses it: yields whether none does."""
    with locked_at_once(cache / IN_USE) as alone:
        yield alone


def _taken(path: Path, shared: bool) -> int | None:
    """The descriptor that holds the lock; None while somebody else does.

    A lock file may be removed, with its folder, by who holds it. Then a lock on the old file says nothing: another
    process may make the file anew, and lock that. No library that we know looks at this.
    """
    with trouble_named(path.parent):
        try:
            make_folders(path.parent)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except FileNotFoundError:  # its folder is being removed; the next try makes it anew
            return None
    if _granted(handle, path, shared):
        return handle
    os.close(handle)
    return None


def _granted(handle: int, path: Path, shared: bool) -> bool:
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError as error:
        os.close(handle)
        raise InfraError(f"{path} can't be locked: {error.strerror}", hint=f"df {path.parent}") from error
