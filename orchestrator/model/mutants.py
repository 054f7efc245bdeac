# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants: one place of what a series changed, broken on purpose by a rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.model.series_diff import ChangedFile

MOST_NUMBER = 32767
"""The highest number of a mutant: patchrig_reached[] of kernels/overlays/mutants ends there."""


class Guard(StrEnum):
    """How a mutant is kept apart from the code that it breaks."""

    CONDITION = "condition"  # (unlikely(patchrig_mutant == N) ? !!(broken) : !!(whole)), whatever their types are
    EXPRESSION = "expression"  # (unlikely(patchrig_mutant == N) ? (broken) : (whole))
    STATEMENT = "statement"  # { if (unlikely(patchrig_mutant == N)) { broken } else { whole } }
    OWN_BUILD = "own build"  # no choice at run time is possible: a declaration, or code outside functions


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """A rule that makes mutants."""

    name: str
    breaks: str
    detector: str  # which check should notice
    example: str
    invisible: str = ""  # why QEMU may not show it, whatever the workload does


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """Replaces the bytes [start, end) of a patched file. `text` is on one line, so that no other line moves.

    That of an OWN_BUILD edit may have several.
    """

    start: int
    end: int
    text: str
    guard: Guard


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """What one operator does at one place."""

    number: int  # from 1; that of the guard
    operator: str
    file: str
    function: str  # "" outside functions
    line: int  # of the patched file
    before: str
    after: str
    edits: tuple[Edit, ...]
    also: tuple[str, ...] = ()  # other operators that make the same edit
    own_build: bool = False  # although each edit could be guarded: they cross those of another mutant

    @property
    def guard(self) -> Guard:
        return Guard.OWN_BUILD if self.own_build else self.edits[0].guard


@dataclass(frozen=True, kw_only=True, slots=True)
class NotMutated:
    """A changed place that no operator was allowed to break."""

    file: str
    line: int
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutants:
    """The mutants of a series, and what was left out."""

    mutants: tuple[Mutant, ...]  # those that were asked for
    in_kernel: tuple[Mutant, ...]  # all: whoever asks for fewer needs no other kernel, and finds the same numbers
    left_out: tuple[NotMutated, ...]
    statements: int  # statements and conditions on changed lines
    texts: Mapping[str, str]  # path -> the patched file, of each file with a mutant
    diff: tuple[ChangedFile, ...] = ()  # all that the series changes
