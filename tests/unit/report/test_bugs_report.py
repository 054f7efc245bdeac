# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of seeded bugs, as JSON, JUnit XML and a table; and when a bug counts as found."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from junitparser import JUnitXml
from rich.console import Console

from orchestrator.cli.bug_runs import exit_code, is_missed
from orchestrator.judge.bug_verdict import is_finding, status_of
from orchestrator.model.bugs import Attempt, BugReport, BugStatus, Control, SeededBug, Sensitivity
from orchestrator.model.crashes import CrashKind
from orchestrator.model.outcomes import Outcome
from orchestrator.report.bugs_report import Ledger, as_json
from orchestrator.report.junit import sensitivity_junit_text
from orchestrator.report.terminal import print_sensitivity
from tests.conftest import GOLDEN, Golden
from tests.unit.samples import cell, cell_report, crash

BUILD = cell().build


def bug(name: str, bug_class: str = "A") -> SeededBug:
    return SeededBug(
        id=name,
        path=Path(f"{name}.patch"),
        diff="",
        touched=("mm/memory.c",),
        bug_class=bug_class,
        broken="do_swap_page() keeps its reference",
        symptom="hung: for ever",
    )


def attempt(outcome: Outcome = Outcome.PASSED, *, seconds: float = 22.0, workload: str = "swapin") -> Attempt:
    return Attempt(
        workload=workload,
        seconds=20,
        outcome=outcome,
        title="a swapoff never returned" if outcome is Outcome.HUNG else str(outcome),
        found=outcome is Outcome.HUNG,
        guest_seconds=seconds,
        cell=f"patched.plain.x86_64.{workload}",
        folder=f"bugs/x/cells/patched.plain.x86_64.{workload}",
    )


FOUND = BugReport(
    bug=bug("swapin-leak"),
    build=BUILD,
    status=BugStatus.FOUND,
    title="a swapoff never returned",
    attempts=(attempt(), attempt(Outcome.HUNG, seconds=9.5)),
    build_seconds=8.2,
)
SURVIVED = BugReport(bug=bug("swapin-no-reference", "C"), build=BUILD, status=BugStatus.SURVIVED, attempts=(attempt(),))
BROKEN = BugReport(bug=bug("typo", ""), build=BUILD, status=BugStatus.BUILD_FAILED, title="mm/memory.c:1: error: no")
UNTRIED = BugReport(bug=bug("late", "C"), build=BUILD, status=BugStatus.UNTRIED, title="the disk is full")
LOST = BugReport(
    bug=bug("swapin-sigbus", "C"),
    build=BUILD,
    status=BugStatus.LOST,
    title="SSH does not come up",
    attempts=(attempt(Outcome.LOST, seconds=0.0),),
)
NO_EFFECT = BugReport(
    bug=bug("elsewhere", "B"), build=BUILD, status=BugStatus.NO_EFFECT, title="the kernel is the same"
)
SAME = replace(bug("swapin-test-device", ""), undetectable="tryget_swap_entry() stores NULL exactly where it fails")
CONTROL = (Control(build=BUILD, attempt=attempt()),)


def report(*bugs: BugReport, control: tuple[Control, ...] = CONTROL) -> Sensitivity:
    return Sensitivity(
        id="sensitivity-2026-11-25T120000Z-7f3a",
        folder=Path("results/sensitivity-2026-11-25T120000Z-7f3a"),
        argv=("patchrig", "sensitivity", "configs/swapoff.yaml"),
        matrix_path="configs/swapoff.yaml",
        started="2026-11-25T12:00:00+00:00",
        versions={"patchrig": "0.1.0"},
        seconds=61.0,
        control=control,
        bugs=bugs,
        not_counted=(SAME,),
    )


def control(outcome: Outcome, workload: str = "swapin") -> Control:
    return Control(build=BUILD, attempt=attempt(outcome, workload=workload))


WHOLE = report(SURVIVED, FOUND, BROKEN, LOST)


def test_the_json_has_what_a_script_asks_for() -> None:
    said = json.loads(json.dumps(as_json(WHOLE)))

    found = next(one for one in said["bugs"] if one["id"] == "swapin-leak")
    assert (found["found"], found["workload"], found["outcome"]) == (True, "swapin", "hung")
    assert (found["guest_seconds"], found["build_seconds"], found["arch"]) == (31.5, 8.2, "x86_64")
    assert [one["outcome"] for one in found["attempts"]] == ["passed", "hung"]
    survived = next(one for one in said["bugs"] if one["id"] == "swapin-no-reference")
    assert (survived["found"], survived["workload"], survived["status"]) == (False, None, "survived")
    assert said["not_counted"] == [{"id": SAME.id, "reason": SAME.undetectable}]
    assert {one["class"]: (one["found"], one["bugs"]) for one in said["summary"]} == {
        "A": (1, 1),
        "C": (0, 2),
        "": (0, 1),
    }


def test_the_table_is_what_the_golden_file_says(golden: Golden) -> None:
    text = StringIO()
    controls = (
        control(Outcome.HUNG, "shmem"),
        control(Outcome.LOST, "large"),
        control(Outcome.NOT_EXERCISED, "mincore"),
    )
    shown = report(SURVIVED, FOUND, BROKEN, LOST, NO_EFFECT, control=controls)

    print_sensitivity(shown, Console(file=text, width=160, force_terminal=False))

    golden.text(GOLDEN / "sensitivity.txt", "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n")


