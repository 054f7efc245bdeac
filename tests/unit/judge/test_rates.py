# SPDX-License-Identifier: GPL-2.0-or-later
"""Intervals of rates: against published values, and against the definition."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.rates import interval, most_missed


@st.composite
def samples(draw: st.DrawFn) -> tuple[int, int]:
    cells = draw(st.integers(1, 60))
    return draw(st.integers(0, cells)), cells


def at_least(seen: int, cells: int, rate: float) -> float:
    return sum(comb(cells, k) * rate**k * (1 - rate) ** (cells - k) for k in range(seen, cells + 1))


def test_published_values() -> None:
    # Clopper-Pearson, 95 %: 1 of 10, 0 of 10 and 10 of 10.
    assert interval(1, 10) == pytest.approx((0.0025, 0.4450), abs=5e-5)
    assert interval(0, 10) == pytest.approx((0.0, 0.3085), abs=5e-5)
    assert interval(10, 10) == pytest.approx((0.6915, 1.0), abs=5e-5)


@given(samples())
def test_at_its_ends_what_was_seen_has_the_chance_of_a_tail(sample: tuple[int, int]) -> None:
    seen, cells = sample
    low, high = interval(seen, cells)

    assert 0 <= low <= seen / cells <= high <= 1
    if seen:
        assert at_least(seen, cells, low) == pytest.approx(0.025, rel=1e-6)
    if seen < cells:
        assert 1 - at_least(seen + 1, cells, high) == pytest.approx(0.025, rel=1e-6)


@given(st.integers(1, 5000))
def test_what_shows_at_the_missed_rate_is_unseen_in_one_of_twenty_hunts(cells: int) -> None:
    assert (1 - most_missed(cells)) ** cells == pytest.approx(0.05)


def test_without_a_cell_anything_may_be_missed() -> None:
    assert most_missed(0) == 1.0


def test_many_cells_are_no_trouble() -> None:
    low, high = interval(3, 20_000)

    assert 0 < low < 3 / 20_000 < high < 0.001
