# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as one HTML page, report.html: no script, no font, no network; its size does not grow with the cells (pure)."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.model.images import KernelImage
from orchestrator.model.reports import RunReport
from orchestrator.report.coverage.figures import PAGE_FILE, BuildCoverage, headline
from orchestrator.report.crash_entries import crash_entries
from orchestrator.report.news_text import news_lines
from orchestrator.report.run_facts import run_facts
from orchestrator.report.run_page.finding_sections import anchors_of, sections
from orchestrator.report.run_page.not_reached import not_reached
from orchestrator.report.run_page.verdict_grid import MOST_COLUMNS, MOST_ROWS, verdict_grid
from orchestrator.report.suite_text import suite_lines
from orchestrator.report.summary import Row, by_build, entry_text, findings, outcome_counts, rows
from orchestrator.report.templating import render

REPORT_FILE = "report.html"
_LARGEST_PICTURE = 1 << 20  # characters; a larger one is only beside the page
_MOST_ENTRIES = 60
_MOST_SUITE_LINES = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildTable:
    """What the workloads did on one build."""

    name: str
    rows: tuple[Row, ...]
    more: int


def run_page_text(report: RunReport, *, timeline: str, coverage: Sequence[BuildCoverage]) -> str:
    """The page, in ASCII: it reads the same whatever encoding it is stored or sent in.

    `timeline` is what timeline_svg() gives for the same run.
    """
    wrong = findings(report.cells)
    parts = sections(report, wrong)
    named = {cell.verdict.title for cell in report.cells}
    others = [entry_text(entry) for entry in crash_entries(report.cells) if entry.title not in named]
    text = render(
        "report.html",
        report=report,
        outcome=outcome_counts(report.cells),
        facts=tuple(run_facts(report, [one for one in report.builds if isinstance(one, KernelImage)])),
        choices=report.choices.lines() if report.choices else (),
        news=tuple(news_lines(report)),
        grid=verdict_grid(report.cells, anchors_of(wrong)),
        sections=parts,
        more_sections=len(wrong) - len(parts),
        others=others[:_MOST_ENTRIES],
        more_others=max(0, len(others) - _MOST_ENTRIES),
        suites=tuple(tuple(suite_lines(suite))[:_MOST_SUITE_LINES] for suite in report.suites),
        coverage=tuple((one.build, headline(one)) for one in coverage),
        coverage_file=PAGE_FILE,
        not_reached=not_reached(report, coverage),
        tables=tuple(_tables(report)),
        timeline=timeline if len(timeline) <= _LARGEST_PICTURE else "",
        again=shlex.join(report.argv),
        example=next((one.cells[0].cell.name for one in wrong), _first_cell(report)),
    )
    return text.encode("ascii", errors="xmlcharrefreplace").decode()


def _first_cell(report: RunReport) -> str:
    return report.cells[0].cell.name if report.cells else ""


def _tables(report: RunReport) -> Iterator[BuildTable]:
    for name, cells in list(by_build(report.cells).items())[:MOST_COLUMNS]:
        shown = rows(cells)
        yield BuildTable(name=name, rows=shown[:MOST_ROWS], more=max(0, len(shown) - MOST_ROWS))
