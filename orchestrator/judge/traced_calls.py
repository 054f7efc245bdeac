# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries into functions -> calls, with the guest's clock and the task (pure)."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from orchestrator.model.traced import WINDOW_BYTES, Call, Entry, Watched

# Kernel functions that each tick of the CPU that keeps the time, and each switch of tasks, comes to; and which argument
# tells. Not each timer interrupt: QEMU writes 1.3 KB for each entry.
CLOCK = "tick_do_update_jiffies64"  # (now)
SWITCH = "__switch_to"  # (previous task, next task)
_NOW = 0
_NEXT = 1


# A CPU that does nothing any more holds up what others do for so many entries.
_WAITING_MOST = 4096


def whole_copies(entries: Iterable[Entry], watched: Watched) -> Iterator[Entry]:
    """The entries, those in the window of one inlined copy put together: one, with what any register had in there."""
    starts = sorted(watched.windows)
    waiting: deque[_Copy] = deque()
    opened: dict[int, _Copy] = {}
    for entry in entries:
        known = entry.address in watched.functions
        at = bisect_right(starts, entry.address) - 1
        start = entry.address if known or at < 0 or entry.address - starts[at] >= WINDOW_BYTES else starts[at]
        copy = opened.get(entry.cpu)
        if copy and start == copy.entry.address < entry.address and entry.address > copy.last:
            copy.last = entry.address
            copy.registers |= set(entry.registers)
        elif known or entry.address in watched.addresses:
            if copy and entry.address not in watched.clocks:
                opened.pop(entry.cpu).open = False
            new = _Copy(entry=entry, last=entry.address, registers=set(entry.registers))
            waiting.append(new)
            if entry.address in watched.windows:
                new.open, opened[entry.cpu] = True, new
        while waiting and (not waiting[0].open or len(waiting) > _WAITING_MOST):
            yield waiting.popleft().whole()
    for left in waiting:
        yield left.whole()


@dataclass(slots=True)
class _Copy:
    """An entry that may still get registers."""

    entry: Entry
    last: int
    registers: set[int]
    open: bool = False

    def whole(self) -> Entry:
        return replace(self.entry, registers=tuple(sorted(self.registers)))


def calls(entries: Iterable[Entry], watched: Watched) -> Iterator[Call]:
    """Those that were asked for, in the order in which they were executed."""
    seconds: float | None = None
    tasks: dict[int, int] = {}
    for entry in entries:
        if entry.address in watched.clocks:
            # Which CPU keeps the time changes, and its successor may come with an earlier one.
            seconds = max(seconds or 0.0, entry.arguments[_NOW] / 1e9)
        if entry.address in watched.switches:
            tasks[entry.cpu] = entry.arguments[_NEXT]
        if entry.address in watched.functions:
            yield Call(
                function=watched.functions[entry.address],
                cpu=entry.cpu,
                arguments=entry.arguments,
                seconds=seconds,
                task=tasks.get(entry.cpu),
                address=entry.address,
                registers=entry.registers,
            )
