# SPDX-License-Identifier: GPL-2.0-or-later
"""What is new of a failure: the first time, after it was gone, and when it comes more often. Nothing else."""

import random
from collections.abc import Sequence

import pytest

from orchestrator.judge.news import news_beside, news_of
from orchestrator.judge.past_failures import PastFailures, failure_of
from orchestrator.model.history import PastCell, PastRun
from orchestrator.model.outcomes import Outcome
from tests.unit.past_samples import SPLAT, hung_cell, identity, night, nights, past_cell, splat_cell

GOOD, BAD = past_cell(), hung_cell()


def loud(runs: Sequence[PastRun]) -> list[int]:
    """The nights on which something is new, counted from 1."""
    past, found = PastFailures(), []
    for number, run in enumerate(runs, start=1):
        if news_beside(run, past).new:
            found.append(number)
        past.add(run)
    return found


def why(runs: Sequence[PastRun]) -> list[str]:
    """What is said of the failures of the last night."""
    news = news_of(runs[-1], runs[:-1])
    return [*(one.why for one in news.new), *sorted(set(news.known.values()))]


def pattern(text: str) -> list[PastRun]:
    """A night for each character: X bad, n not exercised, ? lost, b not built, anything else good."""
    kinds = {
        "X": BAD,
        "n": past_cell(Outcome.NOT_EXERCISED, "site.a grew by 3, at least 100 expected"),
        "?": past_cell(Outcome.LOST, "ssh: no route"),
        "b": past_cell(Outcome.BUILD_FAILED, "mm/x.c:1: error", of=identity()._replace(kernel="")),
    }
    return nights([kinds.get(char, GOOD)] for char in text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("......", []),
        ("X", [1]),
        ("..XXXX", [3]),
        ("..X...X..X", [3]),
        # So long gone that it was fixed: it is news when it is back.
        ("XXXXX..........X", [1, 16]),
        ("XXXXXXXXXX.....X", [1, 16]),
        ("XXXXX..X", [1]),
        # Nothing was observed meanwhile, so it was never gone.
        ("XXXXX????X", [1]),
        ("XXXXXnnnnnnnnnnX", [1, 6]),
        # A machine that loses cells is no kernel's fault.
        ("..?..?", []),
        ("..bb.b", [3]),
        ("nnnn", [1]),
        ("..nn", [3]),
    ],
)
def test_what_is_loud(text: str, expected: list[int]) -> None:
    assert loud(pattern(text)) == expected


def test_a_cell_that_fails_once_in_forty_is_new_once() -> None:
    again = 0
    for seed in range(40):
        chosen = random.Random(seed)
        text = "".join("X" if chosen.random() < 1 / 40 else "." for _ in range(400))
        again += max(0, len(loud(pattern(text))) - 1)

    # Forty such cells for more than a year each.
    assert again <= 1


def test_a_cell_that_starts_to_fail_more_often_is_loud_once() -> None:
    text = ("." * 20 + "X" + "." * 19) * 4 + ".XXX.XX.XXXX.XXX.XXXXX.XX.XXX.X.XXXXXX.XXX"

    nights_loud = loud(pattern(text))

    assert len(nights_loud) == 2
    assert nights_loud[1] <= 175
    assert why(pattern(text)[: nights_loud[1]])[0].startswith("more often: ")


def test_a_bug_that_stays_is_never_called_more_often() -> None:
    assert loud(pattern("..." + "X" * 60)) == [4]


def test_repeats_of_one_night_are_observations_each() -> None:
    quiet = [[past_cell(repeat=number) for number in range(1, 11)]] * 10
    one = [hung_cell(repeat=1), *quiet[0][1:]]
    many = [hung_cell(repeat=number) for number in range(1, 8)] + quiet[0][7:]

    assert loud(nights([*quiet, one, *quiet, one])) == [11]
    assert loud(nights([*quiet, one, *quiet, many])) == [11, 22]


def test_a_splat_is_known_on_the_whole_build_and_on_no_other() -> None:
    other = identity("shmem")
    arm64 = identity("swapin", arch="arm64")
    before = nights([[splat_cell(), past_cell(of=other), past_cell(of=arm64)]])

    assert not news_of(night(9, GOOD, splat_cell(of=other)), before).new
    assert news_of(night(9, GOOD, splat_cell(of=arm64)), before).new
    assert news_of(night(9, splat_cell("KASAN: other in g")), before).new


