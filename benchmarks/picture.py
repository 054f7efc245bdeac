# SPDX-License-Identifier: GPL-2.0-or-later
"""The pictures of the README, from a real run: docs/pictures/terminal.svg and docs/pictures/coverage.svg.

    python -m benchmarks.picture                      records a run of two workloads, and one with delays for the counts
    python -m benchmarks.picture --terminal -- ARGS   records `patchrig run ARGS` only
    python -m benchmarks.picture --coverage FOLDER    draws the counts of a run that is there

`make pictures` does the first. It builds what is not in the cache, and takes a minute more.
"""

import argparse
import io
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text

from benchmarks.runs import MATRIX, PATCHRIG, PROJECT
from orchestrator.report.coverage.figures import coverage_of
from orchestrator.report.coverage.side_by_side import AnnotatedFile, Row, SideBySide, side_by_side
from orchestrator.report.store import load_run

PICTURES = PROJECT / "docs" / "pictures"
COLUMNS = 100
ROWS = 40
SHOWN_RUN = (str(MATRIX.relative_to(PROJECT)), "--workload", "swapin", "--workload", "mincore")
COUNTED_RUN = (str(MATRIX.relative_to(PROJECT)), "--workload", "mincore", "--flavour", "widened", "--json")

# --- A terminal --------------------------------------------------------------------------------

_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\r|\n")


def recorded(argv: Sequence[str]) -> str:
    """All that a command prints on a terminal, whatever its exit code: a red cell is a picture, too."""
    main, child = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    with subprocess.Popen(argv, stdin=child, stdout=child, stderr=child, cwd=PROJECT, env=env) as started:
        os.close(child)
        chunks = list(iter(lambda: _read(main), b""))
        started.wait()
    os.close(main)
    return b"".join(chunks).decode(errors="replace")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # The other end is closed: Linux says EIO.
        return b""


def final_screen(output: str) -> list[str]:
    """The lines that a terminal shows in the end, with their colours.

    It knows the controls that a live view of rich uses: up, erase the line, and back to its start.
    """
    lines, at, written = [""], 0, 0
    for match in _CONTROL.finditer(output + "\r"):
        lines[at] += output[written : match.start()]
        written = match.end()
        if match[0] == "\n":
            at += 1
            lines += [""] * (at == len(lines))
        elif match[2] == "A":
            at = max(0, at - int(match[1] or 1))
        elif match[2] == "K":
            lines[at] = ""
        elif match[2] == "m":
            lines[at] += match[0]
    return lines


