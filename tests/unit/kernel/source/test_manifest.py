# SPDX-License-Identifier: GPL-2.0-or-later
"""A manifest sees whatever became of a folder: files that were lost, cut short, changed, added; and nothing else."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.kernel.source.manifest import check_manifest, restamp, write_manifest

FILES = {"Makefile": b"VERSION = 6\n", "mm/swap.c": b"int swap;\n", "mm/empty.h": b"", "scripts/run.sh": b"#!/bin/sh\n"}


def tree(tmp_path: Path) -> Path:
    src = tmp_path / "src"
    for name, content in FILES.items():
        (src / name).parent.mkdir(parents=True, exist_ok=True)
        (src / name).write_bytes(content)
    (src / "scripts/run.sh").chmod(0o755)
    (src / "link").symlink_to("mm/swap.c")
    (src / os.fsdecode(b"\xff\n name")).write_bytes(b"x")
    write_manifest(src, tmp_path / "manifest")
    return src


def test_what_has_not_changed_is_good(tmp_path: Path) -> None:
    src = tree(tmp_path)

    assert check_manifest(src, tmp_path / "manifest", content=True) == []
    assert check_manifest(src, tmp_path / "manifest", content=True) == []


def remade(file: Path, content: bytes) -> None:
    """Another content under times that say nothing."""
    before = file.lstat()
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "a bit": lambda src: remade(src / "mm/swap.c", b"int swaq;\n"),
    "empty": lambda src: remade(src / "mm/swap.c", b""),
    "zeros": lambda src: remade(src / "mm/swap.c", bytes(len(FILES["mm/swap.c"]))),
    "gone": lambda src: (src / "mm/swap.c").unlink(),
    "a link instead": lambda src: ((src / "mm/swap.c").rename(src.parent / "x"), (src / "mm/swap.c").symlink_to("/x")),
    "a pipe instead": lambda src: ((src / "mm/swap.c").unlink(), os.mkfifo(src / "mm/swap.c")),
    "a program now": lambda src: (src / "mm/swap.c").chmod(0o755),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_file_that_changed_is_named(how: str, tmp_path: Path) -> None:
    src = tree(tmp_path)

    CHANGES[how](src)

    assert check_manifest(src, tmp_path / "manifest", content=True) == ["mm/swap.c"]
    assert check_manifest(src, tmp_path / "manifest", content=False) == ["mm/swap.c"]


def test_what_was_added_is_named_and_folders_without_files_are_nothing(tmp_path: Path) -> None:
    src = tree(tmp_path)
    (src / "new" / "deep").mkdir(parents=True)
    assert check_manifest(src, tmp_path / "manifest", content=True) == []

    (src / "new" / "deep" / "Kbuild").write_text("")
    (src / "link").unlink()
    (src / "link").symlink_to("mm/other.c")

    assert check_manifest(src, tmp_path / "manifest", content=True) == ["link", "new/deep/Kbuild"]


def test_a_bit_that_flipped_below_the_file_system_is_seen_where_all_is_read(tmp_path: Path) -> None:
    # Nobody can flip it from here without new stamps, so the manifest is what says something else.
    src = tree(tmp_path)
    text = read_sealed(tmp_path / "manifest")
    assert text is not None
    start = text.index(b" mm/swap.c") - 100
    line = text[text.rindex(b"\0", 0, start + 100) + 1 :].split(b"\0")[0]
    assert line.startswith(b"f")
    write_sealed(tmp_path / "manifest", text.replace(line[1:65], b"0" * 64))

    assert check_manifest(src, tmp_path / "manifest", content=False) == []
    assert check_manifest(src, tmp_path / "manifest", content=True) == ["mm/swap.c"]
    assert check_manifest(src, tmp_path / "manifest", content=True) == ["mm/swap.c"]


def test_new_times_alone_are_no_change_and_are_taken_over(tmp_path: Path) -> None:
    src = tree(tmp_path)
    before = (tmp_path / "manifest").read_bytes()
    os.utime(src / "mm/swap.c", ns=(1, 1))

    assert check_manifest(src, tmp_path / "manifest", content=True) == []
    assert (tmp_path / "manifest").read_bytes() != before
    shutil.copytree(src, tmp_path / "copy", symlinks=True)
    assert check_manifest(tmp_path / "copy", tmp_path / "manifest", content=False) == []


@pytest.mark.parametrize("content", [None, b"", bytes(1000), b"patchrig manifest 1"])
def test_without_a_whole_manifest_nothing_is_known(content: bytes | None, tmp_path: Path) -> None:
    src = tree(tmp_path)
    (tmp_path / "manifest").unlink()
    if content is not None:
        (tmp_path / "manifest").write_bytes(content)

    assert check_manifest(src, tmp_path / "manifest", content=False) is None


def test_hard_links_change_nothing(tmp_path: Path) -> None:
    src = tree(tmp_path)
    shutil.copytree(src, tmp_path / "linked", symlinks=True, copy_function=os.link)
    restamp(src, tmp_path / "manifest")
    before = (tmp_path / "manifest").read_bytes()

    assert check_manifest(src, tmp_path / "manifest", content=False) == []
    assert (tmp_path / "manifest").read_bytes() == before
    (src / "mm/swap.c").write_text("another\n")
    restamp(src, tmp_path / "manifest")
    assert check_manifest(src, tmp_path / "manifest", content=False) == ["mm/swap.c"]


def test_what_was_written_anew_is_right_from_then_on(tmp_path: Path) -> None:
    src = tree(tmp_path)
    (src / "mm/swap.c").write_bytes(b"int other;\n")
    (src / "Makefile").unlink()

    write_manifest(src, tmp_path / "manifest")

    assert check_manifest(src, tmp_path / "manifest", content=True) == []


NAMES = st.lists(
    st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & {0, 47} and name not in (b".", b"..")),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(NAMES, st.data())
def test_any_names_and_any_change(
    tmp_path_factory: pytest.TempPathFactory, names: list[bytes], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    src = folder / "src"
    src.mkdir()
    for name in names:
        (src / os.fsdecode(name)).write_bytes(data.draw(st.binary(max_size=20)))
    write_manifest(src, folder / "manifest")
    name = os.fsdecode(data.draw(st.sampled_from(names)))
    was, now = (src / name).read_bytes(), data.draw(st.binary(max_size=20))
    remade(src / name, now)

    assert check_manifest(src, folder / "manifest", content=True) == ([] if was == now else [name])
    shutil.rmtree(folder)
