# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch a failure comes with, by what cells of the beginnings of a series tell."""

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.bisected import Posterior, cells_to_confirm, seen_in, why_undecidable, with_other, with_report
from orchestrator.judge.hunted import what_of
from orchestrator.model.bisections import BisectTask, Seen, Tally
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from tests.unit.samples import cell_report, crash

SPLAT = crash()
NOT_BUILT = Tally(why_closed="build-failed: an error")


def crashed(title: str = SPLAT.title) -> CellReport:
    return cell_report(Outcome.CRASHED, title, crashes=(crash(title=title),))


def task_of(report: CellReport) -> BisectTask:
    return BisectTask(
        run="2026-11-29T010203Z-7f3a",
        cell=report.cell.name,
        outcome=report.verdict.outcome,
        title=report.verdict.title,
        what=what_of(report),
        patches=("one", "two", "three"),
        limit=0.95,
        budget=100,
    )


def posterior(patches: int, kernels: Mapping[int, Tally]) -> Posterior:
    return Posterior(patches=patches, kernels=kernels)


def chances(known: Posterior) -> dict[tuple[int, int], float]:
    return {(one.first, one.last): one.chance for one in known.suspects}


@pytest.mark.parametrize(
    ("report", "seen"),
    [
        (crashed(), Seen.BAD),
        (crashed("WARNING in other"), Seen.OTHER),
        (cell_report(Outcome.HUNG, SPLAT.title), Seen.OTHER),
        (cell_report(Outcome.CORRUPTED, "3 pages"), Seen.OTHER),
        (cell_report(Outcome.BOOT_FAILED, "no ready line"), Seen.OTHER),
        (cell_report(Outcome.PASSED, "1200 operations"), Seen.GOOD),
        (cell_report(Outcome.LOST, "QEMU was killed"), Seen.NOTHING),
        (cell_report(Outcome.NOT_EXERCISED, "swapoffs grew by 1"), Seen.NOTHING),
        (cell_report(Outcome.SKIPPED, "no such site"), Seen.NOTHING),
    ],
    ids=lambda value: str(value.verdict.outcome) if isinstance(value, CellReport) else "",
)
def test_only_the_same_outcome_with_the_same_title_is_bad_and_only_passed_is_good(
    report: CellReport, seen: Seen
) -> None:
    assert seen_in(report, task_of(crashed())) is seen


def test_numbers_in_a_title_that_is_no_splat_differ_from_cell_to_cell() -> None:
    task = task_of(cell_report(Outcome.FAILED, "status 3: 17 operations, 4 times"))

    assert seen_in(cell_report(Outcome.FAILED, "status 3: 21 operations, 9 times"), task) is Seen.BAD
    assert seen_in(cell_report(Outcome.FAILED, "wrong errno"), task) is Seen.OTHER


def test_other_failures_are_counted_by_what_they_are() -> None:
    task, others = task_of(crashed()), dict[str, int]()
    for report in (crashed("WARNING in f"), crashed(), crashed("WARNING in f"), cell_report(Outcome.HUNG, "hangs")):
        others = dict(with_other(others, report, task))

    assert list(others.values()) == [2, 1]
    assert next(iter(others)) == "crashed: WARNING in f"


def test_a_kernel_that_does_not_build_and_one_that_only_tells_nothing_are_run_no_more() -> None:
    task = task_of(crashed())

    unbuilt = with_report(Tally(), cell_report(Outcome.BUILD_FAILED, "swap.c:3: error"), task)
    assert (unbuilt.why_closed, unbuilt.cells) == ("build-failed: swap.c:3: error", 0)
    skipped = with_report(Tally(), cell_report(Outcome.SKIPPED, "no such site"), task)
    assert skipped.why_closed == "it tells nothing: skipped: no such site"

    useless, useful = Tally(), with_report(Tally(), crashed(), task)
    for number in range(6):
        assert bool(useless.why_closed) is (number == 6)
        useless, useful = (with_report(one, cell_report(Outcome.LOST, "lost"), task) for one in (useless, useful))
    assert useless.why_closed
    assert not useful.why_closed


def test_nothing_is_known_before_the_first_cell() -> None:
    known = posterior(3, {})

    assert chances(known) == {(n, n): pytest.approx(0.25) for n in range(4)}
    assert known.next_count in (1, 2)


