# SPDX-License-Identifier: GPL-2.0-or-later
from dataclasses import replace
from pathlib import Path

from orchestrator.report.hunt_files import load_hunt
from orchestrator.run.hunt_ledger import HuntLedger
from tests.unit.report.test_hunt_text import hunt


def test_a_hunt_that_has_used_its_time_is_not_stored_as_one_that_has_some_left(tmp_path: Path) -> None:
    of = hunt(tmp_path / "hunt-2026-11-29T010203Z-ab12")
    of.folder.mkdir()

    HuntLedger(replace(of, hours=14.44 / 3600, seconds=14.44)).end("its 0.00401 hours are over")

    stored = load_hunt(tmp_path, of.id)
    assert stored.seconds >= stored.hours * 3600
