# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest says of the two places of a claimed race."""

from orchestrator.guest.place_counts import meetings_in
from orchestrator.model.claims import Meetings, PlaceCounts

LINE = "[    9.100000][  T55] patchrig: sites A 120 7 3 9 B 88 6 0 0\n"


def test_the_last_line_counts() -> None:
    found = meetings_in(["[    1.0] patchrig: sites A 1 1 1 1 B 1 0 0 0\n", "noise", LINE, "[   10.0] more"])

    a, b = PlaceCounts(hits=120, holds=7, met=3, passes=9), PlaceCounts(hits=88, holds=6)
    assert found == Meetings(a=a, b=b)
    assert found.met == 3
    assert found.plus(found).a == PlaceCounts(hits=240, holds=14, met=6, passes=18)


def test_what_is_no_such_line_says_nothing() -> None:
    lines = ["patchrig: sites A 1 1 1 B 1 0 0 0", f"x {LINE}", "patchrig: sites A -1 1 1 1 B 1 0 0 0", ""]

    assert meetings_in(lines) is None
