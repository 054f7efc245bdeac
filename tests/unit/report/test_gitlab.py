# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as GitLab's code quality report."""

import json
from dataclasses import replace
from typing import Any

from orchestrator.model.history import News
from orchestrator.model.outcomes import Outcome
from orchestrator.report.gitlab import code_quality_text
from tests.unit.samples import cell_report, compared_report, mixed_report, run_report

SEVERITIES = {"info", "minor", "major", "critical", "blocker"}


def entries(report: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(code_quality_text(report))
    return found


def test_each_finding_is_an_entry_with_all_that_gitlab_requires() -> None:
    found = entries(mixed_report())

    assert [one["check_name"] for one in found] == ["lost", "crashed", "hung", "not-exercised"]
    for one in found:
        assert set(one) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert one["severity"] in SEVERITIES
        assert one["location"]["path"]
        assert one["location"]["lines"]["begin"] >= 1
    assert found[2]["description"] == ("hung: a swapoff never returned (patched.plain.arm64.mincore and 1 more)")


def test_a_splat_is_at_the_line_of_the_function_that_the_series_changed() -> None:
    places = {one["description"].partition(" (")[0]: one["location"] for one in entries(compared_report())}

    assert places["crashed: KASAN: use-after-free Read in swap_cache_get_folio"] == {
        "path": "mm/swap_state.c", "lines": {"begin": 412},
    }  # fmt: skip


def test_the_same_finding_has_the_same_fingerprint_in_the_next_run() -> None:
    again = replace(mixed_report(), id="2026-11-23T190102Z-0000", seconds=1.0)

    prints = [one["fingerprint"] for one in entries(mixed_report())]
    assert prints == [one["fingerprint"] for one in entries(again)]
    assert len(set(prints)) == len(prints)


def test_what_earlier_runs_had_is_no_alarm() -> None:
    bad = cell_report(Outcome.HUNG, "a swapoff never returned")
    known = News(since="2026-11-21", runs=3, known={bad.cell.name: "2026-11-20"})

    assert [one["severity"] for one in entries(run_report(bad))] == ["critical"]
    assert [one["severity"] for one in entries(replace(run_report(bad), news=known))] == ["info"]
    assert entries(run_report(cell_report())) == []
