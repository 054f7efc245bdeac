# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds one after another, and beside them the guests of those that are done: as many as there is room for."""

import heapq
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from orchestrator.host.errors import Cancelled
from orchestrator.model.cells import Build, Cell
from orchestrator.run.capacity import Room
from orchestrator.run.order import Schedule

Made = TypeVar("Made")
INTERRUPTED = "interrupted by the user"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Nothing more is started, and what runs is ended or may come to its own end."""

    why: str
    at_once: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Duties(Generic[Made]):
    """What is done, each in a thread of its own but for the last three."""

    build: Callable[[Build, bool], Made | None]
    """Make what the build's cells start from, in the background where guests run; None: recorded as failed."""
    run: Callable[[Cell, Made, Callable[[], None]], None]
    """Run a cell and record it; what it is given last is to be called when its guest has ended."""
    stop: Callable[[], Stop | None]
    """Asked whenever something has ended."""
    skip: Callable[[Sequence[Cell], str], None]
    """Record cells that were never begun, and why."""
    end: Callable[[str], None]
    """End every wait and every child process of all threads, for this reason."""


def dispatch(schedule: Schedule, room: Room, duties: Duties[Made]) -> None:
    """Build and run the cells, begun in the order of the schedule. Returns when all have been run or skipped.

    A build that raises stops the builds after it: the cells of those before are run, and then it is raised again. What
    raises in a cell ends everything at once, as an interrupt does (raised as Cancelled).
    """
    _Dispatch(schedule, room, duties).go()


@dataclass(slots=True)
class _State(Generic[Made]):
    """Cells by their place in the order, as they are no keys and looking for one in a list takes its time."""

    unbuilt: dict[Build, list[int]]
    ready: list[int] = field(default_factory=list)  # a heap
    made: dict[Build, Made] = field(default_factory=dict)
    guests: set[int] = field(default_factory=set)  # whose QEMU may be there
    running: int = 0  # threads, those that judge included
    building: bool = False
    trouble: BaseException | None = None  # of a build


class _Dispatch(Generic[Made]):
    """Only this class's own thread changes what it knows: the others send it what is to be done next."""

    def __init__(self, schedule: Schedule, room: Room, duties: Duties[Made]) -> None:
        self._cells = schedule.cells
        self._room = room
        self._duties = duties
        self._builds = list(reversed(schedule.builds))
        self._news: SimpleQueue[Callable[[], None]] = SimpleQueue()
        unbuilt: dict[Build, list[int]] = {build: [] for build in self._builds}
        for index, cell in enumerate(self._cells):
            unbuilt[cell.build].append(index)
        self._now: _State[Made] = _State(unbuilt=unbuilt)
        # Beside the guests as many threads that judge.
        self._threads = 2 * room.most
        self._interrupted: Stop | None = None
        self._stopped = False

    def go(self) -> None:
        # In a thread of its own, so that an interrupt, which comes to the main thread, can't tear what is known here.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="dispatch") as own:
            try:
                own.submit(self._work).result()
            except KeyboardInterrupt as e:
                self._news.put(self._interrupt)
                self._duties.end(INTERRUPTED)
                own.shutdown()
                raise Cancelled("interrupted; what had finished is reported") from e

    def _work(self) -> None:
        with (
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="build") as builder,
            ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="cell") as lanes,
        ):
            try:
                self._until_done(builder, lanes)
            except BaseException:
                # A full disk, or a bug of ours: no guest runs on for a report that can't be kept.
                self._duties.end("this machine failed")
                raise
        if self._now.trouble and not self._stopped:
            raise self._now.trouble

    def _until_done(self, builder: ThreadPoolExecutor, lanes: ThreadPoolExecutor) -> None:
        while True:
            if stop := self._interrupted or self._duties.stop():
                self._stopped = True
                self._end(stop)
                return
            self._start_build(builder)
            self._start_guests(lanes)
            if not (self._now.running or self._now.building):
                break
            self._news.get()()
        if self._now.trouble:
            self._skip_rest("its kernel was never built")

    def _interrupt(self) -> None:
        self._interrupted = Stop(why=INTERRUPTED, at_once=True)

    def _start_build(self, builder: ThreadPoolExecutor) -> None:
        if self._builds and not self._now.building and self._now.trouble is None:
            build = self._builds.pop()
            self._now.building = self._room.building = True
            builder.submit(self._build, build, bool(self._now.ready or self._now.guests))

    def _start_guests(self, lanes: ThreadPoolExecutor) -> None:
        while self._now.ready and self._now.running < self._threads:
            index = self._now.ready[0]
            if not self._room.take(self._cells[index]):
                return
            heapq.heappop(self._now.ready)
            self._now.guests.add(index)
            self._now.running += 1
            lanes.submit(self._run, index, self._now.made[self._cells[index].build])

    def _build(self, build: Build, background: bool) -> None:
        try:
            made = self._duties.build(build, background)
        except BaseException as e:
            self._news.put(partial(self._not_built, e))
            raise
        self._news.put(partial(self._built, build, made))

    def _run(self, index: int, made: Made) -> None:
        try:
            self._duties.run(self._cells[index], made, lambda: self._news.put(partial(self._guest_ended, index)))
        except BaseException as e:
            self._news.put(partial(self._ended, index, e))
            raise
        self._news.put(partial(self._ended, index, None))

    def _built(self, build: Build, made: Made | None) -> None:
        self._now.building = self._room.building = False
        cells = self._now.unbuilt.pop(build)
        if made is not None:
            self._now.made[build] = made
            for index in cells:
                heapq.heappush(self._now.ready, index)

    def _not_built(self, trouble: BaseException) -> None:
        self._now.building = self._room.building = False
        self._now.trouble = trouble

    def _guest_ended(self, index: int) -> None:
        if index in self._now.guests:
            self._now.guests.remove(index)
            self._room.give_back(self._cells[index])

    def _ended(self, index: int, trouble: BaseException | None) -> None:
        self._guest_ended(index)
        self._now.running -= 1
        if trouble:
            raise trouble

    def _end(self, stop: Stop) -> None:
        """Let what runs come to its end, at once or not, and record what was never begun."""
        if stop.at_once:
            self._duties.end(stop.why)
        while self._now.running or self._now.building:
            self._news.get()()
        self._skip_rest(stop.why)

    def _skip_rest(self, why: str) -> None:
        left = sorted([*self._now.ready, *(index for cells in self._now.unbuilt.values() for index in cells)])
        if left:
            self._duties.skip([self._cells[index] for index in left], f"not run: {why}")
