# SPDX-License-Identifier: GPL-2.0-or-later
"""What went wrong in a run, each thing once, as the sections of its page (pure)."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Crash
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.crash_entries import Comparisons
from orchestrator.report.crash_text import crash_lines
from orchestrator.report.news_text import finding_news
from orchestrator.report.next_command import baseline_command, wrapped_key
from orchestrator.report.summary import COMPARED, Finding, crash_of, whose

# The page is for reading. What is more is in summary.txt and cells.jsonl.
MOST_SECTIONS = 100
MOST_CELLS = 20
_MOST_REASONS = 20
_MOST_LINES = 200
_LONGEST = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class StackLine:
    """A line of a stack or of the source, and how it is shown."""

    text: str
    kind: Literal["", "changed", "fault"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkedCell:
    """A cell by its name; `href` leads to its console, relative to the run's folder, "" where there is none."""

    name: str
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One thing that went wrong: an outcome and a title, however many cells show it."""

    anchor: str
    outcome: str
    title: str
    count: int
    cells: tuple[LinkedCell, ...]
    facts: tuple[str, ...]  # whose it is, and what the judge says
    lines: tuple[StackLine, ...]  # of the splat: where, stack, source
    console: str  # the splat as the kernel printed it
    commands: tuple[str, ...]  # to run it again, and without the series
    key: str  # the first cell's replay key, in lines; "" where it has none

    @property
    def more(self) -> int:
        """Cells that are not listed."""
        return self.count - len(self.cells)


def sections(report: RunReport, findings: Sequence[Finding]) -> tuple[Section, ...]:
    """A section for each finding, the worst first; at most MOST_SECTIONS."""
    compared = Comparisons(report.cells)
    numbered = enumerate(findings[:MOST_SECTIONS], start=1)
    return tuple(_section(report, number, one, compared) for number, one in numbered)


def anchors_of(findings: Sequence[Finding]) -> Mapping[str, str]:
    """Name of a cell -> the anchor of its section."""
    numbered = enumerate(findings[:MOST_SECTIONS], start=1)
    return {cell.cell.name: _anchor(number) for number, one in numbered for cell in one.cells}


def _anchor(number: int) -> str:
    # Of a number only: a title may hold anything.
    return f"finding-{number}"


def _section(report: RunReport, number: int, finding: Finding, compared: Comparisons) -> Section:
    cell, crash = finding.cells[0], crash_of(finding)
    return Section(
        anchor=_anchor(number),
        outcome=finding.outcome.value,
        title=finding.title,
        count=len(finding.cells),
        cells=tuple(map(_linked, finding.cells[:MOST_CELLS])),
        facts=tuple(
            _cut(
                [
                    *finding_news(report, finding.cells),
                    *whose(finding, compared),
                    *cell.verdict.reasons[:_MOST_REASONS],
                ]
            )
        ),
        lines=tuple(_stack_lines(crash, cell)) if crash else (),
        console=crash.text if crash else "",
        commands=tuple(_commands(report, finding, alone=len(compared.variants) == 1)),
        key="\n".join(wrapped_key(cell.key)),
    )


def _linked(cell: CellReport) -> LinkedCell:
    # A cell that never booted has no console.
    href = f"{quote(cell.folder)}/console.log" if cell.folder and cell.run is not None else ""
    return LinkedCell(name=cell.cell.name, href=href)


def _stack_lines(crash: Crash, cell: CellReport) -> Iterator[StackLine]:
    for number, text in enumerate(crash_lines(crash, cell.cell.build.variant)):
        if number == _MOST_LINES:
            return
        kind: Literal["", "changed", "fault"] = "changed" if text.startswith("  * ") else ""
        yield StackLine(text=text[:_LONGEST], kind="fault" if text.startswith(">") else kind)


def _commands(report: RunReport, finding: Finding, *, alone: bool) -> Iterator[str]:
    cell = finding.cells[0]
    yield shlex.join(("patchrig", "repro", report.id, cell.cell.name))
    with_series = cell.cell.build.variant is Variant.PATCHED
    if finding.outcome in COMPARED and alone and with_series and (words := baseline_command(report, cell)):
        yield f"{shlex.join(words)}  # an old bug or a new one? without the series"


def _cut(lines: Iterable[str]) -> Iterator[str]:
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..." for line in lines)
