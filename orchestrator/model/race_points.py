# SPDX-License-Identifier: GPL-2.0-or-later
"""Instructions of a kernel at which something happens to the objects of a crash (pure)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a function does to the object that it is given, by its name."""

    TAKES = "takes"
    PUTS = "puts"
    LOCKS = "locks"
    UNLOCKS = "unlocks"
    FREES = "frees"
    KILLS = "kills"
    WAITS = "waits"
    USES = "uses"


# The kernel's words, in the order in which they are looked for: unlock before lock, percpu_ref_kill before ref.
_WORDS: Mapping[Role, str] = {
    Role.UNLOCKS: "unlock|up",
    Role.LOCKS: "lock|trylock|relock|down",
    Role.WAITS: "wait|synchronize",
    Role.KILLS: "kill|drain|shutdown|offline|unregister|disable",
    Role.FREES: r"k?free|vfree|kvfree|exit|destroy|del|delete|remove|evict|erase|clear",
    Role.PUTS: "put|release|unpin|dec|unref|drop|uncharge",
    Role.TAKES: "get|tryget|pin|inc|hold|grab|acquire|charge|dup",
}
_ROLES = tuple((role, re.compile(rf"(?:^|_)(?:{words})(?:_|\d|$)")) for role, words in _WORDS.items())


def role_of(function: str) -> Role:
    """What it does, as its name says; most functions only use what they are given."""
    return next((role for role, words in _ROLES if words.search(function)), Role.USES)


class PointKind(StrEnum):
    """How an instruction belongs to a function."""

    ENTRY = "entry"  # its first one
    COPY = "copy"  # the first one of a copy that was inlined
    CALL = "call"  # a call of it


@dataclass(frozen=True, kw_only=True, slots=True)
class RacePoint:
    """An instruction of which QEMU is to tell the registers."""

    address: int
    kind: PointKind
    function: str  # that acts
    host: str  # the function of the machine code that the instruction lies in
    role: Role
    names: tuple[str, ...] = ()  # of the function's parameters; "" where only the type is known
    typed: tuple[int, ...] = ()  # the parameters that point to a struct of the crash's


@dataclass(frozen=True, kw_only=True, slots=True)
class RacePoints:
    """All of them in one kernel."""

    points: tuple[RacePoint, ...]
    types: tuple[str, ...]  # the structs whose objects they are given
    # Between the bytes of an instruction, one in each page with points that begin no block. With a breakpoint there,
    # which nobody ever comes to, QEMU 7.2 makes a block of each instruction of the page, and so tells of each.
    splits: tuple[int, ...]
    left_out: int = 0  # points beyond the number that QEMU can be asked for without a long wait
