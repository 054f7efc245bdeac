# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of a run of mutants, its JSON and its JUnit XML."""

from dataclasses import replace
from pathlib import Path

from junitparser import JUnitXml

from orchestrator.model.bugs import Attempt
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.mutants import Edit, Guard, Mutant
from orchestrator.model.mutation import ControlTry, MutantReport, MutantStatus, MutantTry, Mutation, Score
from orchestrator.model.outcomes import Outcome
from orchestrator.report.junit import mutation_junit_text
from orchestrator.report.mutation_report import as_json
from orchestrator.report.mutation_text import (
    annotated_lines,
    control_lines,
    count_line,
    cover_letter_line,
    score_lines,
    table_lines,
)

BUILD = Build(variant=Variant.PATCHED, flavour="plain", arch="x86_64")
SOURCE = "one\ntwo\n\tif (x)\n\t\tput(x);\nfive\nsix\nseven\neight\n"
ATTEMPT = Attempt(
    workload="mincore", seconds=5, outcome=Outcome.PASSED, title="900 operations", found=False, guest_seconds=6.0,
    cell="patched.plain.x86_64.mincore.m1", folder="plain.x86_64/cells/patched.plain.x86_64.mincore.m1",
)  # fmt: skip


def verdict(number: int, status: MutantStatus, *, line: int = 3, hint: str = "") -> MutantReport:
    edit = Edit(start=0, end=1, text="", guard=Guard.CONDITION)
    mutant = Mutant(
        number=number, operator="never", file="mm/a.c", function="f", line=line, before="x", after="0", edits=(edit,)
    )
    tries = (MutantTry(attempt=ATTEMPT, passed=4),) if status is MutantStatus.SURVIVED else ()
    return MutantReport(mutant=mutant, build=BUILD, status=status, title=f"t{number}", hint=hint, tries=tries)


VERDICTS = (
    verdict(1, MutantStatus.SURVIVED, hint="branch never taken"),
    verdict(2, MutantStatus.NOTICED),
    verdict(3, MutantStatus.NOT_REACHED, line=8),
    verdict(4, MutantStatus.LOST),
)
SCORE = Score(
    counts={MutantStatus.NOTICED: 33, MutantStatus.SURVIVED: 2, MutantStatus.NOT_REACHED: 2, MutantStatus.NO_EFFECT: 1},
    noticed=33, tried=35, low=0.8, high=0.99,
)  # fmt: skip
CONTROL = ControlTry(build=BUILD, attempt=ATTEMPT, kind="", passed={1: 4})


def report(*verdicts: MutantReport, control: tuple[ControlTry, ...] = (CONTROL,)) -> Mutation:
    return Mutation(
        id="mutate-x", folder=Path("/r/mutate-x"), argv=("patchrig", "mutate"), matrix_path="m.yaml", started="2026",
        versions={}, load_seconds=5, control=control, mutants=tuple(one.mutant for one in verdicts),
        reports=verdicts,
    )  # fmt: skip


def test_the_line_of_a_run_has_each_count_that_is_not_0() -> None:
    assert count_line(SCORE) == "mutants: 38; noticed 33, survived 2, not reached 2, no effect 1"
    assert list(score_lines(SCORE)) == ["score: 33 of 37 mutants were noticed (89%)"]
    sample = replace(SCORE, counts={**SCORE.counts, MutantStatus.NOT_TRIED: 9})
    assert list(score_lines(sample)) == [
        "score of a sample: 33 of 35 that were tried were noticed (94%); 95 % interval 80% to 99%",
        "score of all, with the 2 not reached: about 90%; 95 % interval 77% to 95%",
    ]
    all_reached = {status: count for status, count in sample.counts.items() if status is not MutantStatus.NOT_REACHED}
    assert len(list(score_lines(replace(sample, counts=all_reached)))) == 1
    assert list(score_lines(replace(sample, noticed=0, tried=0, low=0.0, high=1.0))) == [
        "score of a sample: none was tried"
    ]


def test_each_survivor_stands_at_its_line_with_its_hint() -> None:
    lines = list(annotated_lines(VERDICTS, {"mm/a.c": SOURCE}))

    assert lines[0] == "--- mm/a.c"
    at = lines.index("     3         if (x)")
    assert lines[at + 1 : at + 3] == ["       ^ 1 never: x -> 0", "         survived: branch never taken"]
    assert "         not reached: t3" in lines
    assert not any("t2" in line for line in lines)
    assert len(list(table_lines(VERDICTS))) == 6


def test_a_control_that_is_red_or_does_not_end_is_told() -> None:
    red = replace(CONTROL, kind="hung", attempt=replace(ATTEMPT, outcome=Outcome.HUNG))
    gone = replace(CONTROL, passed=None)

    first, second = control_lines(report(control=(CONTROL, red, gone)))

    assert "is red (hung" in first
    assert "did not come to its end" in second


def test_one_line_for_a_cover_letter() -> None:
    assert cover_letter_line(report(*VERDICTS), SCORE) == (
        "Mutation testing with patchrig: 33 of 37 mutants noticed (2 survived, 2 not reached); 1 workload of 5 s on "
        "plain x86_64."
    )


def test_junit_and_json_have_a_case_for_each_mutant() -> None:
    xml = JUnitXml.fromstring(mutation_junit_text(report(*VERDICTS)).encode())
    found = as_json(report(*VERDICTS))

    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (5, 2, 1, 0)
    assert [one["status"] for one in found["mutants"]] == ["survived", "noticed", "not reached", "lost"]
    assert found["mutants"][0]["repro"] == {"run": "plain.x86_64", "cell": "patched.plain.x86_64.mincore.m1"}
    assert found["mutants"][1]["repro"] is None
    assert found["control"][0]["places_passed"] == 1
