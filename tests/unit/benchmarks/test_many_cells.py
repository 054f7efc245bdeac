# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of cells without guests."""

import json
from pathlib import Path

import pytest

from benchmarks import many_cells
from orchestrator.report.stored import with_sum


def test_as_many_cells_are_recorded_as_the_matrix_has(capsys: pytest.CaptureFixture[str]) -> None:
    many_cells.main(40)

    figures = json.loads(capsys.readouterr().out)
    assert figures["cells"] >= 40


@pytest.mark.parametrize(("outcomes", "expected"), [(["passed", "lost"], 2), (["passed"], 2)])
def test_cells_that_are_lost_or_missing_are_no_measurement(outcomes: list[str], expected: int, tmp_path: Path) -> None:
    """The fake kernels had gone out of date: all cells were lost, and what that took was stored as a measurement."""
    lines = (with_sum(json.dumps({"verdict": {"outcome": outcome}})) for outcome in outcomes)
    (tmp_path / "cells.jsonl").write_text("".join(f"{line}\n" for line in lines))

    with pytest.raises(SystemExit, match="none lost"):
        many_cells.check_recorded(tmp_path, expected)
