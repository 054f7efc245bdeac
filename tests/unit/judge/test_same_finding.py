# SPDX-License-Identifier: GPL-2.0-or-later
"""When two red cells show the same."""

import pytest

from orchestrator.judge.same_finding import finding_of, shows
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.minimised import SameFinding
from orchestrator.model.outcomes import Outcome
from tests.unit import samples

USE = samples.crash()
WARNING = samples.crash(CrashKind.WARNING, "WARNING in f")


def test_a_crash_is_known_by_its_kind_and_title() -> None:
    report = samples.cell_report(Outcome.CRASHED, USE.title, crashes=(WARNING, USE))

    assert finding_of(report) == SameFinding(kind="kasan", title=USE.title, crash=True)


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.LOST, Outcome.NOT_EXERCISED, Outcome.SKIPPED])
def test_a_cell_that_found_nothing_has_no_finding(outcome: Outcome) -> None:
    assert finding_of(samples.cell_report(outcome, "x")) is None


def test_a_splat_that_comes_after_another_is_shown_too() -> None:
    finding = SameFinding(kind="kasan", title=USE.title, crash=True)

    assert shows(samples.cell_report(Outcome.CRASHED, WARNING.title, crashes=(WARNING, USE)), finding)
    assert not shows(samples.cell_report(Outcome.CRASHED, WARNING.title, crashes=(WARNING,)), finding)


@pytest.mark.parametrize(
    "other",
    [
        samples.crash(CrashKind.WARNING, USE.title),
        samples.crash(title="KASAN: use-after-free Write in f"),
        samples.crash(allowed="the matrix allows it"),
        samples.crash(severity=Severity.NOTE),
    ],
)
def test_another_splat_is_not_the_same(other: Crash) -> None:
    finding = SameFinding(kind="kasan", title=USE.title, crash=True)

    assert not shows(samples.cell_report(Outcome.CRASHED, "x", crashes=(other,)), finding)


def test_counts_in_the_title_of_a_cell_without_a_crash_do_not_matter() -> None:
    finding = finding_of(samples.cell_report(Outcome.FAILED, "3 pages differ"))

    assert finding
    assert not finding.crash
    assert shows(samples.cell_report(Outcome.FAILED, "17 pages differ"), finding)
    assert not shows(samples.cell_report(Outcome.HUNG, "17 pages differ"), finding)
    assert not shows(samples.cell_report(Outcome.FAILED, "17 tasks differ"), finding)
