# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are whole or not there, whatever happens to us or to the disk in between."""

import errno
import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.errors import InfraError
from orchestrator.host.files import (
    link_or_copy,
    make_folders,
    point_to,
    replace_whole,
    settle_folder,
    trouble_named,
    write_cached,
    write_json,
)
from orchestrator.host.paths import IN_MEMORY
from orchestrator.host.sealed import read_sealed, sealed, write_sealed


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    replace_whole(tmp_path / "file", b"old")
    replace_whole(tmp_path / "file", b"new")

    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_gets_its_name_when_all_of_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a").write_text("a")

    settle_folder(tmp_path / "new", tmp_path / "entry")

    assert (tmp_path / "entry" / "a").read_text() == "a"


def test_a_second_name_is_a_hard_link_and_what_has_the_name_stays(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"new")
    (tmp_path / "kept").write_bytes(b"old")

    link_or_copy(tmp_path / "image", tmp_path / "second")
    link_or_copy(tmp_path / "image", tmp_path / "kept")

    assert (tmp_path / "second").samefile(tmp_path / "image")
    assert (tmp_path / "kept").read_bytes() == b"old"


def test_on_another_file_system_a_second_name_is_a_copy(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("one file system only")
        (tmp_path / "image").write_bytes(b"image")

        link_or_copy(tmp_path / "image", Path(other) / "second")

        assert [(path.name, path.read_bytes()) for path in Path(other).iterdir()] == [("second", b"image")]


def test_a_link_leads_elsewhere_in_one_step_whatever_it_led_to(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()

    point_to(tmp_path / "latest", "first")
    point_to(tmp_path / "latest", "second")

    assert (tmp_path / "latest").readlink() == Path("second")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "latest"]


def test_a_file_of_the_cache_brings_its_folder_and_is_refused_with_a_next_step(tmp_path: Path) -> None:
    write_json(tmp_path / "cache" / "trees" / "mark.json", {"state": "whole"})
    assert json.loads((tmp_path / "cache" / "trees" / "mark.json").read_text()) == {"state": "whole"}

    (tmp_path / "file").write_text("")
    with pytest.raises(InfraError, match="the cache can't be written") as raised:
        write_cached(tmp_path / "file" / "mark", b"")

    assert raised.value.hint


def test_a_new_cache_is_closed_to_other_users(tmp_path: Path) -> None:
    make_folders(tmp_path / "cache" / "images")
    make_folders(tmp_path / "cache" / "images")

    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM])
def test_what_the_disk_refuses_is_our_trouble_with_a_next_step(number: int, tmp_path: Path) -> None:
    with pytest.raises(InfraError) as raised, trouble_named(tmp_path / "images"):
        raise OSError(number, os.strerror(number), str(tmp_path / "images" / "x"))

    assert raised.value.hint
    assert str(tmp_path) in str(raised.value)


def test_a_refusal_elsewhere_is_not_the_caches(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), trouble_named(tmp_path / "cache"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "linux" / "Makefile"))


def test_a_file_in_the_place_of_the_cache_is_our_trouble(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")

    with pytest.raises(InfraError, match="the cache can't be written"):
        write_sealed(tmp_path / "cache" / "rootfs" / "x", b"")


@given(st.binary(max_size=300))
def test_what_is_sealed_is_read_back(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("sealed") / "file"
    write_sealed(file, content)

    assert read_sealed(file) == content


@given(st.binary(max_size=100), st.data())
def test_one_wrong_bit_or_a_missing_end_is_seen(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("sealed") / "file"
    whole = bytearray(sealed(content))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    file.write_bytes(whole[: bit // 8])
    assert read_sealed(file) is None

    whole[bit // 8] ^= 1 << bit % 8
    file.write_bytes(whole)
    assert read_sealed(file) is None


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"x"])
def test_an_empty_file_and_one_of_zeros_are_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)

    assert read_sealed(tmp_path / "file") is None
    assert read_sealed(tmp_path / "nothing") is None
    assert read_sealed(tmp_path) is None
