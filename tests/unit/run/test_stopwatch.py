# SPDX-License-Identifier: GPL-2.0-or-later
"""Phases are taken from the events that a piece of work sends."""

from orchestrator.model.events import CellProgress, Event, PhaseBegan
from orchestrator.model.phases import Phase
from orchestrator.run.stopwatch import Stopwatch
from tests.unit.samples import cell


def test_each_phase_ends_where_the_next_begins() -> None:
    stopwatch, passed_on = Stopwatch("a"), list[Event]()
    listener = stopwatch.listening(passed_on.append)

    for what, phase in (("a", Phase.PATCH), ("b", Phase.BOOT), ("a", Phase.COMPILE), ("a", Phase.COMPILE)):
        listener(PhaseBegan(what=what, phase=phase))
    spans = stopwatch.stop()

    assert [span.phase for span in spans] == [Phase.PATCH, Phase.COMPILE]
    assert spans[0].start <= spans[0].end == spans[1].start <= spans[1].end
    assert len(passed_on) == 4


def test_a_workload_has_begun_as_long_ago_as_it_says_but_not_before_its_guest_was_up() -> None:
    stopwatch = Stopwatch(cell().name)
    listener = stopwatch.listening(lambda _: None)

    listener(PhaseBegan(what=cell().name, phase=Phase.SETUP))
    listener(CellProgress(cell=cell(), operations=1, swapoffs=0, seconds=1000.0))
    setup, workload = stopwatch.stop()

    assert (setup.phase, workload.phase) == (Phase.SETUP, Phase.WORKLOAD)
    assert setup.start == setup.end == workload.start


def test_where_nothing_began_nothing_ended() -> None:
    assert Stopwatch("a").stop() == ()
