# SPDX-License-Identifier: GPL-2.0-or-later
"""The picture of what a run's time went on."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from orchestrator.model.outcomes import Outcome
from orchestrator.model.phases import Phase, Span, Timing
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.timeline import COLOURS, MOST_ROWS, tick_seconds, timeline_rows, timeline_svg
from tests.conftest import Golden
from tests.unit.samples import cell, cell_report, run_report

GOLDEN = Path(__file__).parents[2] / "golden"


def spans(start: float, *phases: tuple[Phase, float]) -> tuple[Span, ...]:
    found = []
    for phase, seconds in phases:
        found.append(Span(phase=phase, start=start, end=start + seconds))
        start += seconds
    return tuple(found)


def ran(name: str, start: float, outcome: Outcome = Outcome.PASSED, *, seconds: float = 20.0) -> CellReport:
    phases = (
        (Phase.BOOT, 1.8),
        (Phase.SETUP, 0.7),
        (Phase.WORKLOAD, seconds),
        (Phase.COLLECT, 0.2),
        (Phase.JUDGE, 0.1),
    )
    return replace(cell_report(outcome, of=cell(workload=name)), spans=spans(start, *phases))


def report() -> RunReport:
    compiled = ((Phase.PATCH, 2.0), (Phase.CONFIGURE, 4.0), (Phase.COMPILE, 30.0), (Phase.PACK, 3.0))
    timings = (
        Timing(name="kernel source", spans=spans(0.0, (Phase.FETCH, 6.0))),
        Timing(name="patched.plain.x86_64", spans=spans(6.0, *compiled)),
    )
    hung = ran("shmem", 45.5, Outcome.HUNG)
    build = replace(hung.cell.build, flavour="<plain>&\x01")
    hung = replace(hung, cell=replace(hung.cell, build=build))
    cells = (ran("swapin", 45.0), hung, cell_report(Outcome.SKIPPED, of=cell(workload="mincore")))
    return replace(run_report(*cells, seconds=70.0), timings=timings)


def test_the_picture_is_the_golden_one(golden: Golden) -> None:
    golden.text(GOLDEN / "timeline.svg", timeline_svg(report()))


def test_rows_are_in_the_order_in_which_things_began_and_what_never_began_has_none() -> None:
    assert [(row.name.removeprefix("patched."), row.note, row.bad) for row in timeline_rows(report())] == [
        ("kernel source", "", False),
        ("plain.x86_64", "", False),
        ("plain.x86_64.swapin", "passed 22.8 s", False),
        ("<plain>&\x01.x86_64.shmem", "hung 22.8 s", True),
    ]


def test_a_run_that_did_nothing_can_be_drawn() -> None:
    ET.fromstring(timeline_svg(run_report(seconds=0.0)))


def test_of_many_cells_those_that_ran_after_one_another_share_a_row() -> None:
    many = [ran("swapin", 25.0 * (number // 2)) for number in range(MOST_ROWS + 2)]

    rows = timeline_rows(run_report(*many))

    assert [(row.name, row.note) for row in rows] == [("guest 1", "76 cells"), ("guest 2", "76 cells")]


def test_every_phase_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == set(Phase)
    assert len(set(COLOURS.values())) == len(COLOURS)


@pytest.mark.parametrize(("seconds", "step"), [(0.1, 0.01), (9.0, 1), (70.0, 10), (350.0, 60), (7000.0, 600)])
def test_the_axis_has_round_steps(seconds: float, step: float) -> None:
    assert tick_seconds(seconds) == step
