# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines that no guest says, made at random from a seed, and the reading of many of them in one process."""

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from orchestrator.guest.workload import result_of
from orchestrator.judge.scan import crashes_in
from tests.faults.rig import Rig
from tests.faults.tally import Finding, Kind

_KEYS = (
    "type", "operations", "verified", "mismatch_count", "mismatches", "errors", "swapoffs", "swapoff_longest_ms",
    "swapoff_stuck", "counters", "missing", "why", "seconds", "accounting",
)  # fmt: skip
_WORDS = (
    "BUG: ", "WARNING: ", "KASAN: ", "Call Trace:", "<TASK>", "</TASK>", "------------[ cut here ]------------",
    "RIP: 0010:", "swap_read+0x41/0x90", "INFO: task ", "blocked for more than ", "Kernel panic - not syncing: ",
    "rcu: ", "---[ end trace ", "Workqueue: ", "[<0>]", "{", "}", '"', "\x1b[31m", "\x00", "\ufffd", "\u202e", "  ",
    "[   12.3][  T4] ", "CPU: ", "PID: ", "99999999999999999999", "-1", "0x", "nan", "\t", "\r",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**30, 1e308, float("inf"), float("nan"), "", "text", [], {}, [[]], {"before": {}},
    {"before": {"x": 1}, "after": {"x": "y"}}, {"after": 3}, "\ud800", "\x00", [{"page": 1}], 1.5, "7",
)  # fmt: skip


def fuzzed_lines(chosen: random.Random, count: int) -> Iterator[str]:
    """Half are JSON with something wrong, half pieces of what kernels print. None is a result that could pass."""
    for _ in range(count):
        yield _json_line(chosen) if chosen.random() < 0.5 else _console_line(chosen)


def _json_line(chosen: random.Random) -> str:
    keys = chosen.sample(_KEYS, chosen.randrange(len(_KEYS)))
    said = {key: chosen.choice(_VALUES) for key in keys} | {
        "type": chosen.choice(("result", "progress", "unprepared", 7))
    }
    if said["type"] == "unprepared":
        said["why"] = "fuzz"
    text = json.dumps(said)
    if chosen.random() < 0.5:
        at = chosen.randrange(len(text) + 1)
        text = text[:at] + chosen.choice(_WORDS) + text[at + chosen.randrange(3) :]
    return text.replace("\n", " ")


def _console_line(chosen: random.Random) -> str:
    return "".join(chosen.choice(_WORDS) for _ in range(chosen.randrange(1, 12)))


def read_in_process(count: int) -> Callable[[Rig], None]:
    """All lines through the judge and through the reader of results; the one thing that may be raised is ValueError."""

    def play(rig: Rig) -> None:
        for at in range(0, count, 1000):
            lines = list(fuzzed_lines(rig.random, min(1000, count - at)))
            for text in [line for line in lines if line.startswith("{")]:
                _attempt(rig, partial(_read_result, text), text)
            data = "\n".join(lines).encode("utf-8", "surrogatepass")
            _attempt(rig, partial(_judge, data), f"lines from {at}")

    return play


def _judge(data: bytes) -> None:
    for _ in crashes_in([data]):
        pass


def _read_result(text: str) -> None:
    try:
        said = json.loads(text)
        if isinstance(said, dict):
            result_of(said)
    except ValueError:
        pass


def _attempt(rig: Rig, act: Callable[[], object], what: str) -> None:
    try:
        act()
    except Exception as why:
        rig.findings.append(Finding(Kind.UNCAUGHT, f"{type(why).__name__}: {why}: {what[:200]!r}"))
