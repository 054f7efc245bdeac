# SPDX-License-Identifier: GPL-2.0-or-later
"""The decision on a claimed race."""

from dataclasses import replace

import pytest

from orchestrator.judge.settled import ClaimCell, first_finding, settled
from orchestrator.model.claims import ClaimedPlace, Decision, Meetings, Place, PlaceCounts
from orchestrator.model.crashes import Crash
from orchestrator.model.guests import Ending
from orchestrator.model.outcomes import Outcome
from tests.unit.samples import cell, cell_report, crash, guest_run

PLACES = tuple(
    ClaimedPlace(place=Place(function=name), name=name, file="mm/a.c", first=1, last=9)
    for name in ("read_it", "free_it")
)
MET = Meetings(a=PlaceCounts(hits=50, holds=4, met=2, passes=7), b=PlaceCounts(hits=9, holds=3))
APART = Meetings(a=PlaceCounts(hits=50, holds=4), b=PlaceCounts(hits=9, holds=3))
KASAN = replace(crash(title="KASAN: use-after-free Read in f"), frames=("f", "g"))


def claim_cell(meetings: Meetings | None, *, crashes: tuple[Crash, ...] = (), repeat: int = 1) -> ClaimCell:
    outcome, title = (Outcome.CRASHED, crashes[0].title) if crashes else (Outcome.PASSED, "")
    report = cell_report(outcome, title, of=cell(repeat=repeat), run=guest_run(), crashes=crashes)
    return ClaimCell(report=report, meetings=meetings)


def test_a_finding_that_needs_the_delays_shows_the_race() -> None:
    done = settled(PLACES, [claim_cell(MET), claim_cell(MET, crashes=(KASAN,), repeat=2)], alone=False)

    assert (done.decision, done.why, done.cells) == (Decision.SHOWN, "", 2)
    assert done.finding
    assert done.finding.title == KASAN.title
    assert done.cell == cell(repeat=2)
    assert done.in_cell == MET
    assert done.meetings == MET.plus(MET)


def test_a_finding_without_delays_shows_it_only_where_the_splat_names_a_function() -> None:
    own = replace(KASAN, frames=("f", "free_it.constprop.0"))

    assert settled(PLACES, [claim_cell(MET, crashes=(KASAN,))], alone=True).decision is Decision.UNDECIDED
    assert settled(PLACES, [claim_cell(MET, crashes=(own,))], alone=True).decision is Decision.SHOWN


@pytest.mark.parametrize("meetings", [None, APART])
def test_a_kernel_that_failed_before_they_met_decides_nothing(meetings: Meetings | None) -> None:
    done = settled(PLACES, [claim_cell(meetings, crashes=(KASAN,))], alone=False)

    assert done.decision is Decision.UNDECIDED
    assert "before the two places are known to have met" in done.why


def test_a_finding_after_a_meeting_is_preferred() -> None:
    cells = [claim_cell(APART, crashes=(KASAN,)), claim_cell(MET, crashes=(KASAN,), repeat=2)]

    assert first_finding(cells) is cells[1]


def test_they_met_and_nothing_happened() -> None:
    done = settled(PLACES, [claim_cell(MET), claim_cell(APART)])

    assert (done.decision, done.cells, done.meetings) == (Decision.NOT_SHOWN, 2, MET.plus(APART))


def test_a_place_that_no_workload_ran_is_named() -> None:
    done = settled(PLACES, [claim_cell(Meetings(a=PlaceCounts(hits=9)))])

    assert (done.decision, done.why) == (Decision.NOT_REACHABLE, "no workload ran B: free_it")


def test_places_that_never_met_decide_nothing() -> None:
    assert settled(PLACES, [claim_cell(APART)]).decision is Decision.UNDECIDED


def test_lost_and_interrupted_cells_tell_nothing() -> None:
    lost = cell_report(Outcome.LOST, run=guest_run(Ending.LOST))
    interrupted = cell_report(Outcome.SKIPPED, run=guest_run(Ending.INTERRUPTED))
    cells = [ClaimCell(report=lost, meetings=MET), ClaimCell(report=interrupted, meetings=MET)]

    assert settled(PLACES, cells).decision is Decision.UNDECIDED
    assert settled(PLACES, cells).cells == 0