def test_in_junit_a_survivor_is_a_failure_and_what_is_not_counted_is_skipped() -> None:
    xml = JUnitXml.fromstring(sensitivity_junit_text(WHOLE).encode())

    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (6, 2, 1, 1)
    cases = {case.name: case for suite in xml for case in suite}
    assert cases["swapin-no-reference"].result[0].type == "survived"
    assert not cases["swapin-leak"].result
    assert not cases["control.swapin"].result


def test_in_junit_a_control_that_is_lost_is_an_error_and_what_has_no_effect_is_skipped() -> None:
    xml = JUnitXml.fromstring(sensitivity_junit_text(report(NO_EFFECT, control=(control(Outcome.LOST),))).encode())

    cases = {case.name: case for suite in xml for case in suite}
    assert (xml.errors, xml.failures, xml.skipped) == (1, 0, 2)
    assert cases["control.swapin"].result[0].type == "lost"


def test_what_has_no_effect_does_not_count() -> None:
    said = json.loads(json.dumps(as_json(report(FOUND, NO_EFFECT))))

    assert {one["class"]: one["bugs"] for one in said["summary"]} == {"A": 1}
    assert {one["id"]: one["found"] for one in said["bugs"]} == {"swapin-leak": True, "elsewhere": False}


@pytest.mark.parametrize(
    ("bugs", "controls", "code"),
    [
        ((FOUND,), CONTROL, 0),
        ((FOUND, SURVIVED), CONTROL, 1),
        ((FOUND, BROKEN), CONTROL, 1),
        ((FOUND, LOST), CONTROL, 3),
        ((SURVIVED, LOST), CONTROL, 1),
        ((), CONTROL, 3),
        ((FOUND, NO_EFFECT), CONTROL, 0),
        ((NO_EFFECT,), CONTROL, 3),
        ((FOUND,), (control(Outcome.HUNG),), 1),
        ((FOUND,), (control(Outcome.LOST),), 3),
        ((FOUND,), (control(Outcome.BOOT_FAILED),), 3),
        ((SURVIVED,), (control(Outcome.LOST),), 1),
        ((FOUND,), (control(Outcome.NOT_EXERCISED),), 0),
    ],
)
def test_the_exit_code_is_0_only_where_all_were_found(
    bugs: tuple[BugReport, ...], controls: tuple[Control, ...], code: int
) -> None:
    assert exit_code(report(*bugs, control=controls)) == code


@pytest.mark.parametrize(
    ("bugs", "controls", "missed"),
    [
        ((FOUND,), CONTROL, False),
        ((FOUND, LOST, UNTRIED), CONTROL, False),  # what was not tried to its end was not missed
        ((FOUND, SURVIVED, UNTRIED), CONTROL, True),
        ((UNTRIED,), (control(Outcome.HUNG),), True),
    ],
)
def test_a_bug_that_was_missed_counts_whatever_this_machine_does_afterwards(
    bugs: tuple[BugReport, ...], controls: tuple[Control, ...], missed: bool
) -> None:
    assert is_missed(report(*bugs, control=controls)) is missed


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_bug_is_found_when_the_kernel_or_the_data_says_so(outcome: Outcome) -> None:
    found = outcome in (Outcome.FAILED, Outcome.HUNG, Outcome.CORRUPTED, Outcome.CRASHED)

    assert is_finding(cell_report(outcome)) is found


def test_a_kernel_that_does_not_boot_is_found_where_its_console_says_why() -> None:
    panic = crash(CrashKind.PANIC, "kernel panic: no init")

    assert is_finding(cell_report(Outcome.BOOT_FAILED, crashes=(panic,)))
    assert not is_finding(cell_report(Outcome.BOOT_FAILED))


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ((Outcome.PASSED, Outcome.HUNG), BugStatus.FOUND),
        ((Outcome.LOST, Outcome.HUNG), BugStatus.FOUND),
        ((Outcome.PASSED, Outcome.NOT_EXERCISED), BugStatus.SURVIVED),
        ((Outcome.PASSED, Outcome.LOST), BugStatus.LOST),
        ((Outcome.BOOT_FAILED,), BugStatus.LOST),
        ((Outcome.PASSED, Outcome.SKIPPED), BugStatus.UNTRIED),
        ((), BugStatus.UNTRIED),
    ],
)
def test_a_bug_survives_only_what_was_really_run(outcomes: tuple[Outcome, ...], status: BugStatus) -> None:
    assert status_of([attempt(outcome) for outcome in outcomes]) is status


def test_what_is_recorded_is_on_the_disk_at_once(tmp_path: Path) -> None:
    ledger = Ledger(replace(report(control=()), folder=tmp_path, not_counted=()))
    ledger.add_bug(FOUND)

    assert [one["id"] for one in json.loads((tmp_path / "sensitivity.json").read_text())["bugs"]] == ["swapin-leak"]
    assert JUnitXml.fromfile(str(tmp_path / "junit.xml")).tests == 1
    ledger.add_untried((FOUND.bug, SURVIVED.bug), BUILD, "interrupted")
    assert [(one.bug, one.status) for one in ledger.report().bugs] == [
        (FOUND.bug, BugStatus.FOUND),
        (SURVIVED.bug, BugStatus.UNTRIED),
    ]
