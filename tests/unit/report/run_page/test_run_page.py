# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a run: what is on it, that it is sound HTML whatever a guest says, and that it stays small."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.outcomes import Outcome
from orchestrator.model.phases import Phase, Span
from orchestrator.model.reach import ChangedReach
from orchestrator.model.reports import RunReport
from orchestrator.report.coverage.figures import coverage_of
from orchestrator.report.run_page.run_page import run_page_text
from orchestrator.report.timeline import timeline_svg
from tests.conftest import GOLDEN, Golden
from tests.unit.coverage_samples import FIRST, SECOND
from tests.unit.coverage_samples import report as widened_report
from tests.unit.report.coverage.test_page import Page
from tests.unit.report.test_hostile import hostile_coverage, hostile_report
from tests.unit.samples import cell, cell_report, compared_report, crash, guest_run, mixed_report, run_report

CELLS = 10_000


def text_of(report: RunReport) -> str:
    return run_page_text(report, timeline=timeline_svg(report), coverage=coverage_of(report))


def page(report: RunReport) -> Page:
    return Page(text_of(report))


def many(*, titles: int, workloads: int = 40, builds: int = 1) -> RunReport:
    """Ten thousand cells, each tenth of them red, with so many different titles."""
    cells = []
    for number in range(CELLS):
        build = Build(variant=Variant.PATCHED, flavour=f"f{number % builds}", arch="x86_64")
        of = replace(
            cell(workload=f"load-{number // builds % workloads}"), build=build, repeat=number + 1, repeats=CELLS
        )
        spans = (Span(phase=Phase.WORKLOAD, start=number / 4, end=number / 4 + 1.0),)
        title = f"KASAN: use-after-free Read in f{number % titles}"
        red = cell_report(
            Outcome.CRASHED, title, of=of, run=guest_run(), crashes=(crash(title=title, text="x" * 4000),)
        )
        cells.append(replace(red if number % 10 == 0 else cell_report(of=of, run=guest_run()), spans=spans))
    return run_report(*cells, seconds=2500.0)


REPORTS = {
    "mixed": mixed_report(),
    "compared": compared_report(),
    "covered": widened_report(FIRST, SECOND),
    "empty": run_report(),
    "interrupted": replace(mixed_report(), interrupted=True, reach=ChangedReach(hint="patchrig reach")),
    "hostile": hostile_report(),
    "hostile coverage": hostile_coverage(),
}
each_report = pytest.mark.parametrize("of", REPORTS.values(), ids=REPORTS)


@pytest.mark.parametrize("name", ["mixed", "compared", "covered"])
def test_the_page_is_the_golden_one(name: str, golden: Golden) -> None:
    golden.text(GOLDEN / "report" / f"{name}.html", text_of(REPORTS[name]))


@each_report
def test_every_element_is_closed_and_every_link_leads_into_the_page_or_the_runs_folder(of: RunReport) -> None:
    read = page(of)

    assert read.open == []
    ids = read.of("id")
    assert len(set(ids)) == len(ids)
    inside = {href[1:] for href in read.of("href") if href.startswith("#")}
    assert inside <= set(ids)
    others = [href for href in read.of("href") if not href.startswith("#")]
    assert [
        href for href in others if not re.fullmatch(r"(cells/[A-Za-z0-9._+-]+/console\.log|coverage\.html)", href)
    ] == []


@each_report
def test_a_page_needs_nothing_beside_itself(of: RunReport) -> None:
    text = text_of(of)
    read = Page(text)

    assert text.isascii()
    assert "default-src 'none'" in text
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in read.tags}
    named = {name for _, attributes in read.tags for name in attributes}
    assert not {"src", "srcset", "data", "action", "style"} & named
    assert not [name for name in named if name.startswith("on")]
    assert not re.search(r"url\(|@import|@font-face|</", read.style)
    # The name of the picture's language, which nobody fetches.
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")


@each_report
def test_tables_and_headings_can_be_followed_by_ear(of: RunReport) -> None:
    read = page(of)

    assert read.count("caption") == read.count("table")
    assert all(attributes.get("scope") for tag, attributes in read.tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_the_grid_has_repeats_together_and_leads_to_what_went_wrong() -> None:
    text = text_of(compared_report())

    row = re.search(r"<tr><th scope=\"row\" class=\"word\">mincore</th>(.*?)</tr>", text)
    assert row is not None
    assert re.findall(r'<td class="word (\w+)">(?:<a href="#([\w-]+)">)?([^<]*)', row[1]) == [
        ("bad", "finding-2", "2 crashed, 1 passed"),
        ("good", "", "3 passed"),
    ]


def test_a_splat_is_shown_once_with_stack_source_and_cells() -> None:
    said = page(compared_report()).said

    title = "KASAN: use-after-free Read in swap_cache_get_folio"
    assert said.count(f"crashed {title}") == 1
    section = said.split(f"crashed {title}")[1].split("crashed possible deadlock")[0]
    assert "only with the series: 2 of 3 cells with it, 0 of 3 without" in section
    assert "  * swap_cache_get_folio.isra.0+0x12c/0x180 mm/swap_state.c:412\n" in section
    assert ">  412         put_swap_entry(entry);\n" in section
    assert "patched.plain.x86_64.mincore.1" in section
    assert "patched.plain.x86_64.mincore.2" in section
    assert "patchrig repro 2026-11-22T190102Z-7f3a patched.plain.x86_64.mincore.1" in section
    assert "WARNING in swap_free (1 cell; only after another" in said


def test_one_red_cell_among_thousands_is_in_the_grid() -> None:
    report = many(titles=3, workloads=1000, builds=1)
    only = [one for one in report.cells if one.verdict.outcome is Outcome.PASSED or one.cell.repeat == 9001]

    read = page(replace(report, cells=tuple(only)))

    assert read.of("class").count("word bad") == 1
    assert "and 781 more workloads, all good" in read.said


@pytest.mark.parametrize(("titles", "workloads", "builds"), [(5, 40, 1), (1000, 1250, 8), (5, 10, 1000)])
def test_ten_thousand_cells_make_no_large_page(titles: int, workloads: int, builds: int) -> None:
    report = many(titles=titles, workloads=workloads, builds=builds)

    text = text_of(report)

    assert len(text) < 3 << 20
    assert Page(text).open == []


def test_nothing_known_is_not_called_all_reached() -> None:
    assert "Nothing is known of what the series changes" in page(run_report()).said
