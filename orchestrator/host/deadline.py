# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting: the one place that reads the monotonic clock and sleeps, and that ends all waits of a piece of work."""

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from orchestrator.host.errors import Cancelled, OutOfTime

POLL_SECONDS = 0.01

P = ParamSpec("P")
T = TypeVar("T")


class CancelScope:
    """Work that is ended as a whole: its waits end at their next look, and its children are killed.

    It holds for what run() runs, in whichever thread that is. Work that is run outside of any scope is never cancelled.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._why = ""
        self._ends: dict[int, Callable[[], None]] = {}

    @property
    def why(self) -> str:
        """The first reason that cancel() was given; "" while waits are waits."""
        return self._why

    def cancel(self, why: str) -> None:
        """End all that runs in the scope, and all that is started in it from here on."""
        with self._lock:
            self._why = self._why or why
            self._cancelled.set()
            ends = list(self._ends.values())
        for end in ends:
            end()

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work in this scope, and return what it returns."""
        context = contextvars.copy_context()
        context.run(_SCOPE.set, self)
        return context.run(work, *args, **kwargs)

    def wait(self, seconds: float) -> bool:
        """Sleep, or less where the scope is cancelled: then the answer is True."""
        return self._cancelled.wait(seconds)

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """For the length of the block, `end` is called when the scope is cancelled; at once where it is already."""
        key = id(end)
        with self._lock:
            self._ends[key] = end
        if self._cancelled.is_set():
            end()
        try:
            yield
        finally:
            with self._lock:
                del self._ends[key]


_SCOPE: ContextVar[CancelScope] = ContextVar("scope", default=CancelScope())  # noqa: B039  # nobody cancels that one


def scope() -> CancelScope:
    """The scope that the caller runs in."""
    return _SCOPE.get()


def pause_seconds(seconds: float) -> None:
    """Sleep a little where the caller looks at its own deadlines; raises Cancelled when the scope is cancelled."""
    if scope().wait(seconds):
        raise Cancelled("interrupted")


def raise_if_cancelled() -> None:
    """Raise Cancelled in a cancelled scope: what failed meanwhile says nothing."""
    pause_seconds(0)


def now() -> float:
    """Monotonic seconds; only differences mean anything."""
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time with the name of what has to be over by then."""

    what: str
    at: float

    @classmethod
    def after(cls, seconds: float, what: str) -> "Deadline":
        return cls(what, time.monotonic() + seconds)

    def passed(self) -> bool:
        return time.monotonic() >= self.at

    def seconds_left(self) -> float:
        """Seconds remaining, 0 where there are none: for who ends its work in order then."""
        return max(0.0, self.at - time.monotonic())

    def left(self) -> float:
        """Seconds remaining, for handing to a blocking call; raises OutOfTime when there are none."""
        if scope().why:
            raise Cancelled(f"interrupted while waiting for {self.what}")
        left = self.at - time.monotonic()
        if left <= 0:
            raise OutOfTime(f"out of time: {self.what}")
        return left

    def pause(self, seconds: float = POLL_SECONDS) -> None:
        """Sleep a little; raises OutOfTime once the deadline has passed, Cancelled on an interrupt."""
        scope().wait(min(seconds, self.left()))
        self.left()

    def until(self, ready: Callable[[], T | None], *, every: float = POLL_SECONDS) -> T:
        """Poll `ready` until it returns something other than None or False, and return that."""
        while True:
            value = ready()
            if value is not None and value is not False:
                return value
            self.pause(every)
