# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of what is asked of the suite: what is reached, missed, and not measured."""

from benchmarks.reach_measured import Measured
from benchmarks.reach_table import all_rows, best_run, exit_code, notes, table_lines
from tests.unit.benchmarks.reach_samples import (
    EXPECTED,
    FULL,
    MEDIAN,
    bug_report,
    everything,
    lines,
    marked,
    run,
    seeded,
    watch,
)


def test_all_is_reached_when_every_row_is() -> None:
    rows = all_rows(everything(), EXPECTED)

    assert [row.what for row in rows if row.reached is not True] == []
    assert exit_code(rows) == 0
    assert notes(everything(), EXPECTED) == {"Coverage is of r1": ["x86_64: 28 of 28", "arm64: 28 of 28"]}


def test_nothing_measured_is_nothing_reached_and_nothing_missed() -> None:
    rows = all_rows(Measured(), EXPECTED)

    assert {row.reached for row in rows} == {None}
    assert exit_code(rows) == 3
    assert notes(Measured(), EXPECTED) == {}


def test_one_thing_that_is_missed_outweighs_what_was_not_measured() -> None:
    assert exit_code(all_rows(Measured(runs=(run(x86_64=lines(ran=27)),)), EXPECTED)) == 1


def test_coverage_is_that_of_one_run_and_is_never_put_together_from_two() -> None:
    runs = (
        run("r1", x86_64=lines(), arm64=lines(ran=20, failed={**FULL, "mincore_swap": 3})),
        run("r2", x86_64=lines(failed={**FULL, "mincore_swap": 19}), arm64=lines()),
        run("r3", arm64=lines()),
    )

    best = best_run(runs)

    assert best == runs[1]
    assert marked(Measured(runs=runs), "failed try-gets, mincore_swap") == ("19", False)


def test_a_run_that_has_not_ended_has_no_time_yet() -> None:
    assert marked(Measured(runs=(run(seconds=0.0, x86_64=lines()),)), "seconds of") == ("not measured", None)
    assert marked(Measured(runs=(run(seconds=900.0, x86_64=lines()),)), "seconds of") == ("900", False)


def test_a_site_that_the_counts_do_not_tell_is_not_measured() -> None:
    unknown = lines(failed={**FULL, "zswap_writeback_entry": None})

    assert marked(Measured(runs=(run(x86_64=unknown),)), "failed try-gets, zswap") == ("not measured", None)


def test_changed_lines_that_never_ran_are_listed_with_their_arch() -> None:
    missed = lines(ran=27, not_run=("mm/shmem.c:2333: put_swap_entry(index_entry, si);",))

    told = notes(Measured(runs=(run(arm64=missed),)), EXPECTED)

    assert told["Changed lines that never ran"] == ["arm64: mm/shmem.c:2333: put_swap_entry(index_entry, si);"]


def test_a_bug_that_was_found_too_late_is_missed_and_named() -> None:
    measured = Measured(reports=(bug_report(seeded("a", seconds=31.0), seeded("b", "survived", 125.4)),))

    assert marked(measured, "class A") == ("0 of 1, 1 at all", False)
    assert marked(measured, "class B") == ("0 of 1, 0 at all", False)
    assert notes(measured, EXPECTED)["Bugs that missed their limit"] == [
        "a x86_64 (class A): found, 31.0 guest s of 30, swapin",
        "b x86_64 (class B): survived, 125.4 guest s of 120, swapin shmem",
    ]


def test_of_class_c_three_quarters_are_enough() -> None:
    def measured(*bugs: dict[str, object]) -> Measured:
        return Measured(reports=(bug_report(*bugs),))

    two = (seeded("c1"), seeded("c2"))

    assert marked(measured(*two, seeded("c3"), seeded("c4", "survived")), "class C")[1] is True
    assert marked(measured(*two, seeded("c3")), "class C") == ("3 of 3, 3 at all; 1 not tried", True)
    assert marked(measured(*two, seeded("c3", "survived"), seeded("c4", "survived")), "class C")[1] is False


def test_a_bug_that_was_not_tried_is_neither_found_nor_missed() -> None:
    measured = Measured(reports=(bug_report(seeded("c1"), seeded("c2", "lost"), seeded("a"), seeded("b")),))

    assert marked(measured, "class C") == ("1 of 1, 1 at all; 3 not tried", None)
    assert notes(measured, EXPECTED)["Bugs that were not tried"] == ["widened.x86_64: c2 (lost), c3, c4"]


def test_class_c_is_shown_and_not_asked_for_on_arm64() -> None:
    missed = [seeded(id_, "survived", 301.0, arch="arm64") for id_ in ("c1", "c2", "c3", "c4")]
    good = everything()
    measured = Measured(runs=good.runs, reports=(*good.reports, bug_report(*missed)))

    assert marked(measured, "class C", "arm64") == ("0 of 4, 0 at all", False)
    assert exit_code(all_rows(measured, EXPECTED)) == 0
    assert notes(measured, EXPECTED)["Bugs that missed their limit"][0] == (
        "c1 arm64 (class C): survived, 301.0 guest s of 300, swapin shmem; not asked for on this arch"
    )


def test_medians_stand_side_by_side_and_are_of_the_bugs_that_both_found() -> None:
    plain = [seeded("c1", seconds=40.0), seeded("c2", "survived", 300.0), seeded("c3", seconds=20.0), seeded("c4")]
    widened = [seeded("c1", seconds=4.0), seeded("c2", seconds=9.0), seeded("c3", seconds=2.0), seeded("c4", "lost")]
    reports = (bug_report(*({**bug, "flavour": "plain"} for bug in plain)), bug_report(*widened))

    assert marked(Measured(reports=reports), f"{MEDIAN}, class C") == ("30.0 / 3.0 (of 2)", None)
    assert marked(Measured(reports=reports[1:]), f"{MEDIAN}, class C") == ("- / 4.0 (of 3)", None)
    assert marked(everything(), f"{MEDIAN}, all") == ("9.0 / 9.0 (of 6)", True)


def test_the_minutes_of_control_add_up_over_runs_and_the_controls_of_reports() -> None:
    control = {"arch": "x86_64", "flavour": "widened", "workload": "swapin", "title": "", "cell": "x"}
    report = bug_report(
        control=(
            {**control, "outcome": "passed", "guest_seconds": 600.0},
            {**control, "outcome": "lost", "guest_seconds": 600.0},
            {**control, "outcome": "passed", "guest_seconds": 600.0, "flavour": "plain"},
        )
    )
    runs = (run("r1", watches=(watch(),)), run("r2", watches=(watch(minutes=14.0),)))

    assert marked(Measured(runs=runs, reports=(report,)), "control: guest minutes") == ("49.0 of 3 guests", False)


def test_control_without_the_baseline_is_not_complete() -> None:
    measured = Measured(runs=(run(watches=(watch(minutes=60.0),)),))

    assert marked(measured, "control: guest minutes") == ("60.0 of 1 guests", True)
    assert marked(measured, "control: variants x workloads") == ("1 of 2", None)


def test_the_table_is_markdown_with_a_column_for_each_arch() -> None:
    head, rule, first, *_ = table_lines(all_rows(everything(), EXPECTED))

    assert [text.strip() for text in head.strip("|").split("|")] == [
        *("requirement", "x86_64", "arm64", "to reach", "reached"),
    ]
    assert set(rule) == set("|- ")
    assert [text.strip() for text in first.strip("|").split("|")][1:] == ["28 of 28", "28 of 28", "all", "yes"]
