# SPDX-License-Identifier: GPL-2.0-or-later
"""What a try showed, and what the tries of one fault add up to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """A column of the table; each must be 0."""

    WRONG = "wrong verdicts"
    SILENT = "silent uses"
    UNCAUGHT = "uncaught exceptions"
    OVERLONG = "overlong waits"


class Skip(Exception):
    """This host cannot play the try; the text says why. A skipped try has not passed."""


class NeverCame(Exception):
    """patchrig ended, or waited for ever, before the try could begin: it broke earlier than that."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be."""

    kind: Kind
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """How one try ended."""

    name: str
    findings: tuple[Finding, ...] = ()
    skipped: str = ""  # why it was not run; "" when it was
    seconds: float = 0.0
    calls: int = 0  # of patchrig, each followed by a look at what is left behind


@dataclass(slots=True)
class Tally:
    """A row of the table."""

    fault: str
    what: str
    played: list[Played] = field(default_factory=list)
    note: str = ""

    def tries(self) -> int:
        return sum(not one.skipped for one in self.played)

    def count(self, kind: Kind) -> int:
        """The tries that showed something of this kind."""
        return sum(any(finding.kind is kind for finding in one.findings) for one in self.played)

    def good(self) -> bool:
        return not any(one.findings for one in self.played)

    def skipped(self) -> str:
        """How many tries were skipped and why; "" for none."""
        reasons: dict[str, int] = {}
        for one in self.played:
            if one.skipped:
                reasons[one.skipped] = reasons.get(one.skipped, 0) + 1
        return "; ".join(f"{count} skipped: {why}" for why, count in reasons.items())


def markdown(rows: Iterable[Tally], day: str) -> str:
    """The table, a row for each fault, played on `day`."""
    head = ["fault", "what is done", "tries", *(str(kind) for kind in Kind), "not run", "date"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        counts = [str(row.count(kind)) for kind in Kind]
        note = "; ".join(part for part in (row.skipped(), row.note) if part)
        lines.append("| " + " | ".join([row.fault, row.what, str(row.tries()), *counts, note, day]) + " |")
    return "\n".join(lines) + "\n"


def never_played(fault: str, what: str, *, short: int) -> str:
    """The row of a fault whose campaign was never written: without counts and date."""
    note = f"never run in full; `make test` runs a short form of it: {short} kills"
    return "| " + " | ".join([fault, what, "0", *([""] * len(Kind)), note, ""]) + " |"
