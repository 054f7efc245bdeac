# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries into functions -> calls, with the guest's clock and the task (pure)."""

from collections.abc import Iterable, Iterator

from orchestrator.model.traced import Call, Entry, Watched

# Kernel functions that each tick of the CPU that keeps the time, and each switch of tasks, comes to; and which argument
# tells. Not each timer interrupt: QEMU writes 1.3 KB for each entry.
CLOCK = "tick_do_update_jiffies64"  # (now)
SWITCH = "__switch_to"  # (previous task, next task)
_NOW = 0
_NEXT = 1


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
            )
