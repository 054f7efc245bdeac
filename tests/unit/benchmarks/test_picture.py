# SPDX-License-Identifier: GPL-2.0-or-later
"""The pictures of the README show what a terminal showed, and the counts that a run has."""

import sys
from pathlib import Path
from xml.etree import ElementTree

from rich.text import Text

from benchmarks import measure, measurements, picture, runs
from orchestrator.report.coverage.figures import coverage_of
from orchestrator.report.coverage.side_by_side import side_by_side
from tests.unit.coverage_samples import report

SVG = "{http://www.w3.org/2000/svg}"
# A live view that comes and goes twice, below lines that stay.
LIVE = """
from rich.console import Console
from rich.live import Live
from rich.table import Table
console = Console()
table = Table.grid()
table.add_row("under way")
table.add_row("a second row")
with Live(table, console=console, transient=True, auto_refresh=False) as live:
    live.refresh()
    console.print("built", style="green")
    live.refresh()
console.print("1 passed")
"""


def texts(svg: str) -> list[str]:
    return [
        "".join(element.itertext()).replace("\xa0", " ") for element in ElementTree.fromstring(svg).iter(f"{SVG}text")
    ]


def test_what_a_live_view_erased_is_not_on_the_final_screen() -> None:
    lines = picture.final_screen(picture.recorded([sys.executable, "-c", LIVE]))

    plain = [Text.from_ansi(line).plain for line in lines]
    assert [line for line in plain if line] == ["built", "1 passed"]


def test_a_terminal_needs_nothing_from_the_network() -> None:
    svg = picture.terminal_svg("patchrig run m.yaml", ["\x1b[32mpassed\x1b[0m", "1 passed"])

    assert "@font-face" not in svg
    assert "url(http" not in svg
    assert [text for text in texts(svg) if text.strip()][:3] == ["patchrig", "$ patchrig run m.yaml", "passed"]


def test_the_picture_of_coverage_has_the_diff_with_its_counts() -> None:
    (series,) = side_by_side(coverage_of(report()))
    file = picture.shown_file(series)

    drawn = texts(picture.coverage_svg(series, file))

    assert drawn[0] == file.path
    for row in file.rows:
        assert f"{row.line.kind}{row.line.text}".expandtabs(8) in drawn
    assert {mark.shown for row in file.rows for mark in row.marks if mark.kind} <= set(drawn)


def test_the_figures_of_a_benchmark_become_a_measurement(tmp_path: Path) -> None:
    figures = [
        runs.Figure(what="a boot", measured=0.8, reach=2.5),
        runs.Figure(what="beside vng", measured=0.8, reach=0.2, peer=3.2),
    ]

    path = measurements.store("boot", measure.measurement("boot", figures), tmp_path)

    one = measurements.load(path)
    assert one.title.startswith("QEMU's start to the first command done")
    assert one.command == 'make benchmark ARGS="--only boot"'
    assert one.rows == (
        ("a boot", "0.80 s", "", "2.50 s", "0.32"),
        ("beside vng", "0.80 s", "3.20 s", "0.20 of the peer", "0.25"),
    )
