# SPDX-License-Identifier: GPL-2.0-or-later
"""INT, TERM and HUP: the one place that installs their handlers."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def install() -> None:
    """The first INT, TERM or HUP becomes a KeyboardInterrupt; a second is told that we are cleaning up."""
    for number in SIGNALS:
        signal.signal(number, _raise)


@contextmanager
def noted(note: Callable[[], None]) -> Iterator[None]:
    """For the length of the block the first signal calls `note`, and interrupts nothing.

    `note` runs between any two instructions of the main thread: it may put a value into a SimpleQueue, and no more.
    Where signals are not ours, as in a thread or a program of somebody else's, nothing changes.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is _raise
    if not ours:
        yield
        return

    def first(_number: int, _frame: object) -> None:
        _no_more()
        note()

    for number in SIGNALS:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number in SIGNALS:
            if signal.getsignal(number) is first:
                signal.signal(number, _raise)


def _raise(_number: int, _frame: object) -> None:
    _no_more()
    raise KeyboardInterrupt


def _no_more() -> None:
    for number in SIGNALS:
        signal.signal(number, _say)


def _say(_number: int, _frame: object) -> None:
    sys.stderr.write("patchrig: already ending the guests and writing the report\n")
