# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting: the one place that reads the monotonic clock and sleeps."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.host.errors import Cancelled, OutOfTime

POLL_SECONDS = 0.01

T = TypeVar("T")

# Set once, when the run is to end: every wait of every thread ends at its next look.
_cancelled = threading.Event()
_why: list[str] = []


def cancel(why: str = "interrupted by the user") -> None:
    """End every wait in the process, now and from here on. The first reason stays."""
    _why.append(why)
    _cancelled.set()


def why_cancelled() -> str:
    """The reason that cancel() was given; "" while waits are waits."""
    return _why[0] if _cancelled.is_set() else ""


def pause_seconds(seconds: float) -> None:
    """Sleep a little where the caller looks at its own deadlines; raises Cancelled on an interrupt."""
    if _cancelled.wait(seconds):
        raise Cancelled("interrupted")


def raise_if_cancelled() -> None:
    """Raise Cancelled after an interrupt: what failed meanwhile says nothing."""
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

    def left(self) -> float:
        """Seconds remaining, for handing to a blocking call; raises OutOfTime when there are none."""
        if _cancelled.is_set():
            raise Cancelled(f"interrupted while waiting for {self.what}")
        left = self.at - time.monotonic()
        if left <= 0:
            raise OutOfTime(f"out of time: {self.what}")
        return left

    def pause(self, seconds: float = POLL_SECONDS) -> None:
        """Sleep a little; raises OutOfTime once the deadline has passed, Cancelled on an interrupt."""
        _cancelled.wait(min(seconds, self.left()))
        self.left()

    def until(self, ready: Callable[[], T | None], *, every: float = POLL_SECONDS) -> T:
        """Poll `ready` until it returns something other than None or False, and return that."""
        while True:
            value = ready()
            if value is not None and value is not False:
                return value
            self.pause(every)
