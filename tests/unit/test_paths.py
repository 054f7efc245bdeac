"""Scratch folders: whose they are, and which were left behind."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orchestrator.paths import abandoned_scratch, scratch_folder


def test_a_scratch_folder_of_a_living_process_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder() as scratch:
        assert Path(scratch).parent == tmp_path
        assert abandoned_scratch() == []
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_of_a_killed_process_is_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, signal; from orchestrator.paths import scratch_folder\n"
    code += "with scratch_folder(): os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    subprocess.run([sys.executable, "-c", code], check=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (folder,) = abandoned_scratch()
    assert folder.is_dir()


def test_what_only_looks_like_a_scratch_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "patchrig-mine").mkdir()
    (tmp_path / "patchrig-notes-2026").mkdir()
    assert abandoned_scratch() == []
