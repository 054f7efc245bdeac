# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of each seeded bug: as JSON, as rows of a table, as conclusions, and on the disk while it goes on."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from orchestrator.host.text import json_text
from orchestrator.model.bugs import Attempt, BugReport, BugStatus, Control, SeededBug, Sensitivity
from orchestrator.model.cells import Build
from orchestrator.model.events import TrialEnded
from orchestrator.model.outcomes import Outcome
from orchestrator.report.junit import sensitivity_junit_text
from orchestrator.report.store import BUGS, JUNIT_FILE
from orchestrator.report.trial_ledger import TrialLedger

SENSITIVITY_FILE = "sensitivity.json"

_REPORT, _BUG, _ATTEMPT = TypeAdapter(Sensitivity), TypeAdapter(BugReport), TypeAdapter(Attempt)
# What the JSON has as the values have it.
_OF_THE_REPORT = {"id", "folder", "argv", "started", "seconds", "interrupted", "versions"}
_OF_A_BUG = {"status", "title", "build_seconds", "attempts"}

_CLASSES = {
    "A": "shows at every run",
    "B": "needs one branch",
    "C": "needs a race",
    "": "of no class",
}


class Ledger(TrialLedger[Sensitivity]):
    """A Sensitivity while it is made."""

    def files(self, report: Sensitivity) -> Mapping[str, str]:
        return {
            SENSITIVITY_FILE: json_text(as_json(report), indent=2),
            JUNIT_FILE: sensitivity_junit_text(report),
        }

    def add_untried(self, bugs: Iterable[SeededBug], build: Build, why: str) -> None:
        """Those of the bugs of which nothing is known on that build."""
        known = {report.bug.id for report in self.report().bugs if report.build == build}
        for bug in bugs:
            if bug.id not in known:
                self.add_bug(BugReport(bug=bug, build=build, status=BugStatus.UNTRIED, title=why))

    def kernel_folder(self, bug: SeededBug, build: Build) -> Path:
        """The folder of a bug's kernel on a build, or of the one without any (NO_BUG), made if need be."""
        variety = f"{build.flavour}.{build.arch}"
        folder = self.folder / (f"{BUGS}/{bug.id}.{variety}" if bug.id else f"control/{variety}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def add_control(self, control: Control) -> None:
        self.add(control=control)

    def add_bug(self, bug: BugReport) -> None:
        self.add(bugs=bug)


def as_json(report: Sensitivity) -> dict[str, Any]:
    """What `patchrig sensitivity --json` prints: only what json.dumps takes."""
    return {
        **_REPORT.dump_python(report, mode="json", include=_OF_THE_REPORT),
        "matrix": report.matrix_path,
        "bugs": [_bug_json(bug) for bug in report.bugs],
        "not_counted": [{"id": bug.id, "reason": bug.undetectable} for bug in report.not_counted],
        "control": [
            {"arch": one.build.arch, "flavour": one.build.flavour, **_ATTEMPT.dump_python(one.attempt, mode="json")}
            for one in report.control
        ],
        "summary": [
            {"build": name, "class": bug_class, **_figures(_of_class(bugs, bug_class))}
            for name, bugs in bugs_by_build(report).items()
            for bug_class in classes_in(bugs)
        ],
    }


def _bug_json(report: BugReport) -> dict[str, Any]:
    finding = report.finding
    return {
        **_BUG.dump_python(report, mode="json", include=_OF_A_BUG),
        "id": report.bug.id,
        "arch": report.build.arch,
        "flavour": report.build.flavour,
        "class": report.bug.bug_class,
        "files": list(report.bug.touched),
        "broken": report.bug.broken,
        "expected": report.bug.symptom,
        "found": finding is not None,
        "workload": finding.workload if finding else None,
        "outcome": str(finding.outcome) if finding else None,
        "guest_seconds": report.guest_seconds,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class BugRow:
    """One line of the table."""

    good: bool  # as BugReport has it
    cells: tuple[str, str, str, str, str, str]  # bug, class, found by, outcome, guest seconds, what was seen


def bug_rows(bugs: Sequence[BugReport]) -> tuple[BugRow, ...]:
    """By class, then by name: the order of the builds says nothing to a reader."""
    return tuple(_row(bug) for bug in sorted(bugs, key=lambda one: (one.bug.bug_class or "~", one.bug.id)))


def _row(report: BugReport) -> BugRow:
    finding = report.finding
    by, outcome = (finding.workload, str(finding.outcome)) if finding else ("-", str(report.status))
    seconds = f"{report.guest_seconds:.0f}" if report.attempts else "-"
    seen = report.title or ", ".join(f"{one.workload} {one.outcome}" for one in report.attempts)
    return BugRow(
        good=report.good,
        cells=(report.bug.id, report.bug.bug_class or "-", by, outcome, seconds, seen),
    )


def bugs_by_build(report: Sensitivity) -> dict[str, tuple[BugReport, ...]]:
    """Flavour and arch -> what became of each bug there, in the order of the builds."""
    grouped: dict[str, list[BugReport]] = {}
    for bug in report.bugs:
        grouped.setdefault(f"{bug.build.flavour}.{bug.build.arch}", []).append(bug)
    return {name: tuple(bugs) for name, bugs in grouped.items()}


def classes_in(bugs: Iterable[BugReport]) -> tuple[str, ...]:
    present = {bug.bug.bug_class for bug in bugs if bug.counts}
    return tuple(bug_class for bug_class in _CLASSES if bug_class in present)


def _of_class(bugs: Iterable[BugReport], bug_class: str) -> tuple[BugReport, ...]:
    """Those that count: what changes nothing is no bug."""
    return tuple(bug for bug in bugs if bug.bug.bug_class == bug_class and bug.counts)


def _figures(bugs: Sequence[BugReport]) -> dict[str, Any]:
    times = [bug.guest_seconds for bug in bugs if bug.finding]
    return {
        "bugs": len(bugs),
        "found": len(times),
        "median_guest_seconds": round(statistics.median(times), 1) if times else None,
        "longest_guest_seconds": max(times, default=None),
    }


_DOUBT = {True: "what it finds may be found everywhere", False: "it proves less here than it is meant to"}


def bug_ended(report: BugReport) -> TrialEnded:
    """What became of a bug, for who waits."""
    text = f"{report.status}: {report.title}" if report.title else str(report.status)
    name = f"{report.bug.id}.{report.build.flavour}.{report.build.arch}"
    return TrialEnded(name=name, text=f"found by {_text(report.finding)}" if report.finding else text, good=report.good)


def control_ended(control: Control) -> TrialEnded:
    """How a workload without any bug ended, for who waits."""
    good = not control.attempt.found and not control.unknown
    return TrialEnded(name=f"control {control.attempt.workload}", text=_text(control.attempt), good=good)


def _text(attempt: Attempt) -> str:
    return f"{attempt.workload}: {attempt.outcome} after {attempt.guest_seconds:.0f} s: {attempt.title}"


def conclusions(report: Sensitivity) -> tuple[str, ...]:
    """A line for each class of each build, and what weakens them all."""
    lines = []
    for name, bugs in bugs_by_build(report).items():
        for bug_class in classes_in(bugs):
            figures = _figures(_of_class(bugs, bug_class))
            label = f"class {bug_class} ({_CLASSES[bug_class]})" if bug_class else _CLASSES[bug_class]
            line = f"{name}: {label}: {figures['found']} of {figures['bugs']} found"
            if figures["found"]:
                median, longest = figures["median_guest_seconds"], figures["longest_guest_seconds"]
                line += f", after {median:.0f} guest seconds in the median, {longest:.0f} at most"
            lines.append(line)
        if missed := [bug.bug.id for bug in bugs if bug.status is BugStatus.SURVIVED]:
            lines.append(f"{name}: survived: {', '.join(sorted(missed))}")
        if same := [bug.bug.id for bug in bugs if not bug.counts]:
            lines.append(f"{name}: not counted, the kernel is the same without them: {', '.join(sorted(same))}")
    lines += [
        f"{one.build.flavour}.{one.build.arch}: {one.attempt.workload} without any bug is {one.attempt.outcome} "
        f"({one.attempt.title}): {_DOUBT[one.unknown]}"
        for one in report.control
        if one.unknown or one.attempt.outcome is Outcome.NOT_EXERCISED
    ]
    lines += [
        f"{one.build.flavour}.{one.build.arch}: {one.attempt.workload} is red without any bug "
        f"({one.attempt.outcome}: {one.attempt.title}): it was not used"
        for one in report.control
        if one.attempt.found
    ]
    if report.not_counted:
        lines.append(f"not counted, as nothing can tell them from the original: {len(report.not_counted)}")
    return tuple(lines)
