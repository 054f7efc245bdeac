# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache of images: what is found is what was stored, whatever happened to the disk, to us or to other runs."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.untrusted import BadFile
from orchestrator.kernel.compile.image_cache import damaged_images, find_image, image_key, prune, store_image
from orchestrator.model.events import Event, Notice
from tests.unit.kernel.compile.image_samples import BUILD, FILES, HASHES, KEY, built, found, stored


def test_what_is_found_is_what_was_stored(tmp_path: Path) -> None:
    image = stored(tmp_path)

    assert found(tmp_path) == image
    assert image.new_warnings == ("x.c:1: warning",)
    assert image.image.read_bytes() == FILES["image"]


def test_the_map_of_an_instrumented_kernel_is_found_with_it(tmp_path: Path) -> None:
    out = built(tmp_path / "out", coverage=True)
    store_image(tmp_path / "cache", KEY, BUILD, built=out, hashes=HASHES)

    image = found(tmp_path)

    assert image is not None
    assert image.coverage == out.coverage


def test_what_was_never_stored_is_not_found_and_nothing_is_said(tmp_path: Path) -> None:
    events: list[Event] = []

    assert found(tmp_path, events) is None
    assert events == []


@pytest.mark.parametrize("name", ["image", "vmlinux", "config", "build.log", "coverage.json", "image.sealed"])
@pytest.mark.parametrize("how", ["bit", "empty", "zeros", "gone", "folder"])
def test_a_damaged_file_makes_the_entry_none_and_is_told(name: str, how: str, tmp_path: Path) -> None:
    store_image(tmp_path / "cache", KEY, BUILD, built=built(tmp_path / "out", coverage=True), hashes=HASHES)
    file = tmp_path / "cache" / "images" / KEY / name
    damage(file, how)
    events: list[Event] = []

    assert [path for path, _ in damaged_images(tmp_path / "cache")] == [file.parent]
    assert found(tmp_path, events) is None
    (notice,) = events
    assert isinstance(notice, Notice)
    assert str(file.parent) in notice.text
    assert not file.parent.exists()
    assert not list((tmp_path / "cache/images").glob(".trash*"))


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how != "gone":
        content[len(content) // 2] ^= 4
        file.write_bytes({"bit": bytes(content), "empty": b"", "zeros": bytes(len(content))}[how])


@given(st.data())
def test_no_flipped_bit_goes_unseen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    tmp_path = tmp_path_factory.mktemp("flip")
    stored(tmp_path)
    files = sorted((tmp_path / "cache" / "images" / KEY).iterdir())
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)

    assert found(tmp_path) is None
    shutil.rmtree(tmp_path)


def test_an_entry_under_the_key_of_another_kernel_is_none(tmp_path: Path) -> None:
    image = stored(tmp_path)
    other = image_key(HASHES | {"series": "another"}, "x86_64")
    image.image.parent.rename(image.image.parent.with_name(other))

    assert find_image(tmp_path / "cache", other, BUILD) is None


def test_what_is_whole_stays_when_it_is_stored_again(tmp_path: Path) -> None:
    # Another run may be using it.
    first = stored(tmp_path)

    assert stored(tmp_path, image=b"\x7fELF of another build") == first
    assert first.image.read_bytes() == FILES["image"]


def test_what_is_damaged_is_replaced(tmp_path: Path) -> None:
    stored(tmp_path).vmlinux.write_bytes(b"")

    stored(tmp_path, image=b"\x7fELF again")

    again = found(tmp_path)
    assert again is not None
    assert again.image.read_bytes() == b"\x7fELF again"


@pytest.mark.parametrize("how", ["link", "pipe", "folder", "gone"])
def test_a_build_that_leaves_no_plain_file_leaves_no_image(how: str, tmp_path: Path) -> None:
    out = built(tmp_path / "out")
    out.vmlinux.unlink()
    if how == "link":
        (tmp_path / "secret").write_text("key")
        out.vmlinux.symlink_to(tmp_path / "secret")
    elif how == "pipe":
        os.mkfifo(out.vmlinux)
    elif how == "folder":
        out.vmlinux.mkdir()

    with pytest.raises(BadFile, match="no plain file"):
        store_image(tmp_path / "cache", KEY, BUILD, built=out, hashes=HASHES)
    assert found(tmp_path) is None


def test_pruning_takes_what_was_used_longest_ago_and_what_was_never_finished(tmp_path: Path) -> None:
    keys = []
    for number in range(3):
        hashes = HASHES | {"series": str(number)}
        keys.append(image_key(hashes, "x86_64"))
        image = store_image(tmp_path / "cache", keys[-1], BUILD, built=built(tmp_path / "out"), hashes=hashes)
        os.utime(image.image.parent / "image.sealed", (number, number))
    (tmp_path / "cache/images/.new-x").mkdir()
    one = sum(file.stat().st_size for file in image.image.parent.iterdir())
    find_image(tmp_path / "cache", keys[0], BUILD)

    gone = prune(tmp_path / "cache", 2 * one)

    assert {folder.name for folder in gone} == {keys[1], ".new-x"}
    assert sorted(path.name for path in (tmp_path / "cache/images").iterdir()) == sorted([".lock", keys[0], keys[2]])


def test_there_is_nothing_to_prune_where_there_is_no_cache(tmp_path: Path) -> None:
    assert prune(tmp_path / "cache", 0) == ()
    assert not (tmp_path / "cache").exists()
