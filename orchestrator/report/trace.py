# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run spent its time on, for a trace viewer: trace.json, which ui.perfetto.dev and chrome://tracing open (pure).

Source: "Trace Event Format", the JSON object form: complete events ("X"), and metadata events ("M") that name lanes.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from typing import Literal, TypedDict

from orchestrator.host.text import json_text
from orchestrator.model.phases import Span
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.lanes import guest_lanes

# The format's processes and threads are groups of lanes, and lanes.
_BUILDS, _GUESTS = 1, 2
_GROUPS = {_BUILDS: "source and builds", _GUESTS: "guests"}


class CompleteEvent(TypedDict):
    """Something with a beginning and a length, in microseconds since the run began."""

    name: str
    cat: str  # what it belongs to, for the viewer's filter
    ph: Literal["X"]
    ts: int
    dur: int
    pid: int
    tid: int
    args: Mapping[str, str]


class MetadataEvent(TypedDict):
    """The name of a lane or of a group of lanes, or a lane's place in its group."""

    name: str
    ph: Literal["M"]
    pid: int
    tid: int
    args: Mapping[str, str | int]


Event = CompleteEvent | MetadataEvent


def trace_pieces(report: RunReport) -> Iterator[str]:
    """The file, with an event a line."""
    yield f'{{"displayTimeUnit": "ms", "otherData": {json_text({"run": report.id})}, "traceEvents": ['
    separator = "\n"
    for event in trace_events(report):
        yield f"{separator}{json_text(event)}"
        separator = ",\n"
    yield "\n]}\n"


def trace_events(report: RunReport) -> Iterator[Event]:
    """A lane for the source and for each build, then as many as there were guests at once."""
    for group, name in _GROUPS.items():
        yield MetadataEvent(name="process_name", ph="M", pid=group, tid=0, args={"name": name})
    # A thread that has its process's number is drawn first, and viewers know a thread by its number alone.
    lane = count(max(_GROUPS) + 1)
    for timing in (one for one in report.timings if one.spans):
        yield from _lane(_BUILDS, number := next(lane), timing.name)
        yield from _phases(timing.name, timing.spans, _BUILDS, number)
    for guest, cells in enumerate(guest_lanes(report.cells), start=1):
        yield from _lane(_GUESTS, number := next(lane), f"guest {guest}")
        yield from chain.from_iterable(_cell(cell, number) for cell in cells)


def _lane(group: int, number: int, name: str) -> Iterator[Event]:
    yield MetadataEvent(name="thread_name", ph="M", pid=group, tid=number, args={"name": name})
    yield MetadataEvent(name="thread_sort_index", ph="M", pid=group, tid=number, args={"sort_index": number})


def _cell(report: CellReport, lane: int) -> Iterator[Event]:
    """The cell as a whole, and its phases: what lies inside of another event is drawn below it."""
    start, end = _microseconds(report.spans[0].start), _microseconds(report.spans[-1].end)
    verdict = {"outcome": str(report.verdict.outcome), "title": report.verdict.title}
    name = report.cell.name
    yield CompleteEvent(name=name, cat="cell", ph="X", ts=start, dur=end - start, pid=_GUESTS, tid=lane, args=verdict)
    yield from _phases(name, report.spans, _GUESTS, lane)


def _phases(whose: str, spans: Iterable[Span], group: int, lane: int) -> Iterator[Event]:
    for span in spans:
        # The difference of rounded times: a phase then never reaches into the next one.
        start, end = _microseconds(span.start), _microseconds(span.end)
        name, args = str(span.phase), {"of": whose}
        yield CompleteEvent(name=name, cat="phase", ph="X", ts=start, dur=end - start, pid=group, tid=lane, args=args)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
