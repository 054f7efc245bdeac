# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of coverage: what is on it, and that it is sound HTML whatever a patch holds."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.model.blocks import BlockCount, CoverageMap
from orchestrator.model.configuration import Variant
from orchestrator.model.reports import RunReport
from orchestrator.model.series_diff import ChangedFile
from orchestrator.report.coverage.figures import coverage_of
from orchestrator.report.coverage.page import page_text
from tests.conftest import GOLDEN, Golden
from tests.unit.coverage_samples import BUILD, FIRST, HUNK, MAP, OLD_MAP, SECOND, report, widened_cell, widened_image
from tests.unit.samples import run_report

ARM64 = replace(BUILD, arch="arm64")
BASELINE = replace(BUILD, variant=Variant.BASELINE)
NO_C = CoverageMap(side="new", diff=(), lines=(), blocks=())
NASTY = "</td><script>alert('1')</script>&amp;\"<b>\x01\x85\u202e\ud800\ufffd"
# The same as a reader sees it.
NASTY_SHOWN = "</td><script>alert('1')</script>&amp;\"<b>\\x01\\x85\\u202e\\ud800\ufffd"

Attributes = list[tuple[str, str | None]]


class Page(HTMLParser):
    """A page that was read back; wrong nesting is an AssertionError."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[str, list[str]] = {}  # id of a row -> the text of its cells
        self.said = ""  # all text but the style
        self.style = ""
        self._row: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), f"{tag} has an attribute twice"
        self.tags.append((tag, attributes))
        if tag not in ("meta", "wbr"):
            self.open.append(tag)
        if tag == "tr":
            self._row = self.rows.setdefault(str(attributes.get("id")), [])
        elif tag == "td":
            self._row.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
            return
        self.said += data
        if "td" in self.open:
            self._row[-1] += data

    def of(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.tags if attribute in attributes]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def page(of: RunReport) -> Page:
    return Page(page_text(of, coverage_of(of)))


def side_by_side() -> RunReport:
    """Both arches and the baseline, of one series."""
    builds = (widened_image(), widened_image(ARM64), widened_image(BASELINE, OLD_MAP))
    cells = [
        widened_cell(FIRST),
        widened_cell({**SECOND, 0x30: BlockCount(hits=4)}, build=ARM64, workload="shmem"),
        widened_cell({0x10: BlockCount(hits=9)}, build=BASELINE),
    ]
    return run_report(*cells, builds=builds)


def two_series() -> RunReport:
    """Builds that can't share a diff, as those of a seeded bug and of the series without it can't."""
    other = replace(MAP, diff=(*MAP.diff, ChangedFile(path="mm/shmem.c", hunks=(HUNK,))))
    return run_report(widened_cell(FIRST), builds=(widened_image(), widened_image(ARM64, other)))


def hostile() -> RunReport:
    """Text that ends an element and begins others, wherever text of a patch, a kernel or a YAML file can stand."""
    hunk = tuple(replace(line, text=NASTY) for line in HUNK)
    lines = tuple(replace(line, text=NASTY, file=NASTY) for line in MAP.lines)
    blocks = tuple(replace(block, target=NASTY) for block in MAP.blocks)
    found = replace(MAP, diff=(ChangedFile(path=NASTY, hunks=(hunk,)),), lines=lines, blocks=blocks)
    build = replace(BUILD, flavour=NASTY)
    cell = widened_cell(FIRST, build=build)
    workload = cell.cell.workload.model_copy(update={"name": NASTY, "sites": {NASTY: ()}})
    cell = replace(cell, cell=replace(cell.cell, workload=workload))
    matrix = report().matrix.model_copy(
        update={"kernel": NASTY, "series": (Path(NASTY),), "workloads": (NASTY,), "widen": NASTY}
    )
    hostile = run_report(cell, builds=(widened_image(build, found),), argv=(NASTY,))
    return replace(hostile, matrix=matrix, id=NASTY, versions={NASTY: NASTY})


REPORTS = {
    "plain": report(FIRST, SECOND),
    "side by side": side_by_side(),
    "two series": two_series(),
    "no C code": run_report(builds=(widened_image(coverage=NO_C),)),
    "nothing ran": report(None),
    "interrupted": replace(report(FIRST), interrupted=True),
    "hostile": hostile(),
}
each_report = pytest.mark.parametrize("of", REPORTS.values(), ids=REPORTS)


def test_the_page_is_the_golden_one(golden: Golden) -> None:
    of = report(FIRST, SECOND)

    golden.text(GOLDEN / "coverage" / "page.html", page_text(of, coverage_of(of)))


@each_report
def test_every_element_is_closed_and_every_link_has_its_one_target(of: RunReport) -> None:
    read = page(of)

    assert read.open == []
    ids = read.of("id")
    assert len(set(ids)) == len(ids)
    assert {href.removeprefix("#") for href in read.of("href")} <= set(ids)
    assert all(href.startswith("#") for href in read.of("href"))


@each_report
def test_a_page_needs_nothing_beside_itself(of: RunReport) -> None:
    text = page_text(of, coverage_of(of))
    read = Page(text)

    assert text.isascii()
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in read.tags}
    named = {name for _, attributes in read.tags for name in attributes}
    assert not {"src", "srcset", "data", "action", "style"} & named
    assert not [name for name in named if name.startswith("on")]
    assert not re.search(r"url\(|@import|@font-face|</", read.style)
    assert "://" not in text


@each_report
def test_tables_and_headings_can_be_followed_by_ear(of: RunReport) -> None:
    read = page(of)

    assert read.count("caption") == read.count("table")
    assert all(attributes.get("scope") for tag, attributes in read.tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_what_a_patch_or_a_name_holds_is_text_and_what_does_not_show_is_written_out() -> None:
    read = page(hostile())

    tame = page(report(FIRST))
    assert {tag for tag, _ in read.tags} == {tag for tag, _ in tame.tags}
    assert read.rows["s1-f1-new82"][-1] == f"+{NASTY_SHOWN}"
    assert f"{NASTY_SHOWN} 40" in read.rows["s1-f1-new82"][0]
    assert not re.search("[\x01\x85\u202e\ud800]", read.said)


def row_texts(read: Page, *anchors: str) -> Sequence[Sequence[str]]:
    return [read.rows[anchor] for anchor in anchors]


def test_counts_stand_in_front_of_each_changed_line_with_those_who_ran_it() -> None:
    read = page(report(FIRST, SECOND))

    assert row_texts(read, "s1-f1-old81", "s1-f1-new81", "s1-f1-new82", "s1-f1-new84") == [
        ["", "81", "", "-\tsi = get_swap_device(entry);"],
        ["-", "", "81", "+\t/* Hold swapoff off. */"],
        ["45mincore 40shmem 5", "", "82", "+\tif (!tryget_swap_entry(entry, &si))"],
        ["#####", "", "84", "+\tput_swap_entry(entry, si);"],
    ]
    assert {"did not run", "has no code", "is not instrumented", "is in a file that is not built"} <= set(
        read.of("aria-label")
    )


def test_builds_of_one_series_stand_side_by_side() -> None:
    read = page(side_by_side())

    assert row_texts(read, "s1-f1-old81", "s1-f1-new82", "s1-f1-new84") == [
        ["", "", "9mincore 9", "81", "", "-\tsi = get_swap_device(entry);"],
        ["40mincore 40", "5shmem 5", "", "", "82", "+\tif (!tryget_swap_entry(entry, &si))"],
        ["#####", "8shmem 8", "", "", "84", "+\tput_swap_entry(entry, si);"],
    ]
    assert "mm/mincore.c:84 put_swap_entry(entry, si); on patched.widened.x86_64\n" in read.said


def test_builds_of_different_series_come_one_after_the_other() -> None:
    read = page(two_series())

    assert {"s1", "s2", "s2-f4-new84"} <= set(read.of("id"))
    assert read.rows["s1-f1-new82"][0] == "40mincore 40"
    assert read.rows["s2-f1-new82"][0] == "#####"


def test_what_never_ran_is_named_at_the_top_with_a_link() -> None:
    read = page(report(FIRST, SECOND))

    assert "#s1-f1-new84" in read.of("href")
    named = read.said.index("mm/mincore.c:84 put_swap_entry(entry, si);\n")
    assert named < read.said.index("patched.widened.x86_64")


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (report({**FIRST, 0x30: BlockCount(hits=1)}), "None: of the changed lines that can be counted, each ran."),
        (run_report(builds=(widened_image(coverage=NO_C),)), "no changed line has code that can be counted"),
        (report(None), "Cells that could not say what they ran: 1."),
    ],
)
def test_silence_is_not_taken_for_lines_that_ran(of: RunReport, told: str) -> None:
    assert told in page(of).said


def test_the_page_says_what_run_it_was() -> None:
    said = page(report(FIRST)).said

    for fact in ("2026-11-22T190102Z-7f3a", "2026-11-22 19:01 UTC", "6.19.6", "widened", "1 passed"):
        assert fact in said
