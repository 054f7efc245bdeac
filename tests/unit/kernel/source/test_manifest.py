# SPDX-License-Identifier: GPL-2.0-or-later
"""A manifest sees whatever became of a folder: files that were lost, cut short, changed, added; and nothing else."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.errors import InfraError
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.kernel.source.manifest import check_manifest, contents_of, restamp, write_manifest

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


def linked(file: Path) -> None:
    """The same content, elsewhere."""
    file.rename(file.parents[2] / "x")
    file.symlink_to("/x")


def piped(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a bit": lambda src: remade(src / "mm/swap.c", b"int swaq;\n"),
    "empty": lambda src: remade(src / "mm/swap.c", b""),
    "zeros": lambda src: remade(src / "mm/swap.c", bytes(len(FILES["mm/swap.c"]))),
    "gone": lambda src: (src / "mm/swap.c").unlink(),
    "a link instead": lambda src: linked(src / "mm/swap.c"),
    "a pipe instead": lambda src: piped(src / "mm/swap.c"),
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
    chosen = os.fsdecode(data.draw(st.sampled_from(names)))
    was, now = (src / chosen).read_bytes(), data.draw(st.binary(max_size=20))
    remade(src / chosen, now)

    assert check_manifest(src, folder / "manifest", content=True) == ([] if was == now else [chosen])
    shutil.rmtree(folder)


def own_tree(tmp_path: Path) -> Path:
    """A developer's tree in which nothing was written in the last hour, as far as its times tell."""
    src = tree(tmp_path)
    hour_ago = time.time_ns() - 3_600_000_000_000
    for file in src.rglob("*"):
        os.utime(file, ns=(hour_ago, hour_ago), follow_symlinks=False)
    return src


def read_own(src: Path, kept: Path | None) -> dict[str, str]:
    paths = [os.fsdecode(path.relative_to(src)) for path in sorted(src.rglob("*")) if not path.is_dir()]
    return contents_of(src, [*paths, "gone.c", "Makefile/below-a-file", "mm"], kept)


def keep_other_content(kept: Path, *, seconds_later: int) -> None:
    """Make what was kept say that mm/swap.c is empty, and that it was read at another time."""
    begun, _, text = (read_sealed(kept) or b"").partition(b"\0")
    right, empty = (hashlib.sha256(content).hexdigest().encode() for content in (FILES["mm/swap.c"], b""))
    assert right in text
    write_sealed(kept, b"%d\0%s" % (int(begun) + seconds_later * 1_000_000_000, text.replace(right, empty)))


def test_contents_are_kind_and_sha256_of_files_and_links(tmp_path: Path) -> None:
    found = read_own(own_tree(tmp_path), None)

    assert found["mm/swap.c"] == f"f{hashlib.sha256(FILES['mm/swap.c']).hexdigest()}"
    assert found["scripts/run.sh"][0] == "x"
    assert found["link"] == f"l{hashlib.sha256(b'mm/swap.c').hexdigest()}"
    assert set(found) == {*FILES, "link", os.fsdecode(b"\xff\n name")}


def test_what_was_read_long_after_it_was_written_is_not_read_again(tmp_path: Path) -> None:
    src, kept = own_tree(tmp_path), tmp_path / "kept"
    read_own(src, kept)
    keep_other_content(kept, seconds_later=60)

    assert read_own(src, kept)["mm/swap.c"] == f"f{hashlib.sha256(b'').hexdigest()}"


def test_what_was_written_just_before_it_was_read_is_read_again(tmp_path: Path) -> None:
    # Its times may be those of a write that came after the reading.
    src, kept = own_tree(tmp_path), tmp_path / "kept"
    right = read_own(src, kept)
    keep_other_content(kept, seconds_later=0)

    assert read_own(src, kept) == right
    assert read_own(src, kept) == right


@pytest.mark.parametrize("how", [how for how in CHANGES if how not in ("gone", "a pipe instead")])
def test_a_change_under_times_that_say_nothing_is_seen_though_much_was_kept(how: str, tmp_path: Path) -> None:
    src, kept = own_tree(tmp_path), tmp_path / "kept"
    before = read_own(src, kept)

    CHANGES[how](src)

    after = read_own(src, kept)
    assert after == read_own(src, None)
    assert {path for path in before if after[path] != before[path]} == {"mm/swap.c"}


@pytest.mark.parametrize("how", ["gone", "a pipe instead"])
def test_what_is_no_file_any_more_is_left_out(how: str, tmp_path: Path) -> None:
    src, kept = own_tree(tmp_path), tmp_path / "kept"
    before = read_own(src, kept)

    CHANGES[how](src)

    assert set(before) - set(read_own(src, kept)) == {"mm/swap.c"}


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"12\0patchrig manifest 1"])
def test_what_was_kept_and_damaged_is_as_good_as_none(damage: bytes, tmp_path: Path) -> None:
    src, kept = own_tree(tmp_path), tmp_path / "kept"
    right = read_own(src, kept)
    text = kept.read_bytes()
    kept.write_bytes(damage or text.replace(hashlib.sha256(FILES["mm/swap.c"]).hexdigest().encode(), b"0" * 64))

    assert read_own(src, kept) == right
    assert read_sealed(kept) is not None


def test_a_touched_tree_has_the_same_contents(tmp_path: Path) -> None:
    src, kept = own_tree(tmp_path), tmp_path / "kept"
    before = read_own(src, kept)

    for file in src.rglob("*"):
        os.utime(file, follow_symlinks=False)

    assert read_own(src, kept) == before


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    # What /proc/self/mem has at its start can't be read, by root neither.
    assert Path("/proc/self/mem").is_file()

    with pytest.raises(InfraError, match=r"/proc/self/mem can't be read"):
        contents_of(Path("/proc/self"), ["mem"], tmp_path / "kept")
