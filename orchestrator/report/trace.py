# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run spent its time on, for a trace viewer: trace.json, which ui.perfetto.dev and chrome://tracing open (pure).

Source: "Trace Event Format", the JSON object form: complete events ("X"), and metadata events ("M") that name lanes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count

from pydantic import TypeAdapter

from orchestrator.host.text import json_text
from orchestrator.model.phases import Span
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.lanes import guest_lanes

# The format's processes and threads are groups of lanes, and lanes.
_BUILDS, _GUESTS = 1, 2
_GROUPS = {_BUILDS: "source and builds", _GUESTS: "guests"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CompleteEvent:
    """Something with a beginning and a length, in microseconds since the run began."""

    name: str
    cat: str  # what it belongs to, for the viewer's filter
    ph: str = "X"
    ts: int
    dur: int
    pid: int
    tid: int
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class MetadataEvent:
    """The name of a lane or of a group of lanes, or a lane's place in its group."""

    name: str
    ph: str = "M"
    pid: int
    tid: int
    args: Mapping[str, str | int]


Event = CompleteEvent | MetadataEvent
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def trace_text(report: RunReport) -> str:
    """All of trace_pieces()."""
    return "".join(trace_pieces(report))


def trace_pieces(report: RunReport) -> Iterator[str]:
    """The file, with an event a line."""
    yield f'{{"displayTimeUnit": "ms", "otherData": {json_text({"run": report.id})}, "traceEvents": ['
    separator = "\n"
    for event in trace_events(report):
        yield f"{separator}{json_text(_EVENT.dump_python(event, mode='json'))}"
        separator = ",\n"
    yield "\n]}\n"


def trace_events(report: RunReport) -> Iterator[Event]:
    """A lane for the source and for each build, then as many as there were guests at once."""
    for group, name in _GROUPS.items():
        yield MetadataEvent(name="process_name", pid=group, tid=0, args={"name": name})
    # A thread that has its process's number is drawn first, and viewers know a thread by its number alone.
    lane = count(max(_GROUPS) + 1)
    for timing in (one for one in report.timings if one.spans):
        yield from _lane(_BUILDS, number := next(lane), timing.name)
        yield from _phases(timing.name, timing.spans, _BUILDS, number)
    for guest, cells in enumerate(guest_lanes(report.cells), start=1):
        yield from _lane(_GUESTS, number := next(lane), f"guest {guest}")
        yield from chain.from_iterable(_cell(cell, number) for cell in cells)


def _lane(group: int, number: int, name: str) -> Iterator[Event]:
    yield MetadataEvent(name="thread_name", pid=group, tid=number, args={"name": name})
    yield MetadataEvent(name="thread_sort_index", pid=group, tid=number, args={"sort_index": number})


def _cell(report: CellReport, lane: int) -> Iterator[Event]:
    """The cell as a whole, and its phases: what lies inside of another event is drawn below it."""
    start, end = _microseconds(report.spans[0].start), _microseconds(report.spans[-1].end)
    verdict = {"outcome": str(report.verdict.outcome), "title": report.verdict.title}
    name = report.cell.name
    yield CompleteEvent(name=name, cat="cell", ts=start, dur=end - start, pid=_GUESTS, tid=lane, args=verdict)
    yield from _phases(name, report.spans, _GUESTS, lane)


def _phases(whose: str, spans: Iterable[Span], group: int, lane: int) -> Iterator[Event]:
    for span in spans:
        # The difference of rounded times: a phase then never reaches into the next one.
        start, end = _microseconds(span.start), _microseconds(span.end)
        yield CompleteEvent(
            name=str(span.phase), cat="phase", ts=start, dur=end - start, pid=group, tid=lane, args={"of": whose}
        )


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