def test_the_patch_between_a_bad_and_a_good_kernel_is_the_one() -> None:
    known = posterior(5, {4: Tally(bad=4), 3: Tally(good=4), 5: Tally(bad=4), 0: Tally(good=4)})

    assert (known.likeliest.first, known.likeliest.last) == (4, 4)
    assert known.likeliest.chance > 0.95
    assert known.rate(4) == pytest.approx(8.5 / 9)


def test_a_failure_that_the_base_has_too_is_none_of_the_series() -> None:
    known = posterior(4, dict.fromkeys(range(5), Tally(bad=4)))

    assert (known.likeliest.first, known.likeliest.last) == (0, 0)


def test_patches_that_no_kernel_tells_apart_share_their_chance() -> None:
    known = posterior(5, {5: Tally(bad=4), 4: Tally(bad=4), 3: NOT_BUILT, 2: Tally(good=8)})

    assert [(one.first, one.last) for one in known.suspects] == [(0, 0), (1, 1), (2, 2), (3, 4), (5, 5)]
    assert (known.likeliest.first, known.likeliest.last) == (3, 4)
    assert known.likeliest.chance > 0.95


@given(st.sets(st.integers(0, 7), max_size=7), st.dictionaries(st.integers(0, 8), st.tuples(*[st.integers(0, 9)] * 2)))
def test_each_patch_has_one_chance_and_all_add_up_to_one(
    closed: set[int], counts: Mapping[int, tuple[int, int]]
) -> None:
    kernels = {count: Tally(bad=bad, good=good) for count, (bad, good) in counts.items()}

    known = posterior(8, {**kernels, **dict.fromkeys(closed, NOT_BUILT)})

    assert [number for one in known.suspects for number in one.numbers] == list(range(9))
    assert sum(one.chance for one in known.suspects) == pytest.approx(1)
    assert known.next_count not in closed


def test_it_can_not_be_decided_without_the_whole_series_or_by_it_alone() -> None:
    assert why_undecidable(posterior(2, {})) == ""
    assert why_undecidable(posterior(2, {2: NOT_BUILT})) == "with the whole series: build-failed: an error"
    assert why_undecidable(posterior(2, {1: NOT_BUILT, 0: NOT_BUILT})) == "no beginning of the series tells anything"
    assert why_undecidable(posterior(2, {1: NOT_BUILT})) == ""


@pytest.mark.parametrize(("rate", "cells"), [(0.05, 59), (0.5, 5), (0.97, 1), (1.0, 1)])
def test_a_rare_failure_needs_more_cells_to_confirm(rate: float, cells: int) -> None:
    assert cells_to_confirm(rate, 0.95) == cells
    assert (1 - rate) ** cells <= 0.05


def simulated(seed: int, *, patches: int, rate: float, batch: int = 4) -> tuple[bool, int]:
    """Whether the patch was found that the failure comes with, and by how many cells."""
    chance = random.Random(seed)
    wrong, kernels = chance.randint(1, patches), dict[int, Tally]()
    while True:
        known = posterior(patches, kernels)
        likeliest = known.likeliest
        if known.bad and likeliest.chance >= 0.95:
            return likeliest.numbers == range(wrong, wrong + 1), sum(tally.cells for tally in kernels.values())
        count = known.next_count
        bad = sum(chance.random() < rate for _ in range(batch)) if count >= wrong else 0
        tally = kernels.get(count, Tally())
        kernels[count] = replace(tally, bad=tally.bad + bad, good=tally.good + batch - bad)


def test_a_bug_of_a_20_patch_series_that_one_cell_in_twenty_shows_is_found() -> None:
    ended = [simulated(seed, patches=20, rate=0.05) for seed in range(20)]

    cells = sorted(count for _, count in ended)
    assert sum(right for right, _ in ended) >= 19
    assert cells[len(cells) // 2] <= 400
    assert cells[-1] <= 1000


def test_a_bug_that_each_cell_shows_takes_five_kernels_of_a_20_patch_series() -> None:
    ended = [simulated(seed, patches=20, rate=1.0, batch=1) for seed in range(20)]

    assert all(right for right, _ in ended)
    assert max(count for _, count in ended) <= 16
