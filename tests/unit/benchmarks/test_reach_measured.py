# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs and reports of seeded bugs say of the suite's reach."""

from dataclasses import replace

import pytest

from benchmarks.reach_measured import Measured, failed_trygets, latest_bugs, run_of
from orchestrator.model.blocks import LineState
from orchestrator.model.outcomes import Outcome
from orchestrator.report.coverage.figures import LineCount
from tests.unit.benchmarks.reach_samples import EXPECTED, MINCORE, WIDENED, bug_report, counted, marked, run, seeded
from tests.unit.samples import cell, cell_report, guest_run, run_report


def test_failed_try_gets_are_those_that_no_put_of_the_same_function_answers() -> None:
    counts = (
        counted(60, "\tif (!tryget_swap_entry(entry, &si))", 1000),
        counted(80, "\t * See tryget_swap_entry().", 0, LineState.NO_CODE),
        counted(85, "\tif (!tryget_swap_entry(entry, &si))", 300),
        counted(88, "\t\tput_swap_entry(entry, si);", 40),
        counted(90, "\tput_swap_entry(entry, si);", 235),
    )

    assert failed_trygets(counts, [MINCORE]) == 25


@pytest.mark.parametrize(
    "counts",
    [
        (counted(85, "\tif (!tryget_swap_entry(entry, &si))", 300),),
        (counted(90, "\tput_swap_entry(entry, si);", 300),),
        (
            counted(85, "\tif (!tryget_swap_entry(entry, &si))", 300),
            counted(90, "\tput_swap_entry(entry, si);", 0, LineState.NOT_INSTRUMENTED),
        ),
    ],
)
def test_failed_try_gets_are_not_known_where_a_line_is_missing_or_not_counted(counts: tuple[LineCount, ...]) -> None:
    assert failed_trygets(counts, [MINCORE]) is None


def test_try_gets_of_which_fewer_are_counted_than_puts_did_not_fail() -> None:
    counts = (counted(85, "tryget_swap_entry(entry, &si);", 5), counted(90, "put_swap_entry(entry, si);", 6))

    assert failed_trygets(counts, [MINCORE]) == 0


def test_a_later_report_replaces_a_bug_of_the_same_build_unless_it_found_out_nothing() -> None:
    reports = (
        bug_report(seeded("a", "lost"), seeded("b", "survived", 130.0), seeded("c1", seconds=2.0), started="2"),
        bug_report(seeded("a", seconds=4.0), seeded("b"), seeded("a", arch="arm64", seconds=5.0), started="1"),
    )

    found = latest_bugs(reports, EXPECTED.classes)

    assert {id_: bug["guest_seconds"] for id_, bug in found["widened", "x86_64"].items()} == {
        "a": 4.0,
        "b": 130.0,
        "c1": 2.0,
    }
    assert found["widened", "arm64"]["a"]["guest_seconds"] == 5.0


def test_a_bug_that_is_not_in_the_folder_any_more_counts_for_nothing() -> None:
    assert latest_bugs((bug_report(seeded("gone")),), EXPECTED.classes) == {}


def test_a_red_cell_of_a_correct_kernel_is_a_false_alarm_and_a_lost_one_is_nothing() -> None:
    cells = [
        cell_report(outcome, f"it {outcome}", of=replace(cell(), build=build), run=guest_run())
        for outcome, build in (
            (Outcome.PASSED, WIDENED),
            (Outcome.NOT_EXERCISED, WIDENED),
            (Outcome.HUNG, WIDENED),
            (Outcome.LOST, WIDENED),
            (Outcome.HUNG, cell().build),
        )
    ]

    watches = run_of(run_report(*cells), {}).watches

    assert [one.seconds for one in watches] == [20.0, 20.0, 20.0]
    assert [one.alarm for one in watches if one.alarm] == [
        "patched.widened.x86_64.mincore: hung: it hung (2026-11-22T190102Z-7f3a)"
    ]
    assert marked(Measured(runs=(run(watches=watches),)), "control: false alarms") == ("1", False)
