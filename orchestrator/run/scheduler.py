# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds one after another, and beside them as many guests as there is room for; what has ended comes to one thread."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from orchestrator.host import signals
from orchestrator.host.deadline import CancelScope, Deadline
from orchestrator.host.errors import Cancelled
from orchestrator.run.capacity import Room, Share
from orchestrator.run.order import B, J, Schedule

K = TypeVar("K")  # what the jobs of a build start from
O = TypeVar("O")  # noqa: E741  # what was observed of a job's guest
R = TypeVar("R")  # what a job comes to

INTERRUPTED = "interrupted by the user"
_FAILED = "this machine failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Nothing more is started, and what runs is ended or may come to its own end."""

    why: str
    at_once: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Unbuilt(Generic[R]):
    """A build that its jobs can't start from, and what they come to."""

    reports: tuple[R, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps(Generic[B, J, K, O, R]):
    """What is done, each step in a thread of its own, one after the other for a job."""

    build: Callable[[B, bool], K | Unbuilt[R]]
    """Make what the build's jobs start from; in the background where guests run."""
    observe: Callable[[J, K], O]
    """Run the job's guest to its end: it has its room until then."""
    judge: Callable[[J, K, O], R]
    root_mib: Callable[[J, K], int] = lambda _job, _kernel: 0  # for a large root, beside the workload's memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended(Generic[J, R]):
    """All that has ended since the last look."""

    reports: tuple[R, ...] = ()
    skipped: tuple[J, ...] = ()  # jobs that are not begun any more
    why_skipped: str = ""


@dataclass(kw_only=True, slots=True)
class Work(Generic[B, J, K, O, R]):
    """Iterate over it: everything here but _job() runs in the thread that does.

    Jobs are known by their place in the order: they are no keys, and to look for one in a list takes its time.
    """

    schedule: Schedule[B, J]
    room: Room
    steps: Steps[B, J, K, O, R]
    until_judged: bool = False  # a job has its room until it is judged
    reports_decide: bool = (
        True  # whether another job begins: none does before the reports of those that ended were taken
    )
    until: Deadline | None = None  # then everything ends
    scope: CancelScope = field(default_factory=CancelScope)
    threads: ThreadPoolExecutor = field(init=False)
    _most_jobs: int = field(init=False)
    _news: SimpleQueue[Future[Any] | int | None] = field(default_factory=SimpleQueue)
    """What has ended: a build or a job, a job's guest by the job's number, or, None, everything by a signal."""
    _unbuilt: dict[B, list[int]] = field(init=False)  # the jobs of the builds to come, in their order
    _kernels: dict[B, K] = field(default_factory=dict)
    _ready: list[int] = field(default_factory=list)  # a heap
    _jobs: dict[Future[Any], int] = field(default_factory=dict)  # those that run, or are judged
    _guests: dict[int, Share] = field(default_factory=dict)  # jobs that have their room
    _stop: Stop | None = None
    _trouble: BaseException | None = None

    def __post_init__(self) -> None:
        self._most_jobs = 2 * self.room.most  # beside the guests as many that are judged
        self.threads = ThreadPoolExecutor(max_workers=self._most_jobs + 1)  # one builds
        self._unbuilt = {build: [] for build in self.schedule.builds}
        for index, job in enumerate(self.schedule.jobs):
            self._unbuilt[job.build].append(index)

    def stop(self, stop: Stop | None) -> None:
        """Start nothing more; the first stop stays, unless a later one ends what the first let run."""
        if stop and (self._stop is None or (stop.at_once and not self._stop.at_once)):
            self._stop = stop
            if stop.at_once:
                self.scope.cancel(stop.why)

    def interrupt(self) -> None:
        """For a handler of signals."""
        self._news.put(None)

    def __iter__(self) -> Iterator[Ended[J, R]]:
        """What ends, as it ends; last the jobs that were never begun. Returns when nothing runs any more.

        A build that raises stops the builds after it: the jobs of those before are run, and then it is raised again.
        What raises in a job ends everything at once, as an interrupt does, which is raised as Cancelled.
        """
        while True:
            self._start_build()
            self._start_jobs()
            if not (self._jobs or self.room.building):
                break
            reports = tuple(self._take_news())
            if not self.reports_decide:
                # Guests need not wait until reports are on the disk.
                self._start_jobs()
            if reports:
                yield Ended(reports=reports)
        left = sorted([*self._ready, *(index for indices in self._unbuilt.values() for index in indices)])
        if left:
            why = self._stop.why if self._stop else "its kernel was never built"
            yield Ended(skipped=tuple(self.schedule.jobs[index] for index in left), why_skipped=f"not run: {why}")
        if self._trouble:
            raise self._trouble

    def _start_build(self) -> None:
        if self._unbuilt and not (self.room.building or self._trouble or self._stop):
            self.room.building = True
            background = bool(self._ready or self._guests)
            build = self.threads.submit(self.scope.run, self.steps.build, next(iter(self._unbuilt)), background)
            build.add_done_callback(self._news.put)

    def _start_jobs(self) -> None:
        while self._ready and len(self._jobs) < self._most_jobs and not self._stop:
            job = self.schedule.jobs[self._ready[0]]
            kernel = self._kernels[job.build]
            share = self.room.take(job, partial(self.steps.root_mib, job, kernel))
            if share is None:
                return
            index = heapq.heappop(self._ready)
            self._guests[index] = share
            running = self.threads.submit(self.scope.run, self._job, index, job, kernel)
            self._jobs[running] = index
            running.add_done_callback(self._news.put)

    def _job(self, index: int, job: J, kernel: K) -> R:
        observed = self.steps.observe(job, kernel)
        self._news.put(index)
        return self.steps.judge(job, kernel, observed)

    def _take_news(self) -> Iterator[R]:
        """Wait for something to end, and take all that has ended by then."""
        try:
            yield from self._take(self._news.get(timeout=self._patience()))
        except Empty:
            self.stop(Stop(why=f"{self.until.what if self.until else ''} is over", at_once=True))
        while not self._news.empty():
            yield from self._take(self._news.get())

    def _patience(self) -> float | None:
        """Seconds until nothing may run any more; None where that is so already, or never."""
        if self.until is None or (self._stop and self._stop.at_once):
            return None
        return self.until.seconds_left()

    def _take(self, news: Future[Any] | int | None) -> Iterable[R]:
        if news is None:
            self._trouble = Cancelled("interrupted; what had finished is reported")
            self.stop(Stop(why=INTERRUPTED, at_once=True))
        elif isinstance(news, int):
            if not self.until_judged:
                self._give_back(news)
        elif news in self._jobs:
            return self._job_ended(self._jobs.pop(news), news)
        else:
            return self._build_ended(news)
        return ()

    def _build_ended(self, ended: Future[K | Unbuilt[R]]) -> Iterable[R]:
        self.room.building = False
        if error := ended.exception():
            # After a stop it is the stop that made it fail.
            self._trouble = self._trouble or (None if self._stop else error)
            return ()
        build, kernel = next(iter(self._unbuilt)), ended.result()
        indices = self._unbuilt.pop(build)
        if isinstance(kernel, Unbuilt):
            return kernel.reports
        self._kernels[build] = kernel
        for index in indices:
            heapq.heappush(self._ready, index)
        return ()

    def _job_ended(self, index: int, ended: Future[R]) -> Iterable[R]:
        self._give_back(index)
        if error := ended.exception():
            self._trouble = self._trouble or error
            self.stop(Stop(why=_FAILED, at_once=True))
            return ()
        return (ended.result(),)

    def _give_back(self, index: int) -> None:
        if share := self._guests.pop(index, None):
            self.room.give_back(share)


@contextmanager
def working(work: Work[B, J, K, O, R]) -> Iterator[Work[B, J, K, O, R]]:
    """The work, begun in the order of its schedule, for the length of a block; nothing of it runs afterwards."""
    with work.threads, signals.noted(work.interrupt):
        try:
            yield work
        finally:
            # Where the block ends by an error: a full disk, or a bug of ours. No guest runs on for a report that can't
            # be kept.
            work.scope.cancel(_FAILED)
