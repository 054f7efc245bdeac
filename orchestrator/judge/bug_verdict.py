# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a seeded bug was found, from the cells that were run with it (pure)."""

from collections.abc import Sequence

from orchestrator.model.bugs import Attempt, BugStatus
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport

# A bug that a workload has noticed. A cell that proved nothing has found nothing either, and a lost one knows nothing.
FINDINGS = frozenset({Outcome.FAILED, Outcome.HUNG, Outcome.CORRUPTED, Outcome.CRASHED})


def is_finding(report: CellReport) -> bool:
    """Whether the cell has noticed that its kernel is broken.

    A kernel that does not come up is a finding where its console says why. Without a word it may be this machine.
    """
    if report.verdict.outcome is Outcome.BOOT_FAILED:
        return any(crash.fails for crash in report.crashes)
    return report.verdict.outcome in FINDINGS


def attempt_of(report: CellReport, folder: str) -> Attempt:
    """What a cell adds to what is known of its bug; `folder` as Attempt has it."""
    return Attempt(
        workload=report.cell.workload.name,
        seconds=report.cell.seconds,
        outcome=report.verdict.outcome,
        title=report.verdict.title,
        found=is_finding(report),
        guest_seconds=round(report.run.guest_seconds, 1) if report.run else 0.0,
        cell=report.cell.name,
        folder=folder,
    )


def status_of(attempts: Sequence[Attempt]) -> BugStatus:
    """What the cells of one bug add up to."""
    outcomes = {attempt.outcome for attempt in attempts}
    if any(attempt.found for attempt in attempts):
        return BugStatus.FOUND
    if Outcome.SKIPPED in outcomes or not attempts:
        return BugStatus.UNTRIED
    # One cell that is lost leaves open whether it would have found it.
    if outcomes & {Outcome.LOST, Outcome.BOOT_FAILED}:
        return BugStatus.LOST
    return BugStatus.SURVIVED
