# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds and guests side by side, with work that only notes what is done and waits for its neighbours."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from orchestrator.host.errors import InfraError
from orchestrator.model.cells import Build, Cell
from orchestrator.run.capacity import Room
from orchestrator.run.order import as_given
from orchestrator.run.scheduler import Duties, Stop, dispatch
from tests.unit.samples import cell

SOON = 30.0  # for what comes at once, unless it never does


@dataclass
class Log:
    """What was done, in order, by whichever thread."""

    said: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    skipped: dict[str, str] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    stop: Stop | None = None

    def say(self, text: str) -> None:
        with self.lock:
            self.said.append(text)

    def duties(
        self,
        run: Callable[[Cell, str, Callable[[], None]], None] | None = None,
        build: Callable[[Build, bool], str | None] | None = None,
    ) -> Duties[str]:
        return Duties(
            build=build or (lambda build, _: build.name),
            run=run or (lambda cell, *_: self.say(name(cell))),
            stop=lambda: self.stop,
            skip=self._skip,
            end=self.ended.append,
        )

    def _skip(self, cells: Sequence[Cell], why: str) -> None:
        self.skipped |= {name(one): why for one in cells}


def name(one: Cell) -> str:
    return f"{one.build.arch} {one.workload.name}"


def cells(*names: str, arch: str = "x86_64") -> list[Cell]:
    return [cell(workload=one, arch=arch) for one in names]


def room(guests: int) -> Room:
    return Room(cores=guests, memory_mib=1_000_000)


def test_guests_run_side_by_side_and_no_more_than_there_is_room_for() -> None:
    log, together = Log(), threading.Barrier(3)

    def run(*_: object) -> None:
        log.say("begins")
        together.wait(SOON)
        log.say("ends")

    dispatch(as_given(cells(*"abcdef")), room(3), log.duties(run))

    assert log.said.count("begins") == 6
    assert log.said[:3] == ["begins"] * 3
    at_once = [sum(1 if word == "begins" else -1 for word in log.said[:end]) for end in range(len(log.said) + 1)]
    assert max(at_once) == 3


def test_the_next_guest_starts_while_the_last_is_judged() -> None:
    log, second = Log(), threading.Event()

    def run(one: Cell, _: str, guest_ended: Callable[[], None]) -> None:
        if name(one) == "x86_64 a":
            guest_ended()
            assert second.wait(SOON)
        second.set()
        log.say(name(one))

    dispatch(as_given(cells("a", "b")), room(1), log.duties(run))

    assert log.said == ["x86_64 b", "x86_64 a"]


def test_a_kernel_is_built_in_the_background_of_guests_and_not_before_there_are_any() -> None:
    log, built = Log(), threading.Event()

    def build(one: Build, background: bool) -> str:
        log.say(f"{one.arch} in the background: {background}")
        if background:
            built.set()
        return one.name

    def run(one: Cell, made: str, *_: object) -> None:
        assert made == one.build.name
        assert built.wait(SOON)

    schedule = as_given([*cells("a"), *cells("a", arch="arm64")])
    dispatch(schedule, room(1), log.duties(run, build))

    assert log.said == ["x86_64 in the background: False", "arm64 in the background: True"]


def test_a_build_that_raises_lets_the_guests_of_those_before_finish() -> None:
    log, raised = Log(), threading.Event()

    def build(one: Build, _: bool) -> str:
        if one.arch == "arm64":
            raised.set()
            raise InfraError("no compiler")
        return one.name

    def run(one: Cell, *_: object) -> None:
        assert raised.wait(SOON)
        log.say(name(one))

    with pytest.raises(InfraError, match="no compiler"):
        dispatch(as_given([*cells("a", "b"), *cells("a", arch="arm64")]), room(1), log.duties(run, build))

    assert log.said == ["x86_64 a", "x86_64 b"]
    assert log.skipped == {"arm64 a": "not run: its kernel was never built"}
    assert not log.ended


def test_what_raises_in_a_cell_ends_everything() -> None:
    log = Log()

    def run(one: Cell, *_: object) -> None:
        log.say(name(one))
        raise InfraError("the disk is full")

    with pytest.raises(InfraError, match="the disk is full"):
        dispatch(as_given(cells("a", "b")), room(1), log.duties(run))

    assert log.said == ["x86_64 a"]
    assert log.ended


def test_a_build_that_failed_has_no_cells_to_run() -> None:
    log = Log()

    dispatch(as_given(cells("a")), room(1), log.duties(build=lambda *_: None))

    assert not log.said
    assert not log.skipped


@pytest.mark.parametrize("at_once", [True, False])
def test_a_stop_starts_nothing_more_and_says_what_was_not_run(at_once: bool) -> None:
    log = Log()

    def run(one: Cell, *_: object) -> None:
        log.say(name(one))
        log.stop = Stop(why="enough", at_once=at_once)

    schedule = as_given([*cells("a", "b"), *cells("a", arch="arm64")])
    dispatch(schedule, room(1), log.duties(run))

    assert log.said == ["x86_64 a"]
    assert log.skipped == dict.fromkeys(("x86_64 b", "arm64 a"), "not run: enough")
    assert log.ended == (["enough"] if at_once else [])
