# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run spent its time on, as a picture: a row for the source, each build and each cell (pure)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from xml.etree import ElementTree as ET

from orchestrator.model.phases import Phase, Span
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.junit import valid_xml

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
# The picture has a ground of its own, so that it can be read wherever it is put.
STYLE = """\
svg { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 12px }
.ground { fill: #ffffff }
text { fill: #1f2328 }
.faint { fill: #59636e }
.bad { fill: #b3261e; font-weight: bold }
.grid { stroke: #d1d9e0; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117 }
  text { fill: #f0f6fc }
  .faint { fill: #9198a1 }
  .bad { fill: #ff8a80 }
  .grid { stroke: #3d444d }
}
"""

_CHAR = 7.25  # px of one character of the font
_MARGIN = 12.0
_ROW = 20.0
_BAR = 13.0
_PLOT = 900.0
_TITLE = 22.0
# With more rows than this, nobody looks at single cells: guests that ran after one another then share a row.
MOST_ROWS = 150
# What is thinner can't be seen, and ten thousand cells would make a picture that no viewer opens.
_THINNEST = 0.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the picture: what is written before it, its spans, and what is written behind them."""

    name: str
    spans: tuple[tuple[str, Span], ...]  # each with what it belongs to
    note: str = ""
    bad: bool = False


def timeline_svg(report: RunReport) -> str:
    """The whole picture as an SVG document; the x axis is in seconds since the run began."""
    rows = timeline_rows(report)
    ends = [span.end for row in rows for _, span in row.spans]
    return _svg(report, rows, max([*ends, report.seconds, 0.1]))


def timeline_rows(report: RunReport) -> tuple[Row, ...]:
    """What is drawn, in the order in which it began. Cells that never began are not."""
    named = [Row(name=one.name, spans=_of(one.name, one.spans)) for one in report.timings if one.spans]
    cells = [cell for cell in report.cells if cell.spans]
    drawn = [_cell_row(cell) for cell in cells] if len(cells) <= MOST_ROWS else _lanes(cells)
    return tuple(sorted([*named, *drawn], key=lambda row: row.spans[0][1].start))


def _of(name: str, spans: Sequence[Span]) -> tuple[tuple[str, Span], ...]:
    return tuple((name, span) for span in spans)


def _cell_row(cell: CellReport) -> Row:
    outcome = cell.verdict.outcome
    seconds = cell.spans[-1].end - cell.spans[0].start
    return Row(
        name=cell.cell.name,
        spans=_of(cell.cell.name, cell.spans),
        note=f"{outcome} {seconds:.1f} s",
        bad=not outcome.good,
    )


def _lanes(cells: Iterable[CellReport]) -> list[Row]:
    """The cells on as few rows as there were guests at once."""
    lanes: list[list[CellReport]] = []
    for cell in sorted(cells, key=lambda cell: cell.spans[0].start):
        free = next((lane for lane in lanes if lane[-1].spans[-1].end <= cell.spans[0].start), None)
        if free is None:
            lanes.append(free := [])
        free.append(cell)
    return [_lane_row(number, lane) for number, lane in zip(count(1), lanes, strict=False)]


def _lane_row(number: int, cells: Sequence[CellReport]) -> Row:
    bad = sum(not cell.verdict.outcome.good for cell in cells)
    return Row(
        name=f"guest {number}",
        spans=tuple((cell.cell.name, span) for cell in cells for span in cell.spans),
        note=f"{len(cells)} cells" + (f", {bad} bad" if bad else ""),
        bad=bad > 0,
    )


def _svg(report: RunReport, rows: Sequence[Row], seconds: float) -> str:
    left = 2 * _MARGIN + _CHAR * max((len(valid_xml(row.name)) for row in rows), default=0)
    right = 2 * _MARGIN + _CHAR * max((len(row.note) for row in rows), default=0)
    legend = _legend_lines([phase for phase in Phase if any(span.phase is phase for _, span in _spans(rows))])
    top = _MARGIN + _TITLE + _ROW * len(legend) + _ROW
    width, height = left + _PLOT + right, top + _ROW * len(rows) + 2 * _MARGIN
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:g} {height:g}",
            "width": f"{width:g}",
            "height": f"{height:g}",
            "role": "img",
        },
    )
    title = f"{report.id}: what {seconds:.0f} s went on"
    ET.SubElement(root, "title").text = valid_xml(title)
    ET.SubElement(root, "style").text = STYLE
    ET.SubElement(root, "rect", {"class": "ground", "width": "100%", "height": "100%"})
    _text(root, _MARGIN, _MARGIN + 12, title)
    _draw_legend(root, legend)
    scale = _PLOT / seconds
    _draw_axis(root, left, top, height - 2 * _MARGIN, scale)
    for number, row in enumerate(rows):
        _draw_row(root, row, left, top + _ROW * number, scale)
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode") + "\n"


def _spans(rows: Iterable[Row]) -> Iterable[tuple[str, Span]]:
    return (span for row in rows for span in row.spans)


def _legend_lines(phases: Sequence[Phase]) -> list[list[Phase]]:
    return [list(phases[start : start + 6]) for start in range(0, len(phases), 6)]


def _draw_legend(root: ET.Element, lines: Sequence[Sequence[Phase]]) -> None:
    for number, phases in enumerate(lines):
        for place, phase in enumerate(phases):
            x, y = _MARGIN + 110 * place, _MARGIN + _TITLE + _ROW * number
            _rect(root, x, y, 13, _BAR, COLOURS[phase])
            _text(root, x + 19, y + 11, str(phase))


def _draw_axis(root: ET.Element, left: float, top: float, bottom: float, scale: float) -> None:
    step = tick_seconds(_PLOT / scale)
    for number in range(int(_PLOT / scale / step) + 1):
        x = left + number * step * scale
        ends = {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": f"{top - 4:.1f}", "y2": f"{bottom:.1f}"}
        ET.SubElement(root, "line", {"class": "grid", **ends})
        _text(root, x, top - 7, f"{number * step:g} s", kind="faint", anchor="middle")


def tick_seconds(seconds: float) -> float:
    """The step of an axis of so many seconds: 1, 2 or 5 times a power of ten, or whole minutes; at most 12 marks."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 18_000, 36_000):
        if seconds / step <= 12:
            return step
    return seconds / 12


def _draw_row(root: ET.Element, row: Row, left: float, y: float, scale: float) -> None:
    group = ET.SubElement(root, "g")
    _text(group, left - _MARGIN, y + 11, row.name, anchor="end")
    drawn = left
    for name, span in row.spans:
        x, end = max(drawn, left + span.start * scale), left + span.end * scale
        if end - x < _THINNEST:
            continue
        bar = _rect(group, x, y, end - x, _BAR, COLOURS[span.phase])
        tip = f"{name}: {span.phase} {span.end - span.start:.2f} s, from {span.start:.2f} s"
        ET.SubElement(bar, "title").text = valid_xml(tip)
        drawn = end
    if row.note:
        after = left + max((span.end for _, span in row.spans), default=0.0) * scale
        _text(group, after + 6, y + 11, row.note, kind="bad" if row.bad else "faint")


def _rect(parent: ET.Element, x: float, y: float, width: float, height: float, fill: str) -> ET.Element:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:g}"}
    return ET.SubElement(parent, "rect", {**place, "fill": fill})


def _text(parent: ET.Element, x: float, y: float, text: str, *, kind: str = "", anchor: str = "") -> None:
    attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}"}
    attributes |= {"class": kind} if kind else {}
    attributes |= {"text-anchor": anchor} if anchor else {}
    ET.SubElement(parent, "text", attributes).text = valid_xml(text)