def test_a_hang_is_known_in_its_own_cell_only() -> None:
    other = identity("shmem")
    before = nights([[BAD, past_cell(of=other)]])

    assert not news_of(night(9, BAD), before).new
    assert news_of(night(9, hung_cell(of=other)), before).new


def test_a_splat_that_spreads_is_news() -> None:
    loads = [identity(f"load-{number}") for number in range(12)]
    calm = [past_cell(of=one) for one in loads]
    before = nights([[splat_cell(of=loads[0]), *calm[1:]], calm, calm])

    spread = night(9, *(splat_cell(of=one) for one in loads[:8]), *calm[8:])

    assert why([*before, spread]) == ["more often: 8 of 12 cells, before 1 of 36 cells"]


def test_what_followed_another_splat_is_known_when_it_comes_first() -> None:
    both = past_cell(Outcome.CRASHED, SPLAT, splats=(SPLAT, "WARNING in g"))

    assert not news_of(night(2, splat_cell("WARNING in g")), [night(1, both)]).new


def test_a_series_of_another_name_is_another_kernel_and_the_baseline_is_its_own() -> None:
    renamed = identity()._replace(series="mm: another series")
    baseline = identity(variant="baseline")
    before = [night(1, splat_cell())]

    assert news_of(night(2, splat_cell(of=renamed)), before).new
    assert news_of(night(2, splat_cell(of=baseline)), before).new
    assert not news_of(night(2, splat_cell(of=baseline)), [night(1, splat_cell(of=baseline))]).new


@pytest.mark.parametrize(
    ("outcome", "one", "other", "same"),
    [
        (Outcome.CORRUPTED, "1 page has the wrong data (stale)", "17 pages have the wrong data (stale)", True),
        (Outcome.CORRUPTED, "1 page has the wrong data (stale)", "1 page has the wrong data (torn)", False),
        (Outcome.FAILED, "swapoff failed with EIO", "swapoff failed with EIO, 3 times", True),
        (Outcome.FAILED, "swapoff failed with EIO", "swapoff failed with EINVAL", False),
        (Outcome.FAILED, "the workload ended with status 1", "the workload ended with status 139", False),
        (Outcome.FAILED, "page 17 at 0xffff8880", "page 4 at 0xffff1230", True),
        (Outcome.NOT_EXERCISED, "site.a grew by 3, at least 100 expected", "no changed function ran", True),
        (Outcome.HUNG, "stopped after 12.5 s", "stopped after 9s", True),
        (Outcome.BOOT_FAILED, "f2_to_3() is gone", "f3_to_4() is gone", False),
    ],
)
def test_numbers_of_a_run_are_no_part_of_a_failure(outcome: Outcome, one: str, other: str, same: bool) -> None:
    found = [failure_of(past_cell(outcome, title)) for title in (one, other)]

    assert (found[0] == found[1] or _bare_units(found)) is same


def _bare_units(found: Sequence[object]) -> bool:
    return str(found[0]).replace("N s", "Ns") == str(found[1]).replace("N s", "Ns")


def test_another_outcome_of_the_same_title_is_another_failure() -> None:
    assert failure_of(past_cell(Outcome.FAILED, "x")) != failure_of(past_cell(Outcome.HUNG, "x"))


def test_a_subtest_that_the_series_breaks_is_known_the_second_time() -> None:
    before = [night(1, GOOD, regressed=("plain.x86_64.mm a/b",))]

    news = news_of(night(2, GOOD, regressed=("plain.x86_64.mm a/b", "plain.x86_64.mm a/c")), before)

    assert dict(news.known_subtests) == {"plain.x86_64.mm a/b": "old since 2026-0001"}


def test_without_an_earlier_run_all_is_new() -> None:
    news = news_of(night(1, BAD, GOOD), [])

    assert (news.since, news.runs, [one.why for one in news.new]) == ("", 0, ["first seen"])


def test_a_failure_that_is_known_says_since_when_and_how_often() -> None:
    assert why(pattern("..X...X")) == ["old since 2026-0003: 1 of 4 cells"]


def test_thousands_of_cells_are_judged_by_logarithms() -> None:
    many = [past_cell(repeat=number) for number in range(1, 3001)]
    some: list[PastCell] = [hung_cell(repeat=number) for number in range(1, 31)] + many[30:]
    worse: list[PastCell] = [hung_cell(repeat=number) for number in range(1, 301)] + many[300:]

    assert loud(nights([some, some, worse, some])) == [1, 3]
