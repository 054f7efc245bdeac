# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether it makes sense to go on: what was lost in a row, and the first cell that was bad."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.host.errors import InfraError
from orchestrator.judge.bug_verdict import is_finding
from orchestrator.model.guests import Fault
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport

# One that is lost may be an accident; two in a row say that this machine can't do it.
_LOST_IN_A_ROW = 2
_ONE_CELLS = (Fault.GUEST, Fault.OURS)


def watch_over(reports: Iterable[CellReport]) -> "LossWatch":
    """A watch that has counted what ended before, in a run that goes on."""
    watch = LossWatch()
    for report in reports:
        watch.count(report)
    return watch


@dataclass(slots=True)
class LossWatch:
    """Counts what this machine loses; `what` is what is counted."""

    what: str = "cells"
    lost: int = 0
    bad: str = ""  # the first cell that was, and how
    finding: str = ""  # the first cell that found a bug of its kernel

    def count(self, report: CellReport) -> None:
        outcome = report.verdict.outcome
        if outcome is not Outcome.SKIPPED:
            # What a guest or a bug of ours did says nothing of the next cell; what this machine did may.
            fault = report.run.fault if report.run else None
            self.add(lost=outcome is Outcome.LOST and fault not in _ONE_CELLS)
        # Whether another cell runs what this one did not, the end of the run will tell.
        if not outcome.good and not report.verdict.unreached:
            self.bad = self.bad or f"{report.cell.name}: {outcome}"
        if is_finding(report):
            self.finding = self.finding or f"{report.cell.name}: {outcome}"

    def add(self, *, lost: bool) -> None:
        """One more has ended."""
        self.lost = self.lost + 1 if lost else 0

    def why_hopeless(self) -> str:
        """Why nothing more is to be begun; "" where there is hope."""
        if self.lost < _LOST_IN_A_ROW:
            return ""
        return f"{self.lost} {self.what} in a row were lost to this machine's own trouble"

    def check(self, hint: str) -> None:
        """Raise InfraError where there is no hope."""
        if why := self.why_hopeless():
            raise InfraError(why, hint=hint)
