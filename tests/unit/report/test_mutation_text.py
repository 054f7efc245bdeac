# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of a run of mutants, its JSON and its JUnit XML."""

from dataclasses import replace

from junitparser import JUnitXml

from orchestrator.model.mutation import MutantStatus, Score
from orchestrator.model.outcomes import Outcome
from orchestrator.report.junit import mutation_junit_text
from orchestrator.report.mutation_report import as_json
from orchestrator.report.mutation_series import mutated_series
from orchestrator.report.mutation_text import (
    again_command,
    annotated_lines,
    control_lines,
    count_line,
    cover_letter_line,
    score_lines,
    table_lines,
)
from tests.unit.mutation_samples import ATTEMPT, CONTROL, DIFF, FILE, SOURCE, VERDICTS, mutation

SCORE = Score(
    counts={MutantStatus.NOTICED: 33, MutantStatus.SURVIVED: 2, MutantStatus.NOT_REACHED: 2, MutantStatus.NO_EFFECT: 1},
    noticed=33, tried=35, low=0.8, high=0.99,
)  # fmt: skip


def test_the_line_of_a_run_has_each_count_that_is_not_0() -> None:
    assert count_line(SCORE) == "mutants: 38; noticed 33, survived 2, not reached 2, no effect 1"
    assert list(score_lines(SCORE)) == ["score: 33 of 37 mutants were noticed (89%)"]
    sample = replace(SCORE, counts={**SCORE.counts, MutantStatus.NOT_TRIED: 9})
    assert list(score_lines(sample)) == [
        "score of a sample: 33 of 35 that were tried were noticed (94%); 95 % interval 80% to 99%",
        "score of all, with the 2 not reached: about 90%; 95 % interval 77% to 95%",
    ]
    all_reached = dict(sample.counts)
    del all_reached[MutantStatus.NOT_REACHED]
    assert len(list(score_lines(replace(sample, counts=all_reached)))) == 1
    assert list(score_lines(replace(sample, noticed=0, tried=0, low=0.0, high=1.0))) == [
        "score of a sample: none was tried"
    ]


def test_each_survivor_stands_at_its_line_with_its_hint() -> None:
    lines = list(annotated_lines(VERDICTS, mutated_series(DIFF, {FILE: SOURCE}, VERDICTS)))

    assert lines[0] == "--- mm/a.c"
    at = lines.index("     3 +        if (x)")
    assert lines[at - 1] == "       -        old(x);"
    assert lines[at + 1 : at + 3] == ["       ^ 1 never: x -> 0", "         survived: branch never taken"]
    assert "         not reached: t3" in lines
    assert not any("t2" in line for line in lines)
    assert len(list(table_lines(VERDICTS))) == 6


def test_a_control_that_is_red_or_does_not_end_is_told() -> None:
    red = replace(CONTROL, kind="hung", attempt=replace(ATTEMPT, outcome=Outcome.HUNG))
    gone = replace(CONTROL, passed=None)

    first, second = control_lines(mutation(control=(CONTROL, red, gone)))

    assert "is red (hung" in first
    assert "did not come to its end" in second


def test_a_control_that_did_too_little_is_given_more_time() -> None:
    idle = replace(CONTROL, attempt=replace(ATTEMPT, workload="knobs", outcome=Outcome.NOT_EXERCISED))

    assert list(control_lines(mutation(control=(CONTROL, idle, idle)))) == [
        "did too little in 5 s, without any mutant, too: knobs; --seconds 20 gives more time"
    ]


def test_one_line_for_a_cover_letter() -> None:
    assert cover_letter_line(mutation(*VERDICTS), SCORE) == (
        "Mutation testing with patchrig: 33 of 37 mutants noticed (2 survived, 2 not reached); 1 workload of 5 s on "
        "plain x86_64."
    )


def test_the_line_says_where_a_mutant_ran_in_few_of_the_workloads() -> None:
    other = replace(CONTROL, attempt=replace(ATTEMPT, workload="shmem"))
    report = replace(mutation(*VERDICTS), control=(CONTROL, other), tries=1)

    assert "; 2 workloads of 5 s on plain x86_64, each mutant in 1 at most." in cover_letter_line(report, SCORE)
    assert "at most" not in cover_letter_line(replace(report, tries=2), SCORE)


def test_junit_and_json_have_a_case_for_each_mutant() -> None:
    xml = JUnitXml.fromstring(mutation_junit_text(mutation(*VERDICTS)).encode())
    found = as_json(mutation(*VERDICTS))

    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (5, 2, 1, 0)
    assert [one["status"] for one in found["mutants"]] == ["survived", "noticed", "not reached", "lost"]
    assert found["mutants"][0]["repro"] == {"run": "plain.x86_64", "cell": "patched.plain.x86_64.mincore.m1"}
    assert found["mutants"][1]["repro"] is None
    assert found["control"][0]["places_passed"] == 1


def test_the_command_that_repeats_a_mutant_names_its_run() -> None:
    assert again_command(mutation(), 17) == "patchrig mutate --repro mutate-x/17 --results /r"
