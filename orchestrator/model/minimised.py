# SPDX-License-Identifier: GPL-2.0-or-later
"""A red deterministic cell, and the smallest one that shows the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Workload

_ALL = "all changed functions"
WITHOUT = "--without"
"""The option of a workload that leaves threads of its load out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a cell has that a smaller one may lack, beside what the cell itself says."""

    threads: int = 0  # of the load, as its guest said; 0: it said nothing
    options: Mapping[str, int] = field(default_factory=dict)  # numbers of the workload's program -> their values
    targets: tuple[str, ...] = ()  # functions that a widened kernel delays in


@dataclass(frozen=True, kw_only=True, slots=True)
class SameFinding:
    """What makes two red cells the same."""

    kind: str  # of the crash, or the outcome of a cell without one
    title: str
    crash: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Reduction:
    """One thing of which the smallest cell has less."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Minimised:
    """What the trials came to."""

    finding: SameFinding
    cell: Cell | None  # the smallest that shows it; None: not even the cell as it was showed it again
    reductions: tuple[Reduction, ...]
    trials: int
    shown: int  # trials that showed it
    most_trials: int
    complete: bool  # nothing smaller was left to try

    @property
    def why_ended(self) -> str:
        return "nothing smaller shows it" if self.complete else f"{self.most_trials} trials were to be enough"


def left_out(cell: Cell) -> tuple[int, ...]:
    """The threads of its load that a cell does without."""
    words = cell.workload.arguments
    text = words[words.index(WITHOUT) + 1] if WITHOUT in words else ""
    return tuple(int(number) for number in text.split(",") if number)


def reductions(before: Cell, after: Cell, parts: Parts) -> Iterator[Reduction]:
    """In what the second cell is smaller."""
    for what, old, new in (*_whole(before, after, parts), *_options(before, after, parts), *_delays(before, after)):
        if old != new:
            yield Reduction(what=what, before=old, after=new)


def _whole(before: Cell, after: Cell, parts: Parts) -> Iterator[tuple[str, str, str]]:
    old, new = before.workload, after.workload
    yield "seconds", str(before.seconds), str(after.seconds)
    yield "CPUs", str(old.cpus), str(new.cpus)
    yield "threads", str(parts.threads - len(left_out(before))), str(parts.threads - len(left_out(after)))
    yield "swap devices", _devices(old), _devices(new)
    yield "settings", " ".join(old.settings) or "none", " ".join(new.settings) or "none"
    yield "cgroup files", " ".join(old.cgroup) or "none", " ".join(new.cgroup) or "none"


def _devices(workload: Workload) -> str:
    return " ".join(f"{device.kind}:{device.size_mib}" for device in workload.devices)


def _options(before: Cell, after: Cell, parts: Parts) -> Iterator[tuple[str, str, str]]:
    for name, value in parts.options.items():
        yield f"--{name}", str(option_of(before, name, value)), str(option_of(after, name, value))


def option_of(cell: Cell, name: str, default: int) -> int:
    """A number of the workload's program, as the cell has it; the last one counts."""
    words = cell.workload.arguments
    given = [value for option, value in zip(words[::2], words[1::2], strict=False) if option == f"--{name}"]
    return int(given[-1], 0) if given else default


def _delays(before: Cell, after: Cell) -> Iterator[tuple[str, str, str]]:
    old, new = before.widening, after.widening
    if old is None or new is None:
        return
    yield "chance of a delay", f"{old.chance_ppm / 10_000:g}%", f"{new.chance_ppm / 10_000:g}%"
    yield "longest sleep", f"{old.sleep_us} us", f"{new.sleep_us} us"
    yield "longest busy wait", f"{old.spin_us} us", f"{new.spin_us} us"
    yield "longest hold", f"{old.hold_us} us", f"{new.hold_us} us"
    yield "delays in", " ".join(old.only) or _ALL, " ".join(new.only) or _ALL
