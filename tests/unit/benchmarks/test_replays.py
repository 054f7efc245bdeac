# SPDX-License-Identifier: GPL-2.0-or-later
"""Replays counted: the last time of a console, and a row of the table."""

from benchmarks.replays import Replays, last_stamp


def test_the_last_line_with_a_time_counts() -> None:
    assert last_stamp("[    0.000000][    T0] Linux\n[   12.345678][   T55] sysrq: Resetting\nno time\n") == 12.345678
    assert last_stamp("") == 0.0


def test_a_row_says_how_many_were_identical() -> None:
    one = Replays(
        arch="arm64",
        flavour="plain",
        outcome="passed",
        guest_seconds=7.25,
        same=(True, False, True),
        wall_seconds=(9.0, 11.0, 30.0),
    )

    assert one.columns() == ("arm64", "plain", "passed", "7.2", "2 of 3", "11.0")
