# SPDX-License-Identifier: GPL-2.0-or-later
"""trace.json: what the Trace Event Format asks of each event, and what a viewer makes of the lanes."""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.phases import Phase, Timing
from orchestrator.model.reports import RunReport
from orchestrator.report.lanes import guest_lanes
from tests.conftest import Golden
from tests.unit.report.test_timeline import ran, report, spans
from tests.unit.report_texts import trace_text
from tests.unit.samples import run_report

GOLDEN = Path(__file__).parents[2] / "golden"
METADATA = {"process_name": "name", "thread_name": "name", "thread_sort_index": "sort_index"}


def events(run: RunReport) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(trace_text(run))["traceEvents"]
    return found


def complete(run: RunReport) -> list[dict[str, Any]]:
    return [event for event in events(run) if event["ph"] == "X"]


def lanes(run: RunReport) -> dict[str, list[str]]:
    """What each lane is called -> the names of its events that lie in no other event."""
    names = {
        (event["pid"], event["tid"]): event["args"]["name"] for event in events(run) if event["name"] == "thread_name"
    }
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    for event in complete(run):
        if event["cat"] == "cell" or event["pid"] == 1:
            found[names[event["pid"], event["tid"]]].append(event["name"])
    return found


def test_the_trace_is_the_golden_one(golden: Golden) -> None:
    golden.text(GOLDEN / "trace.json", trace_text(report()))


def test_each_event_has_the_fields_that_the_format_asks_for() -> None:
    for event in events(report()):
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "X":
            assert isinstance(event["ts"], int)
            assert isinstance(event["dur"], int)
            assert event["dur"] >= 0
        else:
            assert event["ph"] == "M"
            assert METADATA[event["name"]] in event["args"]


def test_each_lane_that_is_used_has_a_name() -> None:
    found = events(report())
    named = {(event["pid"], event["tid"]) for event in found if event["name"] == "thread_name"}
    groups = {event["pid"] for event in found if event["name"] == "process_name"}

    used = {(event["pid"], event["tid"]) for event in found if event["ph"] == "X"}
    assert used == named
    assert {pid for pid, _ in used} == groups
    assert len({lane for _, lane in used} | groups) == len(used) + len(groups), "numbers are of one thing each"


def test_there_are_as_many_lanes_of_guests_as_ran_at_once() -> None:
    cells = [ran("swapin", 0.0), ran("shmem", 1.0), ran("mincore", 30.0), ran("large", 30.0, seconds=5.0)]
    cells.append(ran("io-error", 40.0, seconds=1.0))

    assert {lane: [name.rpartition(".")[2] for name in names] for lane, names in lanes(run_report(*cells)).items()} == {
        "guest 1": ["swapin", "mincore"],
        "guest 2": ["shmem", "large", "io-error"],
    }


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=20))
def test_a_cell_is_on_the_first_lane_that_is_free_when_it_begins(times: list[tuple[int, int]]) -> None:
    cells = [ran(f"w{at}", start, seconds=seconds) for at, (start, seconds) in enumerate(times)]
    ends: list[float] = []  # of each lane
    expected: list[list[str]] = []

    for cell in sorted(cells, key=lambda cell: cell.spans[0].start):
        free = [lane for lane, end in enumerate(ends) if end <= cell.spans[0].start]
        lane = free[0] if free else len(ends)
        ends[lane : lane + 1] = [cell.spans[-1].end]
        expected[lane:] = [[*(expected[lane] if free else []), cell.cell.name], *expected[lane + 1 :]]

    assert [[cell.cell.name for cell in lane] for lane in guest_lanes(cells)] == expected


def test_the_source_and_each_build_have_a_lane_of_their_own() -> None:
    assert list(lanes(report()))[:2] == ["kernel source", "patched.plain.x86_64"]


def test_a_run_that_did_nothing_has_no_lanes() -> None:
    assert lanes(run_report()) == {}


times = st.floats(0, 10_000).map(lambda seconds: round(seconds, 3))


@given(st.lists(st.tuples(times, st.floats(0, 900).map(lambda seconds: round(seconds, 3))), max_size=12))
def test_events_of_one_lane_lie_inside_of_each_other_or_apart(cells: list[tuple[float, float]]) -> None:
    """What overlaps in part, a viewer drops."""
    timing = Timing(name="a build", spans=spans(0.1, (Phase.PATCH, 0.2), (Phase.COMPILE, 0.7)))
    reports = (ran(f"w{at}", start, seconds=long) for at, (start, long) in enumerate(cells))
    run = replace(run_report(*reports), timings=(timing,))

    by_lane = defaultdict(list)
    for event in complete(run):
        by_lane[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for found in by_lane.values():
        open_ends: list[int] = []
        for start, end in sorted(found, key=lambda one: (one[0], -one[1])):
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1]
            open_ends.append(end)
