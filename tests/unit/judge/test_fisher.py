# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a difference is more than chance: against counting all possibilities, and as a rule over many subtests."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.fisher import LEVEL, Runs, chance, least_chance, more_than_chance


@st.composite
def samples(draw: st.DrawFn, most: int = 5) -> Runs:
    these, others = draw(st.integers(1, most)), draw(st.integers(1, most))
    return Runs(
        these_bad=draw(st.integers(0, these)), these=these, others_bad=draw(st.integers(0, others)), others=others
    )


def counted(runs: Runs) -> float:
    """The same by going through every way in which the bad runs could lie among all of them."""
    ways = list(combinations(range(runs.all), runs.bad))
    as_much = [way for way in ways if sum(place < runs.these for place in way) >= runs.these_bad]
    return len(as_much) / len(ways)


@given(samples())
def test_the_chance_is_what_counting_all_possibilities_gives(runs: Runs) -> None:
    assert chance(runs) == pytest.approx(counted(runs))


@given(samples(most=30))
def test_a_chance_is_a_probability_and_no_spread_has_less_than_the_least(runs: Runs) -> None:
    assert 0 < least_chance(runs) <= chance(runs) <= 1


@given(samples(most=30))
def test_the_two_directions_cover_everything(runs: Runs) -> None:
    assert chance(runs) + chance(runs.turned()) >= 1


def test_published_example() -> None:
    # Fisher's lady who says whether milk or tea came first: 3 of 4 right.
    assert chance(Runs(these_bad=3, these=4, others_bad=1, others=4)) == pytest.approx(17 / 70)


@given(st.dictionaries(st.integers(), samples(most=30)))
def test_what_both_directions_call_different_does_not_exist(found: dict[int, Runs]) -> None:
    turned = {key: runs.turned() for key, runs in found.items()}

    different, other_way = more_than_chance(found), more_than_chance(turned)
    assert not different & other_way


@given(st.integers(1, 12))
def test_as_often_bad_on_both_sides_is_never_more_than_chance(runs: int) -> None:
    alike = {bad: Runs(these_bad=bad, these=runs, others_bad=bad, others=runs) for bad in range(runs + 1)}

    assert not more_than_chance(alike)


def test_always_bad_against_never_is_told_from_three_runs_on() -> None:
    told = [n for n in range(1, 7) if more_than_chance({0: Runs(these_bad=n, these=n, others_bad=0, others=n)})]

    assert told == [3, 4, 5, 6]


def test_a_hundred_that_broke_at_once_are_all_told() -> None:
    broken = {number: Runs(these_bad=5, these=5, others_bad=0, others=5) for number in range(100)}

    assert more_than_chance(broken) == set(broken)


def test_one_that_broke_is_told_among_hundreds_that_are_always_alike_or_failed_once() -> None:
    found = {number: Runs(these_bad=0, these=5, others_bad=0, others=5) for number in range(300)}
    found |= {1000 + number: Runs(these_bad=1, these=5, others_bad=0, others=5) for number in range(300)}
    found[-1] = Runs(these_bad=5, these=5, others_bad=0, others=5)

    assert more_than_chance(found) == {-1}


def test_chance_alone_makes_few_of_many_flaky_subtests_look_worse() -> None:
    # Each possible outcome of 5 and 5 runs of a coin, as often as it comes in 1024: nothing but chance.
    weights = {bad: len(list(combinations(range(5), bad))) for bad in range(6)}
    tossed = {
        (mine, theirs, copy): Runs(these_bad=mine, these=5, others_bad=theirs, others=5)
        for mine, ways in weights.items()
        for theirs, others in weights.items()
        for copy in range(ways * others)
    }

    assert len(more_than_chance(tossed)) <= LEVEL * len(tossed)
