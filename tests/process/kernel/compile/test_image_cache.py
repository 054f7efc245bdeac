# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that is killed, or refused by the disk, while it stores an image: the cache has a right one or none."""

from pathlib import Path

import pytest

from tests.process.faulty import KILLED, needs_strace, run_with
from tests.unit.kernel.compile.image_samples import found, stored

STORE = """
import sys
from pathlib import Path
from tests.unit.kernel.compile.image_samples import stored
stored(Path(sys.argv[1]), image=b"\\x7fELF new")
"""


@needs_strace
@pytest.mark.parametrize("what", [KILLED, "error=ENOSPC", "error=EIO"])
@pytest.mark.parametrize("call", ["rename 1", "rename 2", "rename 3", "fsync 5", "mkdir 3"])
def test_ended_or_refused_at_any_call_the_cache_has_a_right_image_or_none(what: str, call: str, tmp_path: Path) -> None:
    stored(tmp_path).config.write_bytes(b"damaged")
    name, number = call.split()

    done = run_with(STORE, tmp_path, call=name, what=what, number=int(number))

    assert done.returncode != 0
    if what != KILLED:
        assert "InfraError" in done.stderr.splitlines()[-1], done.stderr
    image = found(tmp_path)
    assert image is None or image.image.read_bytes() == b"\x7fELF new"
    stored(tmp_path)
    assert found(tmp_path) is not None
