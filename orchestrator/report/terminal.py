# SPDX-License-Identifier: GPL-2.0-or-later
"""Events -> what a person sees: a live view on a terminal, plain lines anywhere else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.host.deadline import now
from orchestrator.host.text import printable
from orchestrator.model.bugs import Sensitivity
from orchestrator.model.events import (
    BuildEnded,
    BuildProgress,
    CellEnded,
    CellProgress,
    CellStarted,
    Download,
    Event,
    Listener,
    Notice,
    PhaseBegan,
    Step,
    TrialEnded,
    TrialProgress,
)
from orchestrator.model.history import NOT_BUILT
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.bugs_report import bug_rows, bugs_by_build, conclusions
from orchestrator.report.crash_entries import Comparisons, crash_entries, tally_text
from orchestrator.report.news_text import news_lines
from orchestrator.report.suite_text import suite_lines
from orchestrator.report.summary import by_build, findings, outcome_counts, rows, without_baseline

# Without a total, a line for each so many objects or bytes.
_OBJECTS = 200
_BYTES = 20_000_000
_TENTH = 10
_MOST_ENTRIES = 12
_LEAST_SEEN = 50

_STYLES = {
    Outcome.PASSED: "green",
    Outcome.SKIPPED: "yellow",
    Outcome.SUBTESTS_FAILED: "yellow",
    Outcome.NOT_EXERCISED: "yellow",
    Outcome.LOST: "magenta",
}


def screen(*, beside_output: bool = False) -> Console:
    """The user's terminal: standard output, or standard error where a script reads the output."""
    return Console(stderr=beside_output)


@contextmanager
def terminal(console: Console) -> Iterator[Listener]:
    """Show events for the length of the block. The listener may be called from any thread."""
    if not console.is_terminal:
        yield _Lines(console).show
        return
    view = _LiveView(console)
    with Live(get_renderable=view.render, console=console, refresh_per_second=4, transient=True):
        yield view.show


def print_table(report: RunReport, console: Console) -> None:
    """The verdicts of a run: one table for each build."""
    for name, cells in by_build(report.cells).items():
        table = Table(title=_plain(name), title_justify="left", box=None, pad_edge=False)
        table.add_column("workload")
        table.add_column("outcome")
        for column in ("operations", "verified", "swapoffs"):
            table.add_column(column, justify="right")
        for row in rows(cells):
            table.add_row(_plain(row.workload), _coloured(row.outcome), *row.figures)
        console.print(table)
        console.print()
    for suite in report.suites:
        for line in suite_lines(suite):
            say(console, line)
        console.print()
    _print_crashes(report, console)
    say(console, outcome_counts(report.cells))
    for line in news_lines(report):
        say(console, line)
    # Of the worst finding that a kernel is to blame for; summary.txt has one for each.
    compared = Comparisons(report.cells)
    each = (tuple(without_baseline(report, finding, compared)) for finding in findings(report.cells))
    commands = (lines for lines in each if lines)
    for line in next(commands, ()):
        say(console, line)


def _print_crashes(report: RunReport, console: Console) -> None:
    entries = [entry for entry in crash_entries(report.cells) if entry.fails]
    if not entries:
        return
    table = Table(title="what the kernels said", title_justify="left", box=None, pad_edge=False)
    table.add_column("cells", justify="right")
    table.add_column("splat", overflow="fold")
    for entry in entries[:_MOST_ENTRIES]:
        tally = f"  {tally_text(entry)}" if entry.compared else ""
        after = "  (only after another)" if entry.follow_up else ""
        table.add_row(str(entry.count), Text.assemble((printable(entry.title), "bold red"), after, printable(tally)))
    console.print(table)
    if len(entries) > _MOST_ENTRIES:
        say(console, f"and {len(entries) - _MOST_ENTRIES} more, in {report.folder / 'run.json'}")
    console.print()


def print_sensitivity(report: Sensitivity, console: Console) -> None:
    """What became of each bug: one table for each build."""
    for name, bugs in bugs_by_build(report).items():
        table = Table(title=_plain(name), title_justify="left", box=None, pad_edge=False)
        shown = bug_rows(bugs)
        fixed = 0
        for place, column in enumerate(("bug", "class", "found by", "outcome", "guest s")):
            width = max(len(column), *(len(row.cells[place]) for row in shown))
            table.add_column(column, justify="right" if column == "guest s" else "left", min_width=width)
            fixed += width + 2
        table.add_column("what was seen", overflow="fold")
        for row in shown:
            style = "" if row.good else "bold red"
            table.add_row(*(_plain(cell, style) for cell in row.cells))
        # An id that is cut off can't be given to --bug: only the last column is folded, and has some room everywhere.
        console.width = max(console.width, fixed + _LEAST_SEEN)
        console.print(table)
        console.print()
    for line in conclusions(report):
        say(console, line)


def event_text(event: Event) -> str:
    """One plain line for an event, printable; "" for the ones that only a live view shows each time."""
    # What is told may quote a guest or a Makefile, which must not add lines of its own.
    return printable(_event_text(event)).replace("\n", " ")


