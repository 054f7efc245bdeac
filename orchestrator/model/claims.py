# SPDX-License-Identifier: GPL-2.0-or-later
"""A claimed race: two places in the kernel's source, and what came of forcing both orders there."""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.model.cells import Cell
from orchestrator.model.minimised import SameFinding

SIDES = ("A", "B")
"""What the two places of a claim are called, here and in the guest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One of the two, as the claim has it."""

    function: str
    file: str = ""  # "": any file that has the function
    line: int = 0  # 0: anywhere in the function

    @property
    def text(self) -> str:
        """As the user writes it."""
        words = (self.file, self.function, str(self.line) if self.line else "")
        return ":".join(word for word in words if word)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimedPlace:
    """A place in the source under test."""

    place: Place
    name: str  # as the source has it: sys_swapoff where the claim may say swapoff
    file: str
    first: int  # lines of the function, its head included
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceCounts:
    """What one or several guests counted at a place; sites.h of kernels/overlays/widened."""

    hits: int = 0  # executions of its blocks
    holds: int = 0  # how often a task was held there
    met: int = 0  # holds during which the other place was passed, by another task or an interrupt
    passes: int = 0  # how often it was, altogether

    def plus(self, other: "PlaceCounts") -> "PlaceCounts":
        """Both added up."""
        return PlaceCounts(
            hits=self.hits + other.hits,
            holds=self.holds + other.holds,
            met=self.met + other.met,
            passes=self.passes + other.passes,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Meetings:
    """The counts of both places."""

    a: PlaceCounts = PlaceCounts()
    b: PlaceCounts = PlaceCounts()

    def plus(self, other: "Meetings") -> "Meetings":
        """Both added up."""
        return Meetings(a=self.a.plus(other.a), b=self.b.plus(other.b))

    @property
    def met(self) -> int:
        return self.a.met + self.b.met


class Decision(StrEnum):
    SHOWN = "shown"
    NOT_SHOWN = "not shown"
    NOT_REACHABLE = "not reachable here"
    UNDECIDED = "not decided"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What the cells of a claim came to."""

    decision: Decision
    why: str = ""
    cells: int = 0  # that told something: neither lost nor interrupted
    meetings: Meetings = Meetings()
    finding: SameFinding | None = None
    cell: Cell | None = None  # that showed it
    in_cell: Meetings | None = None  # of that cell; None: its guest could not say
    alone: bool | None = None  # whether the cell shows it without delays, too; None: not tried
