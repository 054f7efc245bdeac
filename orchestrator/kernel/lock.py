"""One user at a time for a file or folder of the cache, across processes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.deadline import Deadline


@contextmanager
def locked(path: Path, until: Deadline, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path` for the length of the block; raises OutOfTime when another run keeps it.

    `on_wait` is called once when the lock is not free at first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Each call has its own lock object, so that two threads of one run also exclude each other.
    lock = FileLock(path, is_singleton=False, thread_local=False)
    if not _acquired(lock):
        on_wait()
        until.until(lambda: _acquired(lock), every=0.1)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_or_none(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` for the length of the block if nobody else does, and say whether that is so."""
    lock = FileLock(path, is_singleton=False, thread_local=False)
    if not _acquired(lock):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
