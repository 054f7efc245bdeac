# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of the benchmarks: its lines and its columns."""

from benchmarks import measure, runs


def test_a_line_without_a_peer_has_the_ratio_to_what_is_to_be_reached() -> None:
    words = measure.line(runs.Figure(what="start", measured=1.5, reach=2.0)).split()

    assert words == ["start", "1.50", "s", "2.00", "s", "0.75"]


def test_a_line_with_a_peer_has_the_ratio_to_the_peer() -> None:
    words = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=0.2)).split()

    assert words == ["start", "1.50", "s", "10.00", "s", "0.20", "0.15"]


def test_the_columns_stay_below_their_heads() -> None:
    head = measure.HEADER
    plain = measure.line(runs.Figure(what="start", measured=1.5, reach=2.0))
    beside = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=0.2))
    shown = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=None))

    assert {len(line) for line in (head, plain, beside, shown)} == {len(head)}
