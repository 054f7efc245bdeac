# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of each cell and splat over many runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.news import history_of, pass_rate
from orchestrator.model.history import CellState, PastRun
from orchestrator.model.outcomes import Outcome
from tests.unit.judge.test_past_failures import pattern
from tests.unit.past_samples import SPLAT, identity, night, past_cell, splat_cell


def text_of(runs: list[PastRun]) -> str:
    (cell,) = history_of(runs).cells
    return cell.text


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (".", "good"),
        ("...", "good"),
        ("..X", "new"),
        ("X", "new"),
        ("..XX", "still bad"),
        ("..XXXXXX", "still bad"),
        ("XX", "still bad"),
        ("..X.", "flaky (1 of 4)"),
        ("..X..X", "flaky (2 of 6)"),
        ("." * 39 + "X" + "." * 39 + "X", "flaky (2 of 80)"),
        ("XXXXX.", "flaky (5 of 6)"),
        ("XXXXX..........", "fixed"),
        ("XXXXX..........X", "new"),
        ("?", "not observed"),
        ("b?b", "not observed"),
        ("..?", "good"),
        ("X?", "new"),
        ("n", "never exercised"),
        ("n?n", "never exercised"),
        # It is not good, and no passing either.
        ("..n", "new"),
        ("XXXXXnnnn", "still bad"),
    ],
)
def test_the_state_of_a_cell(text: str, state: str) -> None:
    assert text_of(pattern(text)) == state


def test_the_rate_counts_observations_only() -> None:
    (cell,) = history_of(pattern("..X?b.")).cells

    assert (cell.rate.passed, cell.rate.observed) == (3, 4)
    assert [outcome.value for outcome in cell.last] == [*("passed", "passed", "hung", "lost", "build-failed", "passed")]
    assert (cell.failed_first, cell.failed_last, cell.title) == ("2026-0003", "2026-0003", "a swapoff never returned")


def test_what_matters_most_comes_first() -> None:
    loads = {name: identity(name) for name in ("a", "b", "c")}
    first = night(1, *(past_cell(of=one) for one in loads.values()))
    second = night(2, past_cell(of=loads["a"]), splat_cell(of=loads["c"]), past_cell(Outcome.LOST, "x", of=loads["b"]))

    cells = history_of([first, second]).cells

    assert [(one.identity.workload, one.state) for one in cells] == [
        ("c", CellState.NEW),
        ("a", CellState.GOOD),
        ("b", CellState.GOOD),
    ]


def test_a_splat_has_the_runs_that_saw_it_first_and_last() -> None:
    runs = [night(1, splat_cell()), night(2, past_cell()), night(3, splat_cell(), splat_cell("WARNING in g", repeat=2))]

    splats = history_of(runs).splats

    assert [(one.title, one.first, one.last, one.runs, one.cells, one.new) for one in splats] == [
        (SPLAT, "2026-0001", "2026-0003", 2, 2, False),
        ("WARNING in g", "2026-0003", "2026-0003", 1, 1, True),
    ]


def test_of_no_run_nothing_is_told() -> None:
    assert history_of([]).cells == ()


def test_a_published_interval() -> None:
    # R. G. Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I: 15 of 148.
    rate = pass_rate(15, 148)

    assert (rate.low, rate.high) == (0.0624, 0.1605)


@given(st.integers(0, 200), st.integers(1, 200))
def test_an_interval_holds_the_rate(passed: int, observed: int) -> None:
    passed = min(passed, observed)

    rate = pass_rate(passed, observed)

    assert 0.0 <= rate.low <= passed / observed + 1e-4
    assert passed / observed - 1e-4 <= rate.high <= 1.0


def test_nothing_observed_is_any_rate() -> None:
    assert (pass_rate(0, 0).low, pass_rate(0, 0).high) == (0.0, 1.0)
