# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hostile build leaves goes, too, and nothing that is not in the folder."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.host.paths import PROJECT
from orchestrator.host.removal import left_trash, move_aside, remove_tree

DEEP = 2000


def nested(root: Path, depth: int) -> None:
    """Folders in folders, whose path is longer than the kernel takes, without building the path."""
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for number in range(depth):
        os.mkdir("d" * 50, dir_fd=here)
        inner = os.open("d" * 50, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
        if number % 100 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_thousands_of_nested_folders_go_with_few_open_files(tmp_path: Path) -> None:
    nested(tmp_path / "deep", DEEP)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        assert remove_tree(tmp_path / "deep") == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert not (tmp_path / "deep").exists()


def test_links_go_and_what_they_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "precious")
    (folder / "inner" / "link").symlink_to(tmp_path / "precious" / "file")
    (folder / "nowhere").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")

    assert remove_tree(folder) == []
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    assert remove_tree(tmp_path / "link") == []

    assert not folder.exists()
    assert (tmp_path / "precious" / "file").read_text() == "x"


def test_names_of_any_bytes_go(tmp_path: Path) -> None:
    for name in (b"\xff\xfe", b"new\nline", b"-rf", b"\x1b[31m"):
        (tmp_path / "folder" / os.fsdecode(name) / "x").mkdir(parents=True)
        (tmp_path / "folder" / os.fsdecode(name + b"f")).write_text("")

    assert remove_tree(tmp_path / "folder") == []
    assert not (tmp_path / "folder").exists()


AS_NOBODY = """
import os, sys
from pathlib import Path
from orchestrator.host.removal import remove_tree
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(len(remove_tree(Path("folder"))))
"""


def test_a_user_can_remove_folders_that_have_no_permissions_left(tmp_path: Path) -> None:
    # By a process of a user who is not root, for whom permissions mean something.
    folder = tmp_path / "folder"
    (folder / "a" / "b" / "c").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("x")
    paths = [folder / "a" / "b" / "c", folder / "a" / "b", folder / "a", folder]
    for path in (tmp_path, *paths, folder / "a" / "b" / "file"):
        if os.getuid() == 0:
            os.chown(path, 65534, 65534)
    for path, mode in zip(paths, (0o000, 0o500, 0o000, 0o500), strict=True):
        path.chmod(mode)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}

    argv = [sys.executable, "-c", AS_NOBODY]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert not folder.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_what_belongs_to_another_user_goes_when_root_removes_it(tmp_path: Path) -> None:
    (tmp_path / "folder" / "theirs").mkdir(parents=True, mode=0o700)
    (tmp_path / "folder" / "theirs" / "file").write_text("x")
    for path in (tmp_path / "folder" / "theirs", tmp_path / "folder" / "theirs" / "file"):
        os.chown(path, 65534, 65534)
    (tmp_path / "folder" / "theirs").chmod(0o000)

    assert remove_tree(tmp_path / "folder") == []
    assert not (tmp_path / "folder").exists()


def test_what_can_not_be_removed_is_told_and_the_rest_goes(tmp_path: Path) -> None:
    assert remove_tree(tmp_path / "nothing") == []
    assert remove_tree(Path("/proc/self/ns"))


def test_a_folder_is_taken_away_in_one_step_and_found_afterwards(tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "x").write_text("")
    (tmp_path / ".trash-link").symlink_to("/")

    aside = move_aside(tmp_path / "trees", tmp_path)

    assert not (tmp_path / "trees").exists()
    assert list(left_trash(tmp_path)) == [aside]
    assert (aside / "trees" / "x").exists()


def test_the_order_of_deep_and_wide_folders_does_not_matter(tmp_path: Path) -> None:
    for first in range(20):
        for second in range(10):
            (tmp_path / "wide" / str(first) / str(second) / "x").mkdir(parents=True)
            (tmp_path / "wide" / str(first) / str(second) / "x" / "file").write_text("")

    assert remove_tree(tmp_path / "wide") == []
    assert list(tmp_path.iterdir()) == []
