# SPDX-License-Identifier: GPL-2.0-or-later
"""Control is repeated until its minutes are full."""

from benchmarks.reach import repeats, stored
from benchmarks.reach_measured import Measured
from tests.unit.benchmarks.reach_samples import EXPECTED, everything


def test_control_is_repeated_until_its_minutes_are_full() -> None:
    assert repeats(3000.0, seconds=60, cells=18) == 3
    assert repeats(1.0, seconds=60, cells=18) == 1


def test_the_tables_of_reach_can_be_stored() -> None:
    tables = dict(stored(everything(), EXPECTED, "make targets"))

    assert list(tables) == ["coverage", "control", "seeded-bugs", "class-c"]
    assert all(len(row) == len(table.columns) for table in tables.values() for row in table.rows)
    assert tables["coverage"].rows[0] == (
        "changed lines that ran, of those with code",
        "28 of 28",
        "28 of 28",
        "all",
        "yes",
    )
    found = dict(zip(tables["seeded-bugs"].columns, tables["seeded-bugs"].rows[-1], strict=True))
    assert found["class"] == "all"
    assert found["x86_64, widened"].startswith(f"{len(EXPECTED.classes)} of {len(EXPECTED.classes)}; ")


def test_what_was_not_measured_is_not_stored() -> None:
    assert dict(stored(Measured(), EXPECTED, "make targets")) == {}
