# SPDX-License-Identifier: GPL-2.0-or-later
"""The runs of a results folder as one HTML page, index.html: no script, no network; its size is bounded (pure)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from orchestrator.model.history import CellHistory, CellState, History, PastRun
from orchestrator.model.outcomes import Outcome
from orchestrator.report.history.history_text import LEGEND, counts_text, groups, marks, rate_text
from orchestrator.report.run_page.run_page import REPORT_FILE
from orchestrator.report.templating import render

INDEX_FILE = "index.html"
_MOST_RUNS = 60
_MOST_CELLS = 600
_MOST_SPLATS = 200
# The colours of the page of a run.
_KINDS = {
    CellState.NEW: "bad",
    CellState.STILL_BAD: "bad",
    CellState.FLAKY: "unproved",
    CellState.NEVER_EXERCISED: "unproved",
    CellState.FIXED: "good",
    CellState.GOOD: "good",
    CellState.UNKNOWN: "lost",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """A run with the number of its cells by outcome."""

    id: str
    href: str
    outcomes: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CellRow:
    name: str
    kind: str
    state: str
    marks: str
    rate: str
    seconds: float
    title: str
    href: str  # the run that failed last; "" for none


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The cells of one kernel line and series."""

    title: str
    rows: tuple[CellRow, ...]
    more: int


def index_text(history: History) -> str:
    """The page, in ASCII."""
    runs = history.runs[-_MOST_RUNS:]
    text = render(
        "index.html",
        counts=counts_text(history.cells),
        runs=tuple(reversed([_run_row(run) for run in runs])),
        more_runs=len(history.runs) - len(runs),
        groups=tuple(_groups(history.cells)),
        legend=LEGEND,
        splats=[(one, _href(one.first), _href(one.last)) for one in history.splats[:_MOST_SPLATS]],
        more_splats=max(0, len(history.splats) - _MOST_SPLATS),
    )
    return text.encode("ascii", errors="xmlcharrefreplace").decode()


def _href(run: str) -> str:
    return f"{quote(run)}/{REPORT_FILE}"


def _run_row(run: PastRun) -> RunRow:
    outcomes = [cell.outcome for cell in run.cells]
    counts = ((outcomes.count(outcome), outcome.value) for outcome in reversed(Outcome))
    text = ", ".join(f"{count} {name}" for count, name in counts if count)
    return RunRow(id=run.id, href=_href(run.id), outcomes=text, seconds=run.seconds)


def _groups(cells: Iterable[CellHistory]) -> Iterator[Group]:
    left = _MOST_CELLS
    for kernel, series, group in groups(tuple(cells)):
        title = ", ".join(part for part in (kernel or "no kernel", series or "without a series") if part)
        yield Group(title=title, rows=tuple(map(_cell_row, group[:left])), more=max(0, len(group) - left))
        left = max(0, left - len(group))


def _cell_row(one: CellHistory) -> CellRow:
    return CellRow(
        name=one.identity.name,
        kind=_KINDS[one.state],
        state=one.text,
        marks=marks(one.last),
        rate=rate_text(one.rate),
        seconds=one.seconds,
        title=one.title,
        href=_href(one.failed_last) if one.failed_last else "",
    )
