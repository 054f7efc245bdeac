# SPDX-License-Identifier: GPL-2.0-or-later
"""Which machine code came of what a series changed, and what of that ran: values that cross stages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from orchestrator.model.series_diff import ChangedFile, Side


@dataclass(frozen=True, kw_only=True, slots=True)
class DelaySettings:
    """How race windows are widened: the knobs of kernels/overlays/widened."""

    chance_ppm: int  # a delay for each execution of a block of a target, in millionths
    sleep_us: int  # the longest sleep; 0: none
    spin_us: int  # the longest busy wait where sleeping is not allowed; 0: none
    hold_us: int = 0  # the longest sleep while a swapoff is under way, which lasts until that is over; 0: none
    rest_percent: int = 10  # of a delay: for so long the task is left alone after it
    only: tuple[str, ...] = ()  # targets that are delayed; empty: all
    partner_percent: int = 25  # of a chance, at the blocks of partners; 0: they are not delayed


class LineState(StrEnum):
    """What became of a changed line."""

    CODE = "code"  # it has instructions whose execution is counted
    NO_CODE = "no-code"  # a comment, a declaration, a macro, or what the compiler had no instruction for
    NOT_INSTRUMENTED = "not-instrumented"  # it has instructions, but only such as nobody can count
    BOOT_ONLY = "boot-only"  # it has instructions, but only such as are gone before a workload starts
    NOT_BUILT = "not-built"  # this configuration does not compile its file


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Instructions of a line that run together: how often is a sum of block counts."""

    inside: str  # the function of the machine code that they lie in
    terms: tuple[tuple[int, int], ...]  # offset of a block, and how often its count is added or (below zero) taken away


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedLine:
    """A line that the series adds or, in a baseline kernel, one that it takes away."""

    file: str
    line: int
    text: str
    state: LineState
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A basic block of a changed function."""

    offset: int  # of the return address of its callback, from _stext: what names it in the guest
    target: str  # the changed function that it belongs to
    inside: str  # the function of the machine code that it lies in: another one for an inlined copy
    file: str
    line: int  # where it begins
    quiet: bool = False  # no time may be lost here: see kernel/targets.py
    site: str = ""  # "A", "B" or "AB": the places of a claimed race that it is at
    partner: bool = False  # `target` is no changed function, but a partner


@dataclass(frozen=True, kw_only=True, slots=True)
class Partner:
    """A function that the series does not change, and that works on the same state as those that it does."""

    file: str
    function: str
    shares: tuple[str, ...]  # the state, as the source calls it, that which tells most first


@dataclass(frozen=True, kw_only=True, slots=True)
class CoverageMap:
    """What can be counted in one kernel image."""

    side: Side  # the lines are the series' own, or those that it replaces
    diff: tuple[ChangedFile, ...]
    lines: tuple[ChangedLine, ...]
    blocks: tuple[Block, ...]
    gaps: tuple[Piece, ...] = ()  # what follows where the other side has statements and this one has nothing for them
    claim: str = ""  # of a claimed race: its two places, the only ones whose blocks are here
    whole: tuple[str, ...] = ()  # C files all of whose functions are targets, whatever a series changes: of a hunt
    partners: tuple[Partner, ...] = ()  # those with blocks, best first


class BlockCount(NamedTuple):
    """What one block of a guest did; a tuple, as a report has thousands of them."""

    hits: int
    sleeps: int = 0
    spins: int = 0
    refused: int = 0  # chosen for a delay where none is allowed


NOTHING = BlockCount(hits=0)

Executed = Mapping[int, BlockCount]
"""Block offset -> its counts; a block that did not run is not in it."""

Early = Mapping[int, int]
"""Block offset -> how often it ran before the load began: in the boot, and while devices and settings were prepared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """What an instrumented guest says of its blocks."""

    executed: Executed = field(default_factory=dict)
    early: Early = field(default_factory=dict)


def summed(counts: Iterable[BlockCount]) -> BlockCount:
    """Counts of several blocks, or of one in several guests, added up."""
    total = NOTHING
    for count in counts:
        total = BlockCount(*(one + other for one, other in zip(total, count, strict=True)))
    return total


def added(many: Iterable[Executed]) -> dict[int, BlockCount]:
    """Counts of the same kernel added up."""
    total: dict[int, BlockCount] = {}
    for one in many:
        for offset, count in one.items():
            total[offset] = summed((total.get(offset, NOTHING), count))
    return total


def early_executed(early: Early) -> Executed:
    """What ran before the load began, as counts of blocks."""
    return {offset: BlockCount(hits=hits) for offset, hits in early.items()}
