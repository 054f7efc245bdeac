# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of cells without guests."""

import json

import pytest

from benchmarks import many_cells


def test_as_many_cells_are_recorded_as_the_matrix_has(capsys: pytest.CaptureFixture[str]) -> None:
    many_cells.main(40)

    figures = json.loads(capsys.readouterr().out)
    assert figures["cells"] >= 40
