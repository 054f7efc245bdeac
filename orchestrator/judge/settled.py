# SPDX-License-Identifier: GPL-2.0-or-later
"""What a claimed race comes to, from the cells that forced both orders (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.judge.frames import plain_name
from orchestrator.judge.same_finding import finding_of
from orchestrator.model.claims import SIDES, ClaimedPlace, Decision, Meetings, PlaceCounts, Settled
from orchestrator.model.guests import Ending
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimCell:
    """A cell of the claim that has ended."""

    report: CellReport
    meetings: Meetings | None  # None: its guest said nothing of them


def tells(report: CellReport) -> bool:
    """Whether a cell found out anything."""
    run = report.run
    return run is not None and run.ending is not Ending.INTERRUPTED and report.verdict.outcome is not Outcome.LOST


def first_finding(cells: Sequence[ClaimCell]) -> ClaimCell | None:
    """The first cell with a finding, those first in which the places met."""
    found = [one for one in cells if tells(one.report) and finding_of(one.report)]
    return min(found, key=lambda one: not (one.meetings and one.meetings.met), default=None)


def settled(places: Sequence[ClaimedPlace], cells: Sequence[ClaimCell], *, alone: bool | None = None) -> Settled:
    """The decision. `alone`: whether the cell of first_finding() shows its finding without delays, too."""
    telling = [one for one in cells if tells(one.report)]
    total = Meetings()
    for one in telling:
        total = total.plus(one.meetings or Meetings())
    found = first_finding(cells)
    if found:
        return _with_finding(found, places, total, len(telling), alone=alone)
    if not any(one.meetings for one in telling):
        return Settled(decision=Decision.UNDECIDED, cells=len(telling), why="no guest said how often the places met")
    decision, why = _without_finding(places, total)
    return Settled(decision=decision, why=why, cells=len(telling), meetings=total)


def _with_finding(
    found: ClaimCell, places: Sequence[ClaimedPlace], total: Meetings, cells: int, *, alone: bool | None
) -> Settled:
    decision, why = Decision.SHOWN, ""
    if not (found.meetings and found.meetings.met):
        decision, why = Decision.UNDECIDED, "the kernel failed before the two places are known to have met"
    elif alone and not _names_a_place(found.report, places):
        decision = Decision.UNDECIDED
        why = "the same cell fails without delays, too, and the splat names neither function: it may be another bug"
    return Settled(
        decision=decision,
        why=why,
        cells=cells,
        meetings=total,
        finding=finding_of(found.report),
        cell=found.report.cell,
        in_cell=found.meetings,
        alone=alone,
    )


def _names_a_place(report: CellReport, places: Sequence[ClaimedPlace]) -> bool:
    names = {name for place in places for name in (place.name, place.place.function)}
    frames = (name for crash in report.crashes for name in crash.frames)
    lines = (line.function for crash in report.crashes for frame in crash.stack for line in frame.places)
    return any(plain_name(name) in names for name in (*frames, *lines))


def _without_finding(places: Sequence[ClaimedPlace], total: Meetings) -> tuple[Decision, str]:
    both: tuple[PlaceCounts, ...] = (total.a, total.b)
    silent = [
        f"{side}: {place.place.text}" for side, place, count in zip(SIDES, places, both, strict=True) if not count.hits
    ]
    if silent:
        return Decision.NOT_REACHABLE, f"no workload ran {' and '.join(silent)}"
    if not total.met:
        return Decision.UNDECIDED, "both places ran, but none while a task was held at the other"
    return Decision.NOT_SHOWN, ""
