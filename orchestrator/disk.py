"""How a file comes to the disk in one step: whoever reads it sees the old content or the new one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_whole(path: Path, content: bytes) -> None:
    """Write or replace a file, durably: after a crash of this machine it is the old one or the new. Raises OSError."""
    with replacement(path) as temporary:
        with temporary.open("wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(path)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """A new file beside `path`, to be filled and renamed to it in the block; gone afterwards if it was not.

    Never one that was there: strangers' code has been in some of the folders that are written to. Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        Path(name).chmod(0o644)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
