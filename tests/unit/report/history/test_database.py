# SPDX-License-Identifier: GPL-2.0-or-later
"""The database is a cache of the run folders: whatever happens to it, the folders decide."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.model.history import PastRun
from orchestrator.model.outcomes import Outcome
from orchestrator.report.history.database import DATABASE_FILE, past_runs
from orchestrator.report.history.past_runs import as_read, read_past_run
from tests.unit.report.history.test_past_runs import reports, stored
from tests.unit.samples import cell, cell_report


def results(root: Path, runs: int = 3) -> Path:
    for number in range(1, runs + 1):
        stored(root, str(number), *reports())
    return root


def by_folders(root: Path) -> list[PastRun]:
    found = [read_past_run(folder) for folder in sorted(root.glob("[0-9]*"), reverse=True)]
    return [run for run in found if run is not None]


def count(root: Path, table: str) -> int:
    database = sqlite3.connect(root / DATABASE_FILE)
    (number,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    database.close()
    return int(number)


def test_the_runs_come_newest_first_and_the_same_from_folders_and_database(tmp_path: Path) -> None:
    root = results(tmp_path)

    first, second = list(past_runs(root)), list(past_runs(root))

    assert first == second == by_folders(root)
    assert [run.id for run in first] == ["3", "2", "1"]
    assert (count(root, "run"), count(root, "observation")) == (3, 15)


def test_a_run_that_is_in_memory_is_kept_without_a_look_into_its_folder(tmp_path: Path) -> None:
    report = stored(tmp_path, "1", *reports())
    ended = as_read(report)
    assert ended is not None
    content = (tmp_path / "1" / "cells.jsonl").read_bytes()
    (tmp_path / "1" / "cells.jsonl").write_bytes(b"\n" * len(content))

    assert list(past_runs(tmp_path, ended=ended)) == [ended]
    assert list(past_runs(tmp_path)) == [ended]
    assert count(tmp_path, "observation") == 5


def test_a_run_is_not_read_again_unless_its_files_changed(tmp_path: Path) -> None:
    root = results(tmp_path)
    list(past_runs(root))
    file = root / "2" / "cells.jsonl"
    known = file.stat()
    content = file.read_bytes()
    # The same size and time: nobody looks, which is why each verdict is taken from the folder of its own run.
    file.write_bytes(content.replace(b"passed", b"failed"))
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert [len(run.cells) for run in past_runs(root)] == [5, 5, 5]

    os.utime(file)

    assert [len(run.cells) for run in past_runs(root)] == [5, 3, 5]


def test_a_run_that_is_gone_is_forgotten_and_a_link_is_none(tmp_path: Path) -> None:
    root = results(tmp_path)
    (root / "latest").symlink_to("3")
    list(past_runs(root))
    shutil.rmtree(root / "2")

    assert [run.id for run in past_runs(root)] == ["3", "1"]
    assert count(root, "run") == 2


def test_only_runs_of_a_matrix_or_before_one(tmp_path: Path) -> None:
    root = results(tmp_path)

    assert [run.id for run in past_runs(root, before="3")] == ["2", "1"]
    assert list(past_runs(root, matrix=tmp_path / "other.yaml")) == []
    assert len(list(past_runs(root, matrix=Path("m.yaml").resolve()))) == 3


def zeros(file: Path) -> None:
    file.write_bytes(bytes(4096))


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def text(file: Path) -> None:
    file.write_text("no database")


def older(file: Path) -> None:
    file.unlink()
    database = sqlite3.connect(file)
    database.executescript("CREATE TABLE run (id TEXT); INSERT INTO run VALUES ('x'); PRAGMA user_version = 999")
    database.close()


def without_a_table(file: Path) -> None:
    database = sqlite3.connect(file)
    database.executescript("DROP TABLE observation")
    database.close()


def forged(file: Path) -> None:
    database = sqlite3.connect(file)
    database.executescript("UPDATE observation SET outcome = 'passed'; UPDATE run SET command = 'x'")
    database.close()


def nonsense(file: Path) -> None:
    database = sqlite3.connect(file)
    database.executescript("UPDATE observation SET outcome = 'fine', splats = '{', seconds = 'x', title = x'ff'")
    database.close()


@pytest.mark.parametrize(
    "damage", [zeros, half, text, older, without_a_table, forged, nonsense], ids=lambda one: one.__name__
)
def test_a_damaged_or_old_database_is_made_anew(damage: Callable[[Path], None], tmp_path: Path) -> None:
    root = results(tmp_path)
    list(past_runs(root))
    damage(root / DATABASE_FILE)

    assert list(past_runs(root)) == by_folders(root)
    assert (count(root, "run"), count(root, "observation")) == (3, 15)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = results(tmp_path_factory.mktemp("kept"))
    list(past_runs(root))
    return root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(place=st.integers(0, 1 << 24), bit=st.integers(0, 7))
def test_no_flipped_bit_of_the_database_changes_what_is_told(kept: Path, place: int, bit: int) -> None:
    file = kept / DATABASE_FILE
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 1 << bit
    file.write_bytes(content)

    assert list(past_runs(kept)) == by_folders(kept)


def test_a_damaged_name_that_is_no_utf8_costs_the_database_alone(kept: Path) -> None:
    file = kept / DATABASE_FILE
    content = file.read_bytes()
    for name in (b"TABLE", b"run", b"cell", b"stamp"):
        file.write_bytes(content.replace(name, b"\xf9" + name[1:]))
        assert list(past_runs(kept)) == by_folders(kept)


@pytest.mark.parametrize("obstacle", ["a folder", "a link"])
def test_where_no_database_can_be_the_folders_are_read(obstacle: str, tmp_path: Path) -> None:
    root = results(tmp_path / "results")
    file = root / DATABASE_FILE
    elsewhere = tmp_path / "elsewhere"
    file.mkdir() if obstacle == "a folder" else file.symlink_to(elsewhere)

    assert list(past_runs(root)) == by_folders(root)
    assert not elsewhere.exists()


def test_the_database_is_nobody_elses_to_read(tmp_path: Path) -> None:
    root = results(tmp_path)
    list(past_runs(root))

    assert (root / DATABASE_FILE).stat().st_mode & 0o777 == 0o600


def test_a_reader_that_stops_early_keeps_what_was_read(tmp_path: Path) -> None:
    root = results(tmp_path)

    for run in past_runs(root):
        assert run.id == "3"
        break

    assert len(list(past_runs(root))) == 3


def test_a_run_that_goes_on_is_read_again(tmp_path: Path) -> None:
    root = results(tmp_path, runs=1)
    list(past_runs(root))
    stored(root, "1", cell_report(Outcome.HUNG, "x", of=cell(workload="late")))

    assert len(next(past_runs(root)).cells) == 6
