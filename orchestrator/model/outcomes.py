# SPDX-License-Identifier: GPL-2.0-or-later
"""The verdict of a cell."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """A cell's verdict. Declared from best to worst; worst() relies on it."""

    PASSED = "passed"
    SKIPPED = "skipped"
    SUBTESTS_FAILED = "subtests-failed"  # as may be with any kernel: the other variant tells
    NOT_EXERCISED = "not-exercised"
    FAILED = "failed"
    HUNG = "hung"
    CORRUPTED = "corrupted"
    CRASHED = "crashed"
    BOOT_FAILED = "boot-failed"
    BUILD_FAILED = "build-failed"
    NOT_APPLIED = "not-applied"
    LOST = "lost"

    @property
    def good(self) -> bool:
        """Nothing is wrong with the kernel or with us, as far as the cell tells."""
        return self in (Outcome.PASSED, Outcome.SKIPPED, Outcome.SUBTESTS_FAILED)

    @classmethod
    def worst(cls, outcomes: "tuple[Outcome, ...]") -> "Outcome":
        return max(outcomes, key=list(cls).index, default=cls.LOST)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The outcome, why in one line, and what a reader needs to believe it."""

    outcome: Outcome
    title: str
    reasons: tuple[str, ...] = ()
    unreached: bool = False  # not-exercised for one reason only: it ran nothing of what the series changes
