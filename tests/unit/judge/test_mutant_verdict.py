# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cells of a mutant and those of the control add up to, and the score."""

from dataclasses import replace

import pytest

from orchestrator.judge.mutant_hints import hint_of
from orchestrator.judge.mutant_verdict import kind_of, score_of, status_of_tries, try_of, whole_verdicts
from orchestrator.kernel.mutants.operators import OPERATORS
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import CrashKind
from orchestrator.model.guests import Ending
from orchestrator.model.mutants import Edit, Guard, Mutant
from orchestrator.model.mutation import MutantReport, MutantStatus, MutantTry
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from tests.unit.samples import cell, cell_report, crash, guest_run

BUILD = Build(variant=Variant.PATCHED, flavour="plain", arch="x86_64")
OPERATOR = {operator.name: operator for operator in OPERATORS}


def mutant(number: int, operator: str = "never", *, line: int = 10, function: str = "f") -> Mutant:
    edit = Edit(start=0, end=1, text="", guard=Guard.CONDITION)
    return Mutant(
        number=number, operator=operator, file="mm/swap.c", function=function, line=line, before="x", after="0",
        edits=(edit,),
    )  # fmt: skip


def ended(outcome: Outcome, *, workload: str = "mincore", passed: int | None = 3, ending: Ending = Ending.REPORTED,
          kind: CrashKind | None = None) -> CellReport:  # fmt: skip
    counts = None if passed is None else {7: passed}
    crashes = (replace(crash(), kind=kind),) if kind else ()
    of = replace(cell(workload=workload), mutant=7)
    return cell_report(
        outcome, str(outcome), of=of, run=replace(guest_run(ending), mutant_counts=counts), crashes=crashes
    )


def tried(report: CellReport, noise: dict[str, str] | None = None) -> MutantTry:
    return try_of(report, "cells/x", noise or {})


def test_a_finding_has_the_kind_of_its_outcome_and_splat() -> None:
    assert kind_of(ended(Outcome.CRASHED, kind=CrashKind.KASAN)) == "crashed kasan"
    assert kind_of(ended(Outcome.HUNG)) == "hung"
    assert kind_of(ended(Outcome.NOT_EXERCISED)) == ""
    assert kind_of(ended(Outcome.PASSED)) == ""


def test_what_the_control_shows_too_is_not_noticed_and_another_kind_is() -> None:
    noise = {"mincore": "crashed kasan"}
    same = tried(ended(Outcome.CRASHED, kind=CrashKind.KASAN), noise)
    other = tried(ended(Outcome.CRASHED, kind=CrashKind.REFCOUNT), noise)
    elsewhere = tried(ended(Outcome.CRASHED, workload="shmem", kind=CrashKind.KASAN), noise)

    assert [one.noticed for one in (same, other, elsewhere)] == [False, True, True]
    assert status_of_tries([same])[0] is MutantStatus.NOT_TRIED
    assert status_of_tries([same, other])[0] is MutantStatus.NOTICED


@pytest.mark.parametrize(
    ("reports", "status"),
    [
        ([ended(Outcome.PASSED), ended(Outcome.HUNG)], MutantStatus.NOTICED),
        ([ended(Outcome.PASSED), ended(Outcome.NOT_EXERCISED)], MutantStatus.SURVIVED),
        ([ended(Outcome.PASSED), ended(Outcome.LOST, ending=Ending.LOST, passed=None)], MutantStatus.LOST),
        ([ended(Outcome.PASSED), ended(Outcome.SKIPPED, ending=Ending.INTERRUPTED)], MutantStatus.NOT_TRIED),
        ([ended(Outcome.PASSED, passed=0)], MutantStatus.NOT_REACHED),
        ([ended(Outcome.PASSED, passed=None)], MutantStatus.SURVIVED),
    ],
)
def test_the_cells_of_a_mutant_add_up(reports: list[CellReport], status: MutantStatus) -> None:
    assert status_of_tries([tried(report) for report in reports])[0] is status


