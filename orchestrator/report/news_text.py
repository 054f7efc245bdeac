# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a run is new, in words (pure)."""

from collections.abc import Iterator, Sequence

from orchestrator.model.history import News
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.reached_elsewhere import reached_by_others, unproved

_MOST = 20


def news_lines(report: RunReport) -> Iterator[str]:
    """That the run proves nothing, if so; a head, and a line for each new failure, if it was compared with others."""
    if why := unproved(report):
        yield why
    news = report.news
    if news is None:
        return
    if not news.runs:
        yield "There is no earlier run to compare with: all that fails is new."
        return
    old = len(news.known) + len(news.known_subtests)
    compared = f"{news.runs} earlier run{'s' if news.runs > 1 else ''}, the newest {news.since}"
    listed = bool(news.new or news.known_subtests)
    yield f"{len(news.new)} new, {old} old, compared with {compared}{':' if listed else ''}"
    for one in news.new[:_MOST]:
        cells = f"{len(one.cells)} cells" if len(one.cells) > 1 else one.cells[0]
        yield f"  NEW ({one.why}): {one.outcome}: {one.title} ({cells})"
    if len(news.new) > _MOST:
        yield f"  and {len(news.new) - _MOST} more new ones"
    for name, why in list(news.known_subtests.items())[:_MOST]:
        yield f"  {why}: {name}"


def finding_news(report: RunReport, cells: Sequence[CellReport]) -> Iterator[str]:
    """Whether what these cells show is new or old, and why it does not fail the run; nothing where neither is known."""
    news, names = report.news, {cell.cell.name for cell in cells}
    if any(cell.verdict.unreached for cell in cells):
        yield from sorted({why for name, why in reached_by_others(report.cells).items() if name in names})[:3]
    if news is None or not news.runs:
        return
    for one in news.new:
        if names & set(one.cells):
            yield f"NEW: {one.why}"
            break
    yield from sorted({why for name, why in news.known.items() if name in names})[:3]


def is_old_subtest(news: News | None, name: str) -> bool:
    """The same of a subtest that the series made worse; `name` is the suite's and the subtest's."""
    return news is not None and name in news.known_subtests
