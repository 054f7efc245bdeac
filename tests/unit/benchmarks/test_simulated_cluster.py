# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of `make simulation`, and a small run of it."""

import pytest

from benchmarks.simulated_cluster import COLUMNS, chosen_cells, further_row, row, simulate


def test_a_row_has_the_cost_of_each_cell_and_whether_that_is_within_the_target() -> None:
    small = {"cells": 1000, "plan": 0.01, "schedule": 0.05, "report": 0.03, "peak_mib": 100.0}
    large = {"cells": 2000, "plan": 0.03, "schedule": 0.25, "report": 0.13, "peak_mib": 101.0}

    assert row(small) == ("1,000", "10 µs", "50 µs", "30 µs", "90 µs", "100 MiB", "yes")
    assert row(large)[-1] == "no"
    further = further_row(small, large)
    assert further[:6] == ("each further one", "20 µs", "200 µs", "100 µs", "320 µs", "1.0 KiB")
    assert further[6] == "memory: 1,000,000 would take 1,099 MiB"
    assert len(further) == len(row(small)) == len(COLUMNS)


def test_as_many_cells_are_simulated_as_the_matrix_has() -> None:
    found = simulate(40, workers=3)

    assert found["cells"] >= 40
    assert min(found["plan"], found["schedule"], found["report"]) > 0


@pytest.mark.parametrize("asked", [40, 360_000, 1_000_000])
def test_a_matrix_has_as_many_cells_as_are_asked_for(asked: int) -> None:
    arguments, cells = chosen_cells(asked)

    repeat = int(arguments[-1])
    flavours = sum(one.startswith("--flavour=") for one in arguments)
    assert asked <= cells < asked + 36 * flavours
    assert 1 <= repeat <= 10_000