def report(number: int, status: MutantStatus, arch: str = "x86_64") -> MutantReport:
    return MutantReport(mutant=mutant(number), build=replace(BUILD, arch=arch), status=status)


def test_of_several_builds_the_one_that_noticed_decides_and_one_that_is_lost_leaves_it_open() -> None:
    reports = [
        report(1, MutantStatus.SURVIVED), report(1, MutantStatus.NOTICED, "arm64"),
        report(2, MutantStatus.SURVIVED), report(2, MutantStatus.LOST, "arm64"),
        report(3, MutantStatus.NOT_REACHED), report(3, MutantStatus.SURVIVED, "arm64"),
    ]  # fmt: skip

    found = whole_verdicts([mutant(number) for number in (1, 2, 3, 4)], reports)

    assert [one.status for one in found] == [MutantStatus.NOTICED, MutantStatus.LOST, MutantStatus.SURVIVED]


def test_a_survivor_says_in_how_many_of_the_workloads_it_ran() -> None:
    tries = [tried(ended(Outcome.PASSED))] * 2

    assert status_of_tries(tries, of=7)[1].endswith(" passed (2 of 7 workloads)")
    assert status_of_tries(tries, of=2)[1].endswith(" passed")


def test_the_score_counts_what_nothing_reaches_and_not_what_has_no_effect() -> None:
    statuses = [MutantStatus.NOTICED] * 3 + [MutantStatus.SURVIVED, MutantStatus.NOT_REACHED, MutantStatus.NO_EFFECT]

    score = score_of([report(number, status) for number, status in enumerate(statuses, 1)])

    assert (score.mutants, score.noticed, score.tried, score.whole, score.sample) == (6, 3, 4, 5, False)
    assert list(score.counts) == [
        MutantStatus.NOTICED, MutantStatus.SURVIVED, MutantStatus.NOT_REACHED, MutantStatus.NO_EFFECT,
    ]  # fmt: skip


def test_a_score_without_some_that_are_reached_is_that_of_a_sample() -> None:
    statuses = [MutantStatus.NOTICED] * 9 + [MutantStatus.SURVIVED] + [MutantStatus.NOT_TRIED] * 20

    score = score_of([report(number, status) for number, status in enumerate(statuses, 1)])

    assert score.sample
    # Clopper and Pearson for 9 of 10.
    assert (round(score.low, 3), round(score.high, 4)) == (0.555, 0.9975)
    nothing = score_of([])
    assert (nothing.low, nothing.high, nothing.tried, nothing.sample) == (0.0, 1.0, 0, False)


def hint(operator: str, passed: dict[int, int], *, more: tuple[Mutant, ...] = (), outcome: Outcome = Outcome.PASSED,
         ) -> str:  # fmt: skip
    one = mutant(1, operator)
    return hint_of(one, OPERATOR[operator], (one, *more), passed, [tried(ended(outcome))])


def test_a_branch_whose_code_never_ran_was_never_taken() -> None:
    inside = mutant(2, "drop-call", line=11)
    far = mutant(3, "drop-call", line=40)

    assert hint("never", {1: 9}, more=(inside, far)) == "branch never taken: line 11 behind it never ran"
    assert hint("never", {1: 9, 2: 1}, more=(inside, far)) == "no check sees this"
    assert hint("never", {1: 9}, more=(far,)) == "no check sees this"
    assert hint("drop-call", {1: 9}, more=(inside,)) == "no check sees this"


def test_a_race_needs_a_window_and_what_no_check_sees_may_still_not_be_green() -> None:
    assert hint("release-early", {1: 9}).startswith("race never won")
    assert hint("weaken-order", {1: 9}).endswith("under QEMU's TCG")
    assert "mincore was not-exercised" in hint("drop-call", {1: 9}, outcome=Outcome.NOT_EXERCISED)
