# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig clean`: a cache that is right or empty, whatever happens meanwhile; and caches that can't be written."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.lock import in_use, locked
from orchestrator.host.paths import cache_root, why_unusable
from orchestrator.host.removal import remove_tree
from orchestrator.run.cache_cleaning import size_of, trash_of
from tests.unit.host.test_removal import nested
from tests.unit.kernel.compile.image_samples import KEY, found
from tests.unit.run.filled_cache import clean, filled


def test_clean_all_leaves_nothing_of_ours(tmp_path: Path) -> None:
    cache = filled(tmp_path)

    done = clean(cache, "--all")

    assert done.return_value == 0
    assert not cache.exists()


def test_clean_all_beside_a_build_removes_nothing_and_says_why(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    until = Deadline.after(60, "a lock of this test")
    before = sorted(cache.rglob("*"))

    with locked(cache / "trees/6.19.lock", until):
        beside_build = clean(cache, "--all")
    with in_use(cache, until):
        beside_run = clean(cache, "--all")

    for done in (beside_build, beside_run):
        assert isinstance(done.exception, InfraError)
        assert "nothing was removed" in str(done.exception)
        assert done.exception.hint
    assert [path for path in sorted(cache.rglob("*")) if path.name != ".in-use.lock"] == before


def test_what_a_hostile_build_left_goes(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    nested(cache / "trees/6.19/build", 1600)
    (cache / "trees/6.19/build" / os.fsdecode(b"\xff")).mkdir()
    (cache / "trees/6.19/build" / os.fsdecode(b"\xff")).chmod(0)

    clean(cache, "--all")
    left = cache.exists()
    remove_tree(cache)  # pytest can't

    assert not left


def test_a_size_is_told_of_folders_without_end(tmp_path: Path) -> None:
    nested(tmp_path / "deep", 1600)
    (tmp_path / "deep" / "one").write_bytes(bytes(1000))

    size = size_of(tmp_path / "deep")
    remove_tree(tmp_path / "deep")  # pytest can't

    assert size == 1000
    assert size_of(tmp_path / "nothing") == 0


def test_what_a_killed_clean_left_goes_with_the_next_one(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    for folder in (cache, cache / "images"):
        (folder / ".trash-1234" / "trees").mkdir(parents=True)

    done = clean(cache)

    assert ".trash-1234" in done.output
    assert trash_of(cache) == []
    assert found(tmp_path) is not None


def test_a_folder_that_is_a_link_is_emptied_and_the_users_own_things_stay(tmp_path: Path) -> None:
    cache, big = filled(tmp_path), tmp_path / "big"
    (cache / "ccache").rename(big)
    (cache / "ccache").symlink_to(big)
    (cache / "notes").write_text("mine")

    assert clean(cache, "--all").return_value == 0

    assert list(big.iterdir()) == []
    assert (cache / "notes").read_text() == "mine"


def test_a_relative_cache_counts_from_where_we_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHRIG_CACHE", "here")

    assert cache_root() == tmp_path / "here"


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHRIG_CACHE", "")

    assert cache_root().is_absolute()
    assert cache_root() != Path.cwd()


def test_a_cache_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert why_unusable(tmp_path / "file") == f"{tmp_path / 'file'} is no folder"
    assert why_unusable(tmp_path / "file" / "cache") == f"{tmp_path / 'file'} is no folder"
    assert why_unusable(tmp_path / "new" / "cache") == ""


def verified(cache: Path) -> list[list[str]]:
    runner = CliRunner(env={"PATCHRIG_CACHE": str(cache)})
    done = runner.invoke(cli, ["doctor", "--verify", "--json"], standalone_mode=False)
    return list(json.loads(done.output)["damaged"])


def test_doctor_reads_all_of_the_cache_and_names_what_is_damaged(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    assert verified(cache) == []

    (cache / "images" / KEY / "vmlinux").write_bytes(b"")
    (cache / "trees/6.19/src/mm/swap.c").write_text("int swaq;\n")
    (cache / "accelerators.sealed").write_bytes(b"")

    assert verified(cache) == [
        [str(cache / "images" / KEY), "vmlinux has changed"],
        [str(cache / "accelerators.sealed"), "its checksum does not fit"],
        [str(cache / "trees/6.19/src"), "mm/swap.c changed"],
    ]
