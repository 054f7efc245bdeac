# SPDX-License-Identifier: GPL-2.0-or-later
"""Control is repeated until its minutes are full."""

from benchmarks.reach import repeats


def test_control_is_repeated_until_its_minutes_are_full() -> None:
    assert repeats(3000.0, seconds=60, cells=18) == 3
    assert repeats(1.0, seconds=60, cells=18) == 1
