# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose fault it is that a guest ended: the kernel's, this machine's, the guest's own nonsense, or a bug of ours."""

import json
import os
import signal

import pytest

from orchestrator.model.events import CellProgress, Event, Notice
from orchestrator.model.guests import Fault
from orchestrator.model.outcomes import Outcome
from tests.process import fake_host
from tests.process.fake_host import BOOT, GROWING, PROGRESS, Host, Step, passing, result_line

host = fake_host.host

SIGNALS = [signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT, signal.SIGILL]
STUCK: list[Step] = [["say", PROGRESS], ["say", result_line(swapoff_stuck=True)], ["hang"]]
TERMINATED = "qemu-system-x86_64: terminating on signal 15 from pid 77 (systemd)"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_qemu_that_dies_of_a_signal_while_the_workload_runs_is_lost(host: Host, number: signal.Signals) -> None:
    host.scenario([["say", PROGRESS], ["die_of", number]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert report.verdict.title == f"QEMU was killed by signal {number} while the workload ran"
    assert report.verdict.reasons
    assert report.run
    assert report.run.fault is Fault.MACHINE


def test_what_was_said_before_qemu_was_killed_is_kept(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["hang"]])

    def kill(event: Event) -> None:
        if isinstance(event, CellProgress):
            os.kill(host.guests()[0], signal.SIGKILL)

    report, _ = host.run_cell(on_event=kill)

    assert report.verdict.outcome is Outcome.LOST
    assert PROGRESS in (host.folder / "cell" / "workload.log").read_text()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_qemu_that_dies_of_a_signal_at_boot_is_lost(host: Host, number: signal.Signals) -> None:
    host.scenario([], boot=[*BOOT[:1], ["die_of", number]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert report.verdict.title == f"QEMU was killed by signal {number} before the guest was up"


@pytest.mark.parametrize("boot", [[["complain", TERMINATED], ["die", 0]], BOOT])
def test_a_qemu_that_somebody_told_to_end_is_lost(host: Host, boot: list[Step]) -> None:
    host.scenario([["say", PROGRESS], ["complain", TERMINATED], ["die", 0]], boot=boot)

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert TERMINATED in report.verdict.title


def test_a_qemu_that_gives_up_in_the_middle_is_lost_with_its_words(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["complain", "qemu: \x1b[2J: Cannot allocate memory"], ["die", 1]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert "QEMU ended with status 1 (qemu: \\x1b[2J: Cannot allocate memory)" in report.verdict.title


def test_a_qemu_that_can_not_start_is_lost_with_its_words(host: Host) -> None:
    host.scenario([], refuses="all")

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert report.verdict.title.startswith("QEMU could not start: QEMU ended with status 1 (fake QEMU: \\x1b[31m")
    assert any("qemu.log; patchrig doctor" in reason for reason in report.verdict.reasons)


def test_a_kernel_that_qemu_can_not_load_is_a_failed_boot(host: Host) -> None:
    host.scenario([], refuses="kernel")

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.BOOT_FAILED
    assert report.verdict.title.startswith("QEMU can't load this kernel: ")


@pytest.mark.parametrize("name", ["kernel/image", "initramfs"])
def test_a_kernel_that_is_gone_or_empty_is_lost(host: Host, name: str) -> None:
    host.scenario(passing())
    (host.folder / name).write_bytes(b"")

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert report.verdict.title.endswith("is empty")

    (host.folder / name).unlink()
    report, _ = host.run_cell(folder="another")

    assert report.verdict.outcome is Outcome.LOST
    assert "No such file" in report.verdict.title
    assert not host.guests()


def test_a_qemu_that_did_not_start_once_is_started_again(host: Host) -> None:
    host.scenario(passing(), boots=[[["die", 1]], BOOT])

    report, events = host.run_cell()

    assert report.verdict.outcome is Outcome.PASSED
    assert [event.text for event in events if isinstance(event, Notice) and "QEMU did not start" in event.text]


@pytest.mark.parametrize("state", ["io-error", "paused", "internal-error", "debug"])
def test_a_guest_that_qemu_does_not_run_is_no_hang(host: Host, state: str) -> None:
    host.scenario(STUCK, state=state)

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert "QEMU" in report.verdict.title
    assert report.verdict.reasons


def test_a_guest_that_qemu_does_not_run_at_boot_is_no_failed_boot(host: Host) -> None:
    host.scenario([], boot=[["hang"]], state="io-error")

    report, _ = host.run_cell(boot_seconds=3.0)  # a busy machine takes a while to start the fake

    assert report.verdict.outcome is Outcome.LOST
    assert "could not write or read a disk of the guest" in report.verdict.title


@pytest.mark.parametrize("state", ["running", "guest-panicked", "suspended"])
def test_a_guest_that_stands_still_by_itself_is_a_hang(host: Host, state: str) -> None:
    host.scenario(STUCK, state=state)

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.HUNG


@pytest.mark.parametrize(
    "line",
    [
        '{"type": ' + "[" * 50_000,
        PROGRESS.replace("0.5", "Infinity"),
        PROGRESS.replace("5,", "9" * 5000 + ",", 1),
        '{"a": ' * 5000,
    ],
    ids=["nested", "infinite", "5,000 digits", "nested objects"],
)
def test_a_result_beside_nonsense_is_no_pass(host: Host, line: str) -> None:
    host.scenario([["say", line], *passing()])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.FAILED
    assert report.verdict.title.startswith("a line that breaks the protocol: ")
    assert len(report.verdict.title) < 1000


def test_two_results_are_no_pass(host: Host) -> None:
    host.scenario([["say", f"{result_line(mismatch_count=1)}\n{result_line()}"], ["exit", 0]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.CORRUPTED


@pytest.mark.parametrize("fact", [{"speed": "0"}, {"speed": "nan"}, {"memory_kib": "9" * 5000}, {"cpus": "9" * 5000}])
def test_facts_of_nonsense_are_the_guests_loss(host: Host, fact: dict[str, str]) -> None:
    host.scenario(passing(), boot=[["ready", fact]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert report.run
    assert report.run.fault is Fault.GUEST


def test_a_guest_that_claims_to_be_hardly_running_gets_no_days(host: Host) -> None:
    host.scenario([["hang"]], boot=[["ready", {"speed": "0.1"}]], answers={"/patchrig/speed": "0.1\n"})

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert "2000 times slower than the reference" in report.verdict.title


def test_a_bug_of_ours_costs_one_cell_and_is_kept_with_its_traceback(host: Host) -> None:
    host.scenario([["loop", GROWING]])

    def fails(event: Event) -> None:
        if isinstance(event, CellProgress):
            raise RecursionError("nobody foresaw \x1b[2J this")

    report, _ = host.run_cell(on_event=fails)

    assert report.verdict.outcome is Outcome.LOST
    assert report.verdict.title.startswith("a bug of patchrig's own: RecursionError at test_cell_endings.py:")
    assert report.run
    assert report.run.fault is Fault.OURS
    assert "RecursionError" in (host.folder / "cell" / "traceback.txt").read_text()
    assert "traceback.txt" in report.verdict.reasons[0]
    json.dumps(report.verdict.title)
    host.await_no_guest()


def test_a_complaint_of_the_kernel_outranks_the_end_of_qemu(host: Host) -> None:
    complaint = "[   12.000002][  T400] BUG: KASAN: slab-use-after-free in swap_cluster_readahead+0x41/0x90"
    host.scenario([["say", PROGRESS], ["console", complaint], ["die_of", signal.SIGKILL]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.CRASHED
