# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a run of mutants: the series with each mutant at its line, sound whatever a series says."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.mutation import MutantStatus, Mutation
from orchestrator.report.mutation_series import mutated_series
from tests.conftest import GOLDEN, Golden
from tests.unit.mutation_samples import DIFF, FILE, SOURCE, VERDICTS, hostile_mutation, mutation, page_of, verdict
from tests.unit.report.coverage.test_page import Page

MARKUP = "</code></ul></table><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}\n<b>"
REPORTS = {
    "missed": mutation(*VERDICTS),
    "none": mutation(control=()),
    "hostile": hostile_mutation(MARKUP),
}
each_report = pytest.mark.parametrize("of", REPORTS.values(), ids=REPORTS)


def test_the_page_is_the_golden_one(golden: Golden) -> None:
    golden.text(GOLDEN / "report" / "mutants.html", page_of(REPORTS["missed"]))


@each_report
def test_every_element_is_closed_and_every_link_leads_into_the_page(of: Mutation) -> None:
    read = Page(page_of(of))

    assert read.open == []
    ids = read.of("id")
    assert len(set(ids)) == len(ids)
    assert {href.removeprefix("#") for href in read.of("href")} <= set(ids)


@each_report
def test_it_has_no_script_and_loads_nothing(of: Mutation) -> None:
    text = page_of(of)

    read = Page(text)
    assert text.isascii()
    assert "default-src 'none'" in text
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "b"} & {
        tag for tag, _ in read.tags
    }
    named = {name for _, attributes in read.tags for name in attributes}
    assert not {"src", "srcset", "data", "action", "style"} & named
    assert not [name for name in named if name.startswith("on")]
    assert not re.search(r"url\(|@import|@font-face|</", read.style)


def test_what_a_series_says_is_shown_as_it_is() -> None:
    assert "{{ 7 * 7 }}" in Page(page_of(REPORTS["hostile"])).said


@each_report
def test_tables_and_headings_can_be_followed_by_ear(of: Mutation) -> None:
    read = Page(page_of(of))

    assert read.count("caption") == read.count("table")
    assert all(attributes.get("scope") for tag, attributes in read.tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_each_mutant_stands_below_its_line_with_what_became_of_it() -> None:
    text = page_of(mutation(*VERDICTS))
    lines = text.split("\n")

    (at,) = [line for line in lines if "+\tif (x)" in line]
    assert at.index('id="m1"') < at.index("branch never taken") < at.index('id="m2"') < at.index('id="m4"')
    assert "patchrig mutate --repro mutate-x/1 --results /r" in at
    assert "--repro mutate-x/2" not in at
    assert "Without any mutant: mm/Kconfig." in text
    assert "score of a sample: 1 of 2 that were tried were noticed (50%); 95 % interval 1% to 99%" in text


def test_a_mutant_outside_the_hunks_has_lines_around_it_with_their_old_numbers() -> None:
    (file,) = mutated_series(DIFF, {FILE: SOURCE}, VERDICTS)

    (stretch,) = file.stretches
    assert [(one.line.old, one.line.new) for one in stretch[-3:]] == [(5, 6), (6, 7), (7, 8)]
    assert [report.mutant.number for report in stretch[-1].mutants] == [3]


def test_stretches_that_do_not_meet_stay_apart() -> None:
    text = "\n".join(str(number) for number in range(1, 40)) + "\n"

    (file,) = mutated_series(DIFF, {FILE: text}, (verdict(1, MutantStatus.NOTICED, line=30),))

    first, second = file.stretches
    assert [one.line.new for one in second] == [28, 29, 30, 31, 32]
    assert [one.line.old for one in second] == [27, 28, 29, 30, 31]
    assert not any(one.mutants for one in first)


def test_where_there_are_several_builds_each_mutant_says_which_one_decided() -> None:
    arm = Build(variant=Variant.PATCHED, flavour="plain", arch="arm64")
    first, *others = VERDICTS

    text = page_of(mutation(replace(first, build=arm), *others))

    assert "survived on plain.arm64" in text
