# SPDX-License-Identifier: GPL-2.0-or-later
"""A hunt as text and as JSON, and its folder read back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.judge.hunted import summary_of, with_cell
from orchestrator.model.configuration import Matrix
from orchestrator.model.hunts import Hunt, HuntTask
from orchestrator.model.outcomes import Outcome
from orchestrator.report.hunt_files import ROUNDS, load_hunt, round_name, save_hunt, uncounted_rounds
from orchestrator.report.hunt_text import hunt_json, hunt_text
from orchestrator.report.stored import sealed_object, with_sum
from tests.unit.samples import cell, cell_report, crash, guest_run

CELL = cell()
TITLE = "KASAN: use-after-free Read in f"


def hunt(folder: Path = Path("hunt-2026-11-29T010203Z-ab12")) -> Hunt:
    task = HuntTask(
        matrix_path="--kernel 7.1",
        matrix=Matrix(kernel="7.1", workloads=("mincore",), seed=41),
        workloads=(CELL.workload,),
        order="in the order in which they are given",
        files=("mm/swapfile.c", "mm/zswap.c"),
        source="60f1" * 16,
        left_out=("64k on x86_64 (64k: arm64 only)",),
    )
    return Hunt(
        id=folder.name,
        folder=folder,
        argv=("patchrig", "hunt", "--kernel", "7.1"),
        started="2026-11-29T01:02:03+00:00",
        versions={"patchrig": "0.1.0", "qemu x86_64": "7.2.22"},
        task=task,
        hours=8.0,
        seconds=7200.0,
        ended="its 2 hours are over",
    )


def with_cells(*titles: str) -> Hunt:
    """A hunt with a cell for each title; "" is one that passed."""
    known = hunt().hunted
    for number, title in enumerate(titles, start=1):
        outcome = Outcome.CRASHED if title else Outcome.PASSED
        of = replace(CELL, repeat=number, seed=number)
        splats = (crash(title=title), crash(title="BUG: Bad page state", follow_up=True)) if title else ()
        report = cell_report(outcome, title or "1 operation", of=of, run=guest_run(), crashes=splats)
        known = with_cell(known, report, round_name(number))
    return replace(hunt(), hunted=known)


def told(one: Hunt, results: str = "") -> str:
    return hunt_text(one, summary_of(one.hunted, (CELL,), one.task.files), results)


def test_a_finding_has_its_rate_its_first_seed_and_a_command_on_one_line() -> None:
    text = told(with_cells("", TITLE, TITLE, ""), "/tmp/r")

    assert f"NEW: CRASHED: {TITLE}\n  2 of 4 cells (6.8 to 93.2 %)\n" in text
    assert "first: patched.plain.x86_64.mincore, number 2, seed 2, after 0.01 guest hours" in " ".join(text.split())
    command = "patchrig repro hunt-2026-11-29T010203Z-ab12/rounds/0002 patched.plain.x86_64.mincore --results /tmp/r"
    assert f"\n  {command}\n" in text
    assert "\n  BUG: Bad page state (2 cells)\n" in text
    assert "\n  patchrig hunt --resume hunt-2026-11-29T010203Z-ab12 --results /tmp/r\n" in text
    assert "left out: 64k on x86_64" in text


def test_where_the_time_is_up_the_command_to_go_on_asks_for_more() -> None:
    over = replace(hunt(), seconds=8 * 3600.0)

    assert told(over).endswith("\n  patchrig hunt --resume hunt-2026-11-29T010203Z-ab12 --hours 8\n")


def test_silence_is_guest_hours_seeds_and_what_it_bounds() -> None:
    text = " ".join(told(with_cells("", "", "")).split())

    assert "3 of 3 cells passed, each with a seed of its own, in 0.02 of 0.02 guest hours" in text
    assert "with 95 % confidence, a bug that was missed shows in less than 63 % of a workload's cells" in text


def test_silence_of_nothing_bounds_nothing() -> None:
    assert "this gives no bound" in told(hunt())


def test_the_text_has_nothing_that_moves_a_cursor() -> None:
    assert "\x1b" not in told(with_cells("WARNING in \x1b[2Jf"))


def test_scripts_get_all_of_it() -> None:
    one = with_cells("", TITLE)

    said = json.loads(json.dumps(hunt_json(one, summary_of(one.hunted, (CELL,), one.task.files))))

    (finding,) = said["findings"]
    assert finding["rate"] == {"seen": 1, "cells": 2, "low": 0.0126, "high": 0.9874}
    assert finding["first"]["folder"] == "rounds/0002/cells/patched.plain.x86_64.mincore"
    assert (said["seed"], said["ended"]) == (41, "its 2 hours are over")
    assert said["builds"][0]["seeds"] == 2


def test_a_hunt_is_read_back_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "hunt-2026-11-29T010203Z-ab12"
    folder.mkdir()
    one = replace(with_cells("", TITLE), folder=folder)
    save_hunt(one)

    for name in (one.id, "hunt-2026", "2026-11", "latest", str(folder)):
        assert load_hunt(tmp_path, name) == one
    with pytest.raises(UserError, match="no hunt '2027'"):
        load_hunt(tmp_path, "2027")


def test_latest_is_the_hunt_that_began_last(tmp_path: Path) -> None:
    for day in ("28", "29"):
        folder = tmp_path / f"hunt-2026-11-{day}T010203Z-ab12"
        folder.mkdir()
        save_hunt(hunt(folder))

    assert load_hunt(tmp_path, "latest").id == "hunt-2026-11-29T010203Z-ab12"
    with pytest.raises(UserError, match="2 hunts"):
        load_hunt(tmp_path, "hunt-2026")


@pytest.mark.parametrize("damage", ["{", ' "sha256": "', "7200"])
def test_a_damaged_hunt_is_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "hunt-x"
    folder.mkdir()
    save_hunt(hunt(folder))
    path = folder / "hunt.json"
    path.write_text(path.read_text().replace(damage, "7100", 1))

    with pytest.raises(UserError, match=r"hunt\.json can't be read"):
        load_hunt(tmp_path, "hunt-x")


def test_rounds_after_the_last_that_was_counted_are_found(tmp_path: Path) -> None:
    for number in (1, 2, 3, 11_000):
        (tmp_path / ROUNDS / round_name(number)).mkdir(parents=True)

    assert uncounted_rounds(replace(hunt(tmp_path), rounds=2)) == (3, 11_000)


def test_a_hunt_whose_rounds_were_called_passes_keeps_its_limit(tmp_path: Path) -> None:
    begun = replace(hunt(tmp_path / "hunt-1"), task=replace(hunt().task, most_rounds=4))
    begun.folder.mkdir()
    save_hunt(begun)
    path = begun.folder / "hunt.json"
    stored = sealed_object(path)
    stored["task"]["passes"] = stored["task"].pop("most_rounds")
    path.write_text(with_sum(json.dumps(stored, indent=1)))

    assert load_hunt(tmp_path, "hunt-1").task == begun.task
