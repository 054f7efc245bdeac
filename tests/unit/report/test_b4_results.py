# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks as b4 reads them. The rules are those of b4 0.16: b4.review.checks and b4.LoreMessage.run_local_check."""

import json

from orchestrator.model.check_results import SeriesCheck, Status, worst_of
from orchestrator.report.b4_results import prep_lines, review_text

GOOD = SeriesCheck(name="patchrig-apply", status=Status.PASS, summary="applies to 7.1.8", details=("base: 7.1.8",))
ODD = SeriesCheck(name="patchrig-workloads", status=Status.WARN, summary="ERROR: is in\nits title \x1b[31m")
BAD = SeriesCheck(name="patchrig-build", status=Status.FAIL, summary="swap.c:4: error: no such thing")


def read_by_b4_prep(line: str) -> str:
    return "fail" if "ERROR:" in line else "warning"


def test_review_gets_an_array_of_all_checks_with_its_own_words() -> None:
    said = json.loads(review_text([GOOD, ODD, BAD]))

    assert [one["status"] for one in said] == ["pass", "warn", "fail"]
    assert said[0] == {
        "tool": "patchrig-apply", "status": "pass", "summary": "applies to 7.1.8", "details": "base: 7.1.8",
    }  # fmt: skip
    assert said[1]["summary"] == "ERROR: is in its title \\x1b[31m"


def test_prep_gets_no_line_for_a_check_that_passed() -> None:
    assert list(prep_lines([GOOD])) == []


def test_prep_takes_a_warning_for_a_warning_whatever_is_in_it() -> None:
    lines = list(prep_lines([GOOD, ODD, BAD]))

    assert [read_by_b4_prep(line) for line in lines] == ["warning", "fail"]
    assert lines[1] == "ERROR: patchrig-build: swap.c:4: error: no such thing"


def test_the_worst_check_counts() -> None:
    assert worst_of((GOOD, BAD, ODD)) is Status.FAIL
    assert worst_of(()) is Status.PASS
