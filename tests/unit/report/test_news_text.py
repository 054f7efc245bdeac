# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a run is new, in words."""

from dataclasses import replace

from orchestrator.model.history import NewFailure, News
from orchestrator.model.outcomes import Outcome
from orchestrator.report.news_text import news_lines
from tests.unit.samples import mixed_report


def test_a_head_with_nothing_below_it_ends_without_a_colon() -> None:
    quiet = News(since="2026-11-29T0300Z", runs=2)
    loud = replace(quiet, new=(NewFailure(outcome=Outcome.CRASHED, title="BUG: it", cells=("a.b",), why="first seen"),))

    assert list(news_lines(replace(mixed_report(), news=quiet))) == [
        "0 new, 0 old, compared with 2 earlier runs, the newest 2026-11-29T0300Z"
    ]
    assert list(news_lines(replace(mixed_report(), news=loud))) == [
        "1 new, 0 old, compared with 2 earlier runs, the newest 2026-11-29T0300Z:",
        "  NEW (first seen): crashed: BUG: it (a.b)",
    ]