def terminal_svg(command: str, lines: Sequence[str]) -> str:
    """A terminal with a command and its output."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi("\n".join(lines).rstrip()))
    svg = console.export_svg(title="patchrig", unique_id="patchrig")
    # No font from the network: a picture needs nothing beside itself.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace")


def draw_terminal(arguments: Sequence[str]) -> Path:
    output = recorded([str(PATCHRIG), "run", *arguments]).replace(f"{PROJECT}/", "")
    path = PICTURES / "terminal.svg"
    path.write_text(terminal_svg(f"patchrig run {shlex.join(arguments)}", final_screen(output)), encoding="utf-8")
    return path


# --- A page of coverage ------------------------------------------------------------------------

MOST_ROWS = 30
LINE_HEIGHT, LETTER, COUNT_WIDTH = 18, 7.3, 90
# The light colours of orchestrator/report/templates/coverage.css.
GROUND, TEXT, FAINT, RULE = "#ffffff", "#1f2328", "#59636e", "#d1d9e0"
MARKED = {"ran": ("#d8ecff", "#0a3069"), "missed": ("#ffe3c8", "#7a2e00"), "": (GROUND, FAINT)}


def shown_file(series: SideBySide) -> AnnotatedFile:
    """The C file of the series with most counts; of a series of headers, the header."""
    sources = [file for file in series.files if file.path.endswith(".c")]
    marks = {file: [mark for row in file.rows for mark in row.marks] for file in sources or series.files}
    return max(marks, key=lambda file: sum(mark.kind == "ran" for mark in marks[file]))


def coverage_svg(series: SideBySide, file: AnnotatedFile) -> str:
    """The diff of one file, with the count of each build before each changed line, as on the page of coverage."""
    rows = list(_lines_of(file))[:MOST_ROWS]
    counts = COUNT_WIDTH * len(series.builds)
    width = int(counts + 40 + LETTER * max(len(_text(row)) for row in rows))
    height = LINE_HEIGHT * (len(rows) + 4)
    svg = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "font-family": "ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace",
            "font-size": "12",
        },
    )
    _box(svg, 0, 0, width, height, GROUND)
    _write(svg, 16, LINE_HEIGHT * 1.5, file.path, TEXT, weight="bold")
    for number, build in enumerate(series.builds):
        _write(svg, COUNT_WIDTH * (number + 1), LINE_HEIGHT * 2.6, build.rsplit(".", 1)[-1], FAINT, anchor="end")
    _box(svg, 16, LINE_HEIGHT * 2.9, width - 32, 1, RULE)
    for number, row in enumerate(rows):
        _draw_row(svg, row, LINE_HEIGHT * (number + 3), counts)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _lines_of(file: AnnotatedFile) -> Iterator[Row | str]:
    for hunk in file.hunks:
        yield f"@@ {hunk.start} @@"
        yield from hunk.rows


def _text(row: Row | str) -> str:
    return row if isinstance(row, str) else f"{row.line.kind}{row.line.text}".expandtabs(8)


def _draw_row(svg: ElementTree.Element, row: Row | str, top: float, left: float) -> None:
    base = top + LINE_HEIGHT * 0.72
    if isinstance(row, str):
        _write(svg, left + 16, base, row, FAINT)
        return
    for number, mark in enumerate(row.marks):
        ground, text = MARKED[mark.kind]
        if mark.kind:
            _box(svg, COUNT_WIDTH * number + 20, top, COUNT_WIDTH - 12, LINE_HEIGHT, ground)
        _write(svg, COUNT_WIDTH * (number + 1), base, mark.shown, text, anchor="end")
    if row.missed:
        _box(svg, left + 12, top, LETTER * len(_text(row)) + 8, LINE_HEIGHT, MARKED["missed"][0])
    _write(svg, left + 16, base, _text(row), TEXT if row.line.kind != "-" else FAINT)


def _box(svg: ElementTree.Element, left: float, top: float, width: float, height: float, fill: str) -> None:
    sizes = {"x": left, "y": top, "width": width, "height": height}
    ElementTree.SubElement(svg, "rect", {name: f"{size:g}" for name, size in sizes.items()} | {"fill": fill})


def _write(svg: ElementTree.Element, left: float, base: float, text: str, fill: str, **how: str) -> None:
    names = {"anchor": "text-anchor", "weight": "font-weight"}
    attributes = {"x": f"{left:g}", "y": f"{base:g}", "fill": fill, "xml:space": "preserve"}
    element = ElementTree.SubElement(svg, "text", attributes | {names[key]: value for key, value in how.items()})
    element.text = text


def draw_coverage(folder: Path) -> Path:
    series = side_by_side(coverage_of(load_run(folder)))
    if not series:
        sys.exit(f"{folder}: no coverage; patchrig run ... --flavour widened has it")
    path = PICTURES / "coverage.svg"
    path.write_text(coverage_svg(series[0], shown_file(series[0])), encoding="utf-8")
    return path


def counted_run() -> Path:
    argv = [str(PATCHRIG), "run", *COUNTED_RUN]
    done = subprocess.run(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        sys.exit(f"{shlex.join(argv)} ended with status {done.returncode}")
    return Path(json.loads(done.stdout)["folder"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--terminal", action="store_true", help="only the terminal; ARGS are those of patchrig run")
    what.add_argument("--coverage", metavar="FOLDER", type=Path, help="only the page, of this run")
    parser.add_argument("args", nargs="*", metavar="ARGS")
    asked = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    if not asked.coverage:
        sys.stdout.write(f"{draw_terminal(asked.args or SHOWN_RUN)}\n")
    if not asked.terminal:
        sys.stdout.write(f"{draw_coverage(asked.coverage or counted_run())}\n")


if __name__ == "__main__":
    main()
