# SPDX-License-Identifier: GPL-2.0-or-later
"""Scratch folders: whose they are, and which were left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.host.paths import abandoned_scratch, memory_folder, scratch_folder


def test_a_scratch_folder_of_a_living_process_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with scratch_folder() as scratch:
        assert Path(scratch).parent == tmp_path
        assert abandoned_scratch(in_memory=tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_of_a_killed_process_is_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, signal; from orchestrator.host.paths import scratch_folder\n"
    code += "with scratch_folder(): os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    subprocess.run([sys.executable, "-c", code], check=False)
    (folder,) = abandoned_scratch(in_memory=tmp_path)
    assert folder.is_dir()


def test_what_only_looks_like_a_scratch_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "patchrig-mine").mkdir()
    (tmp_path / "patchrig-notes-2026").mkdir()
    assert abandoned_scratch(in_memory=tmp_path) == []


def test_a_folder_in_memory_lies_there_and_is_found_when_it_was_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory, disk = tmp_path / "memory", tmp_path / "disk"
    in_memory.mkdir()
    disk.mkdir()
    monkeypatch.setenv("TMPDIR", str(disk))
    # No process has this id: it is above the largest that Linux gives.
    (in_memory / "patchrig-4194305-x").mkdir()

    with memory_folder(1, in_memory=in_memory) as folder:
        assert Path(folder).parent == in_memory
        assert abandoned_scratch(in_memory=in_memory) == [in_memory / "patchrig-4194305-x"]


@pytest.mark.parametrize("place", ["memory", "no-such-folder"])
def test_what_does_not_fit_in_memory_goes_to_the_disk(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with memory_folder(1 << 60, in_memory=tmp_path / place) as folder:
        assert Path(folder).parent == tmp_path


def test_where_the_named_folder_is_of_no_use_another_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "no-such-folder"))

    with scratch_folder() as scratch:
        assert Path(scratch).is_dir()
    assert list(tmp_path.iterdir()) == []
