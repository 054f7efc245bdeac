# SPDX-License-Identifier: GPL-2.0-or-later
"""Interrupts and kills: nothing is left running, and what had finished is kept."""

import json
import signal
import subprocess

import pytest
from junitparser import JUnitXml

from orchestrator.host.paths import abandoned_scratch
from tests.process import fake_host
from tests.process.fake_host import BOOT, PROGRESS, Host, Step, passing

host = fake_host.host


def in_the_middle(host: Host) -> subprocess.Popen[str]:
    """Four cells, two side by side: two have passed and two are running."""
    host.earlier_run()
    running = [["say", PROGRESS], ["mark", "third"], ["hang"]]
    host.scenario(passing(), passing(), running, [["say", PROGRESS], ["mark", "fourth"], ["hang"]])
    patchrig = host.start_repro("--repeat", "5", "--jobs", "2")
    host.marked("third")
    host.marked("fourth")
    return patchrig


def test_an_interrupt_ends_the_guests_and_keeps_what_had_finished(host: Host) -> None:
    patchrig = in_the_middle(host)

    patchrig.send_signal(signal.SIGINT)
    patchrig.communicate(timeout=120)

    assert patchrig.returncode == 130
    host.await_no_guest()
    folder = host.results / "latest"
    assert sorted(host.outcomes()) == ["passed", "passed", "skipped", "skipped", "skipped"]
    assert json.loads((folder / "run.json").read_text())["interrupted"] is True
    report = JUnitXml.fromfile(str(folder / "junit.xml"))
    assert (report.tests, report.skipped) == (5, 3)
    assert "INTERRUPTED" in (folder / "summary.txt").read_text()


def test_a_termination_is_an_interrupt(host: Host) -> None:
    patchrig = in_the_middle(host)

    patchrig.send_signal(signal.SIGTERM)
    patchrig.communicate(timeout=120)

    assert patchrig.returncode == 130
    host.await_no_guest()
    assert sorted(host.outcomes())[:2] == ["passed", "passed"]


def test_a_second_interrupt_does_not_cut_the_cleaning_up_short(host: Host) -> None:
    patchrig = in_the_middle(host)

    for _ in range(3):
        patchrig.send_signal(signal.SIGINT)
    patchrig.communicate(timeout=120)

    assert patchrig.returncode == 130
    host.await_no_guest()
    assert len(host.outcomes()) == 5
    JUnitXml.fromfile(str(host.results / "latest" / "junit.xml"))


def test_a_kill_leaves_no_guest_and_what_had_finished(host: Host) -> None:
    patchrig = in_the_middle(host)

    patchrig.kill()
    patchrig.communicate(timeout=120)

    host.await_no_guest()
    assert host.outcomes() == ["passed", "passed"]
    assert json.loads((host.results / "latest" / "run.json").read_text())["interrupted"] is False


def test_an_interrupt_of_until_fail_leaves_out_what_had_not_begun(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing(), [["mark", "second"], ["hang"]])
    patchrig = host.start_repro("--until-fail", "--jobs", "1")
    host.marked("second")

    patchrig.send_signal(signal.SIGINT)
    patchrig.communicate(timeout=120)

    assert patchrig.returncode == 130
    assert host.outcomes() == ["passed", "skipped"]


@pytest.mark.parametrize(
    ("boot", "saving"),
    [
        pytest.param([BOOT[0], ["mark", "first"], ["hang"]], "completed", id="boots"),
        pytest.param([*BOOT, ["mark", "first"], ["hang"]], "active", id="is saved"),
    ],
)
def test_an_interrupt_ends_those_who_wait_for_a_guest_to_be_saved_and_boots_none(
    host: Host, boot: list[Step], saving: str
) -> None:
    host.earlier_run()
    host.scenario(passing(), boot=boot, saving=saving)
    patchrig = host.start_repro("--repeat", "4", "--jobs", "3")
    host.marked("first")

    patchrig.send_signal(signal.SIGINT)
    _, said = patchrig.communicate(timeout=120)

    assert patchrig.returncode == 130
    host.await_no_guest()
    assert len(host.guests()) == 1
    assert host.outcomes() == ["skipped"] * 4
    assert "can't be" not in said
    assert [folder for folder in abandoned_scratch() if f"-{patchrig.pid}-" in folder.name] == []
