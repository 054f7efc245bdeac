# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a cell shows what another one has shown (pure)."""

from orchestrator.judge.bug_verdict import is_finding
from orchestrator.judge.hunted import what_of
from orchestrator.model.minimised import SameFinding
from orchestrator.model.reports import CellReport


def finding_of(report: CellReport) -> SameFinding | None:
    """What a red cell has found; None for one that has found nothing."""
    if not is_finding(report):
        return None
    crash = next((crash for crash in report.crashes if crash.title == report.verdict.title), None)
    if crash:
        return SameFinding(kind=crash.kind, title=crash.title, crash=True)
    return SameFinding(kind=report.verdict.outcome, title=what_of(report), crash=False)


def shows(report: CellReport, finding: SameFinding) -> bool:
    """The same kind with the same title. A splat may come after others: it is the same bug."""
    if not finding.crash:
        return finding_of(report) == finding
    fatal = (crash for crash in report.crashes if crash.fails)
    return any((crash.kind, crash.title) == (finding.kind, finding.title) for crash in fatal)
