# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as GitLab's code quality report: a finding each, with a fingerprint by which two pipelines are compared (pure).

Source: GitLab's "Code Quality", section "Code Quality report format".
"""

import hashlib

from orchestrator.host.text import json_text, one_line
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.model.subtests import Change
from orchestrator.report.news_text import is_old_subtest
from orchestrator.report.reached_elsewhere import is_excused
from orchestrator.report.suite_text import change_text
from orchestrator.report.summary import Finding, crash_of, findings

CODE_QUALITY_FILE = "gl-code-quality-report.json"
COVERAGE_FILE = "gl-coverage.xml"

_SEVERITY = {
    Outcome.CORRUPTED: "blocker",
    Outcome.CRASHED: "critical",
    Outcome.HUNG: "critical",
    Outcome.BOOT_FAILED: "critical",
    Outcome.BUILD_FAILED: "critical",
    Outcome.NOT_APPLIED: "critical",
    Outcome.FAILED: "major",
    Outcome.NOT_EXERCISED: "minor",
    Outcome.LOST: "info",  # the host's
}


def code_quality_text(report: RunReport) -> str:
    """JSON. What an earlier run had, too, is "info", where the run was compared with earlier ones."""
    entries = [_finding(report, finding) for finding in findings(report.cells)]
    for suite in report.suites:
        for change in suite.changes:
            if change.change is Change.REGRESSED:
                name = f"{suite.name} {change.path}"
                text = f"subtest {change.change}: {suite.name}: {change.path}: {change_text(suite, change)}"
                severity = "info" if is_old_subtest(report.news, name) else "major"
                entries.append(_entry("subtest-regressed", text, name, severity, (_matrix(report), 1)))
    return json_text(entries, indent=1)


def _finding(report: RunReport, finding: Finding) -> dict[str, object]:
    names = [cell.cell.name for cell in finding.cells]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    severity = "info" if is_excused(report, finding.cells) else _SEVERITY.get(finding.outcome, "major")
    text = f"{finding.outcome}: {finding.title} ({names[0]}{more})"
    return _entry(str(finding.outcome), text, f"{finding.outcome} {finding.title}", severity, _place(report, finding))


def _place(report: RunReport, finding: Finding) -> tuple[str, int]:
    """File and line of the kernel, where the splat's stack has them: of a function that the series changed, if any."""
    crash = crash_of(finding)
    places = [place for frame in crash.stack[crash.first :] for place in frame.places] if crash else []
    chosen = next((place for place in places if place.changed), next(iter(places), None))
    return (chosen.file, chosen.line) if chosen else (_matrix(report), 1)


def _matrix(report: RunReport) -> str:
    """GitLab drops an entry without a path."""
    return one_line(report.matrix_path) or "patchrig"


def _entry(check: str, text: str, identity: str, severity: str, place: tuple[str, int]) -> dict[str, object]:
    path, line = place
    return {
        "description": one_line(text),
        "check_name": check,
        "fingerprint": hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest(),
        "severity": severity,
        "location": {"path": one_line(path), "lines": {"begin": line}},
    }