def _event_text(event: Event) -> str:
    match event:
        case Step(text=text):
            return text
        case Notice(text=text):
            return f"NOTE: {text}"
        case Download(what=what, done=done, total=total):
            return f"{what}: {_share(done, total)}{done // 1_000_000} MB"
        case BuildProgress(build=build, objects=objects, expected=expected):
            return f"{build.name}: {_share(objects, expected)}{objects} objects"
        case BuildEnded(build=build, text=text):
            return f"{build.name}: {text}"
        case CellStarted(cell=cell):
            return f"{cell.name}: started"
        case CellEnded(report=report):
            return _cell_end_text(report)
        case TrialEnded(name=name, text=text):
            return f"{name}: {text}"
        case CellProgress() | TrialProgress() | PhaseBegan():
            return ""


def _cell_end_text(report: CellReport) -> str:
    verdict = report.verdict
    if verdict.outcome in NOT_BUILT:
        return ""  # the end of its build says why
    return f"{report.cell.name}: {verdict.outcome.upper()} in {report.seconds:.0f} s: {verdict.title}"


def _share(done: int, total: int | None) -> str:
    return f"{min(100, 100 * done // total)} %, " if total else ""


def say(console: Console, text: str, style: str = "") -> None:
    """Print text of whomever, as it is and printable."""
    console.print(_plain(text, style), soft_wrap=True)


def _plain(text: str, style: str = "") -> Text:
    """Text of whomever: no markup, and nothing that moves a cursor."""
    return Text(printable(text), style=style)


def _coloured(outcome: str) -> Text:
    style = _STYLES.get(Outcome(outcome), "bold red") if outcome in list(Outcome) else "bold red"
    return _plain(outcome, style)


class _Lines:
    """One line for a start and an end, and now and then one in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._shown: dict[str, int] = {}

    def show(self, event: Event) -> None:
        with self._lock:
            if text := event_text(event) if self._is_news(event) else "":
                # Not through rich, which takes a millisecond a line: there may be twenty thousand.
                self._console.file.write(f"{text}\n")
                self._console.file.flush()

    def _is_news(self, event: Event) -> bool:
        match event:
            case Download(what=what, done=done, total=total):
                return self._advanced(what, done, total, _BYTES)
            case BuildProgress(build=build, objects=objects, expected=expected):
                return self._advanced(build.name, objects, expected, _OBJECTS)
        return True

    def _advanced(self, what: str, done: int, total: int | None, step: int) -> bool:
        mark = _TENTH * done // total if total else done // step
        if mark <= self._shown.get(what, 0):
            return False
        self._shown[what] = mark
        return True


@dataclass(slots=True)
class _Task:
    """Something under way."""

    began: float = field(default_factory=now)
    done: int = 0
    total: int | None = None
    text: str = ""


class _LiveView:
    """What is under way, redrawn in place; what has ended scrolls away above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}
        self._step = ""

    def show(self, event: Event) -> None:
        with self._lock:
            match event:
                case Step(text=text):
                    self._step = text
                case Notice():
                    say(self._console, event_text(event), "yellow")
                case Download(what=what, done=done, total=total):
                    self._advance(what, done, total, f"{done // 1_000_000} MB")
                    if done == total:
                        self._tasks.pop(what, None)
                case BuildProgress(build=build, objects=objects, expected=expected):
                    self._advance(build.name, objects, expected, f"{objects} objects")
                case BuildEnded(build=build, good=good):
                    self._end(build.name, event_text(event), "" if good else "bold red")
                case _:
                    self._show_guest(event)

    def _show_guest(self, event: Event) -> None:
        match event:
            case CellStarted(cell=cell):
                self._tasks[cell.name] = _Task(total=cell.seconds, text="booting")
            case PhaseBegan(what=what, phase=phase):
                if task := self._tasks.get(what):
                    task.text = str(phase)
            case CellProgress(cell=cell, operations=operations, swapoffs=swapoffs, seconds=seconds):
                self._advance(cell.name, int(seconds), cell.seconds, f"{operations} operations, {swapoffs} swapoffs")
            case TrialProgress(name=name, text=text, done=done, total=total):
                self._advance(name, done, total, text)
            case TrialEnded(name=name, good=good):
                self._end(name, event_text(event), "green" if good else "bold red")
            case CellEnded(report=report):
                style = _STYLES.get(report.verdict.outcome, "bold red")
                self._end(report.cell.name, event_text(event), style)

    def render(self) -> RenderableType:
        with self._lock:
            table = Table.grid(padding=(0, 1))
            for name, task in self._tasks.items():
                bar = ProgressBar(total=task.total, completed=task.done, width=20, pulse=task.total is None)
                table.add_row(_plain(name), bar, Text(f"{now() - task.began:.0f} s"), _plain(task.text))
            return Group(table, _plain(self._step)) if self._step else table

    def _advance(self, name: str, done: int, total: int | None, text: str) -> None:
        self._step = ""
        task = self._tasks.setdefault(name, _Task())
        task.done, task.total, task.text = done, total, text

    def _end(self, name: str, text: str, style: str) -> None:
        self._tasks.pop(name, None)
        if text:
            say(self._console, text, style)
