# SPDX-License-Identifier: GPL-2.0-or-later
"""The verdict of a cell whose workload is a test suite."""

from dataclasses import replace

import pytest

from orchestrator.judge.verdict import judge
from orchestrator.model.crashes import Crash
from orchestrator.model.guests import Ending
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.subtests import Subtest, SubtestStatus, SuiteResult
from tests.unit.samples import cell, crash, guest_run, result

COUNTERS = {"site.mincore": 100, "swapoffs": 5}


def suite(*statuses: SubtestStatus) -> SuiteResult:
    subtests = tuple(Subtest(path=f"t{at}", status=status) for at, status in enumerate(statuses))
    return SuiteResult(subtests=subtests, complete=True)


def verdict_of(
    found: SuiteResult, *crashes: Crash, status: int | None = 0, ending: Ending = Ending.REPORTED
) -> Verdict:
    run = replace(guest_run(ending, result=result(counters=COUNTERS)), suite=found, exit_status=status)
    return judge(cell(), run, crashes, ())[0]


OK, BAD, SKIP = SubtestStatus.OK, SubtestStatus.NOT_OK, SubtestStatus.SKIPPED


@pytest.mark.parametrize(
    ("found", "status", "outcome"),
    [
        (suite(OK, OK), 0, Outcome.PASSED),
        (suite(OK, SKIP), 0, Outcome.PASSED),
        (suite(OK, BAD), 1, Outcome.SUBTESTS_FAILED),
        (suite(OK, SubtestStatus.TIMED_OUT), 1, Outcome.SUBTESTS_FAILED),
        # kselftest's own status for a skip.
        (suite(OK, SKIP), 4, Outcome.PASSED),
        (suite(SKIP, SKIP), 0, Outcome.NOT_EXERCISED),
        (suite(SubtestStatus.UNFINISHED), 0, Outcome.NOT_EXERCISED),
        (suite(), 0, Outcome.NOT_EXERCISED),
        (suite(OK), 137, Outcome.FAILED),
        (suite(), 127, Outcome.FAILED),
        (suite(OK), None, Outcome.FAILED),
        (replace(suite(), unreadable="no parser", complete=False), 0, Outcome.FAILED),
    ],
)
def test_a_suite_comes_to(found: SuiteResult, status: int | None, outcome: Outcome) -> None:
    assert verdict_of(found, status=status).outcome is outcome


def test_a_suite_that_crashed_the_kernel_is_a_crash() -> None:
    assert verdict_of(suite(OK, BAD), crash()).outcome is Outcome.CRASHED


def test_the_verdict_names_what_is_bad_and_what_was_not_built() -> None:
    found = verdict_of(replace(suite(OK, *[BAD] * 12, SKIP), not_built=("mm/a",)), status=1)

    assert found.title == "1 subtests ok, 12 bad, 1 skipped"
    assert found.reasons[0] == "bad: t1"
    assert found.reasons[-2:] == ("and 2 more", "not built: mm/a")


def test_no_subtest_that_ran_is_said_so() -> None:
    assert verdict_of(suite(SKIP)).title == "no subtest ran (1 were skipped or have no result)"
