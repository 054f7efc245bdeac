# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run spent its time on, as a picture: a row for the source, each build and each cell (pure)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.model.phases import Phase, Span
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.junit_document import valid_xml
from orchestrator.report.lanes import guest_lanes
from orchestrator.report.templating import render

# Told apart by those who see colours otherwise, too (after Okabe and Ito), and on both grounds.
COLOURS = {
    Phase.FETCH: "#999999",
    Phase.PATCH: "#b8a100",
    Phase.CONFIGURE: "#e69f00",
    Phase.COMPILE: "#d55e00",
    Phase.PACK: "#8c6d46",
    Phase.BOOT: "#56b4e9",
    Phase.RESTORE: "#9ad0f5",
    Phase.SETUP: "#0072b2",
    Phase.WORKLOAD: "#009e73",
    Phase.EVIDENCE: "#cc3311",
    Phase.COLLECT: "#cc79a7",
    Phase.JUDGE: "#7f5fb8",
}

_CHAR = 7.25  # px of one character of the font
_MARGIN = 12.0
_ROW = 20.0
_PLOT = 900.0
_TITLE = 22.0
_MARKS_A_LINE = 6
# With more rows than this, nobody looks at single cells: guests that ran after one another then share a row.
MOST_ROWS = 150
# What is thinner can't be seen, and ten thousand cells would make a picture that no viewer opens.
_THINNEST = 0.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the picture: what is written before it, its spans, and what is written behind them."""

    name: str
    spans: tuple[tuple[str, tuple[Span, ...]], ...]  # with what they belong to
    note: str = ""
    bad: bool = False

    @property
    def start(self) -> float:
        return self.spans[0][1][0].start

    @property
    def end(self) -> float:
        return max((span.end for _, spans in self.spans for span in spans), default=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A phase as it is drawn, in px; `tip` is shown where the pointer rests."""

    x: float
    width: float
    colour: str
    tip: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnRow:
    """A Row with its place in the picture; its note begins behind `end`."""

    y: float
    end: float
    name: str
    bars: tuple[Bar, ...]
    note: str
    bad: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LegendMark:
    x: float
    y: float
    colour: str
    phase: Phase


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A mark of the axis."""

    x: float
    label: str


def timeline_svg(report: RunReport) -> str:
    """The whole picture as an SVG document; the x axis is in seconds since the run began."""
    rows = timeline_rows(report)
    return _svg(report, rows, max([*(row.end for row in rows), report.seconds, 0.1]))


def timeline_rows(report: RunReport) -> tuple[Row, ...]:
    """What is drawn, in the order in which it began. Cells that never began are not."""
    named = [Row(name=one.name, spans=((one.name, one.spans),)) for one in report.timings if one.spans]
    cells = [cell for cell in report.cells if cell.spans]
    drawn = [_cell_row(cell) for cell in cells] if len(cells) <= MOST_ROWS else _lane_rows(cells)
    return tuple(sorted([*named, *drawn], key=lambda row: row.start))


def _cell_row(cell: CellReport) -> Row:
    outcome = cell.verdict.outcome
    seconds = cell.spans[-1].end - cell.spans[0].start
    return Row(
        name=cell.cell.name,
        spans=((cell.cell.name, cell.spans),),
        note=f"{outcome} {seconds:.1f} s",
        bad=not outcome.good,
    )


def _lane_rows(cells: Sequence[CellReport]) -> list[Row]:
    return [_lane_row(number, lane) for number, lane in enumerate(guest_lanes(cells), start=1)]


def _lane_row(number: int, cells: Sequence[CellReport]) -> Row:
    bad = sum(not cell.verdict.outcome.good for cell in cells)
    return Row(
        name=f"guest {number}",
        spans=tuple((cell.cell.name, cell.spans) for cell in cells),
        note=f"{len(cells)} cells" + (f", {bad} bad" if bad else ""),
        bad=bad > 0,
    )


def _svg(report: RunReport, rows: Sequence[Row], seconds: float) -> str:
    left = 2 * _MARGIN + _CHAR * max((len(valid_xml(row.name)) for row in rows), default=0)
    right = 2 * _MARGIN + _CHAR * max((len(row.note) for row in rows), default=0)
    used = {span.phase for row in rows for _, spans in row.spans for span in spans}
    legend = tuple(_legend([phase for phase in Phase if phase in used]))
    top = max((mark.y for mark in legend), default=_MARGIN + _TITLE - _ROW) + 2 * _ROW
    height = top + _ROW * len(rows) + 2 * _MARGIN
    scale = _PLOT / seconds
    text = render(
        "timeline.svg",
        title=f"{report.id}: what {seconds:.0f} s went on",
        width=left + _PLOT + right,
        height=height,
        left=left,
        top=top,
        bottom=height - 2 * _MARGIN,
        legend=legend,
        ticks=tuple(_ticks(seconds, left)),
        rows=tuple(_drawn(row, left, top + _ROW * number, scale) for number, row in enumerate(rows)),
    )
    return f"{text}\n"


def _legend(phases: Sequence[Phase]) -> Iterator[LegendMark]:
    for number, phase in enumerate(phases):
        line, place = divmod(number, _MARKS_A_LINE)
        x, y = _MARGIN + 110 * place, _MARGIN + _TITLE + _ROW * line
        yield LegendMark(x=x, y=y, colour=COLOURS[phase], phase=phase)


def _ticks(seconds: float, left: float) -> Iterator[Tick]:
    step = tick_seconds(seconds)
    for number in range(int(seconds / step) + 1):
        yield Tick(x=left + number * step * _PLOT / seconds, label=f"{number * step:g} s")


def tick_seconds(seconds: float) -> float:
    """The step of an axis of so many seconds: 1, 2 or 5 times a power of ten, or whole minutes; at most 12 marks."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 18_000, 36_000):
        if seconds / step <= 12:
            return step
    return seconds / 12


def _drawn(row: Row, left: float, y: float, scale: float) -> DrawnRow:
    end = left + row.end * scale
    bars = tuple(_bars(row, left, scale))
    return DrawnRow(y=y, end=end, name=row.name, bars=bars, note=row.note, bad=row.bad)


def _bars(row: Row, left: float, scale: float) -> Iterator[Bar]:
    drawn = left
    for name, span in ((name, span) for name, spans in row.spans for span in spans):
        x, end = max(drawn, left + span.start * scale), left + span.end * scale
        if end - x < _THINNEST:
            continue
        tip = f"{name}: {span.phase} {span.end - span.start:.2f} s, from {span.start:.2f} s"
        yield Bar(x=x, width=end - x, colour=COLOURS[span.phase], tip=tip)
        drawn = end
