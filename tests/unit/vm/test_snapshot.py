# SPDX-License-Identifier: GPL-2.0-or-later
"""Copying a guest's memory, of which most is holes."""

from pathlib import Path

import pytest

from orchestrator.vm.snapshot import copy_sparse

PAGE = 4096


@pytest.mark.parametrize("pages", [(), (0,), (5,), (0, 1, 700, 1023), (1023,)])
def test_a_copy_has_the_same_content_and_takes_no_room_for_holes(pages: tuple[int, ...], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.truncate(1024 * PAGE)
        for page in pages:
            file.seek(page * PAGE)
            file.write(bytes([page % 255 + 1]) * PAGE)

    copy_sparse(source, target)

    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks <= source.stat().st_blocks


def test_a_copy_replaces_nothing(tmp_path: Path) -> None:
    for name in ("source", "target"):
        (tmp_path / name).write_bytes(b"x")

    with pytest.raises(FileExistsError):
        copy_sparse(tmp_path / "source", tmp_path / "target")
