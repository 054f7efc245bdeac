# SPDX-License-Identifier: GPL-2.0-or-later
"""What was checked of a series before anybody runs it, for a tool that shows several such checks side by side."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended, from best to worst. The words are those of `b4 review`."""

    PASS = "pass"
    WARN = "warn"  # also: it could not be found out
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesCheck:
    """One check: its name, the status, and why."""

    name: str  # the same in all runs, and of no other check of the same series
    status: Status
    summary: str  # one line
    details: tuple[str, ...] = ()  # lines


def worst_of(checks: tuple[SeriesCheck, ...]) -> Status:
    return max((check.status for check in checks), key=list(Status).index, default=Status.PASS)
