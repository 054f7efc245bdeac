# SPDX-License-Identifier: GPL-2.0-or-later
"""Both sides of the race behind a crash: who did what to its objects, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model.race_points import Role
from orchestrator.model.stacks import SourceLine


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A piece of the guest's memory that an object of the crash lies in."""

    start: int
    size: int
    name: str  # of the variable or the type that led to it

    def has(self, value: int) -> bool:
        return self.start <= value < self.start + self.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One thing that a task did to one of the objects."""

    address: int  # of the instruction that stands for it
    role: Role
    function: str
    host: str  # the function of the machine code in which it happened
    cpu: int
    task: int | None  # address of the task_struct; None: it is not known
    seconds: float | None  # of guest time, by the last timer tick; None: before the first
    arguments: tuple[tuple[str, int], ...]  # names and values; of an inlined copy: the object alone
    times: int = 1  # one after the other, with nothing else between them


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A line of code that did something to the objects, and how often."""

    role: Role
    function: str
    line: SourceLine | None
    times: int
    tasks: int
    last: float | None  # seconds of guest time


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """What the replay showed."""

    splat: str  # the title
    seconds: float | None  # of guest time, when it came
    stop: str  # where the guest stopped before it
    types: tuple[str, ...]
    objects: tuple[Span, ...]  # (): which ones is not known, so the acts are those on all of these types
    acts: tuple[Act, ...]
    places: tuple[Place, ...]
    lines: Mapping[int, SourceLine] = field(default_factory=dict)  # of the acts' addresses
    tasks: Mapping[int, str] = field(default_factory=dict)  # their names
    current: str = ""  # the task that crashed
    left_out: int = 0  # instructions that were not looked at, as they are too many
