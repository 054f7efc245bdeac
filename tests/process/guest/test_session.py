# SPDX-License-Identifier: GPL-2.0-or-later
"""The SSH session, the watch over a workload and the serial console, against a real server in the fake QEMU."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.guest.keys import new_keys
from orchestrator.guest.ssh import Guest, GuestUnreachable
from orchestrator.guest.workload import Limits, Progress, Watched, watch
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.model.guests import Ending
from orchestrator.run.bootable import vm_spec
from orchestrator.run.restored import connected
from orchestrator.vm.console import serial_shell
from orchestrator.vm.qemu import Ready, Vm, boot
from orchestrator.vm.qmp import human_command
from orchestrator.vm.snapshot import save
from tests.process import fake_host
from tests.process.fake_host import GROWING, PROGRESS, Host, Step, passing, result_line, sample_cell

host = fake_host.host

GENEROUS = Limits(swapoff=100.0, no_progress=100.0, overall=100.0)


def soon(seconds: float = 100.0) -> Deadline:
    return Deadline.after(seconds, "the test")


@contextmanager
def booted(host: Host, memory: Path | None = None) -> Iterator[tuple[Vm, Ready]]:
    cell = sample_cell()
    spec = vm_spec(cell, host.bootable(cell))
    logs = {"console_log": host.folder / "console.log", "qemu_log": host.folder / "qemu.log"}
    with boot(spec, **logs, memory=memory) as vm:
        ready = vm.wait_ready(soon())
        assert ready
        yield vm, ready


@contextmanager
def logged_in(host: Host) -> Iterator[tuple[Vm, Guest]]:
    with booted(host) as (vm, _), connected(vm, host.keys, soon()) as guest:
        yield vm, guest


def watched(host: Host, steps: list[Step], limits: Limits = GENEROUS) -> tuple[Watched, list[Progress]]:
    host.scenario(steps)
    seen: list[Progress] = []
    with logged_in(host) as (vm, guest):
        return watch(guest, ["run-workload"], limits, alive=vm.alive, on_progress=seen.append), seen


def test_operations_that_stand_still_are_no_progress(host: Host) -> None:
    limits = Limits(swapoff=100.0, no_progress=0.3, overall=100.0)

    seen, progress = watched(host, [["loop", PROGRESS]], limits)

    assert seen.ending is Ending.NO_PROGRESS
    assert {said.operations for said in progress} == {5}


def test_a_workload_that_goes_on_and_on_is_timed_out(host: Host) -> None:
    limits = Limits(swapoff=100.0, no_progress=100.0, overall=0.5)

    seen, progress = watched(host, [["loop", GROWING]], limits)

    assert seen.ending is Ending.TIMED_OUT
    assert [said.operations for said in progress] == sorted({said.operations for said in progress})


def test_a_program_that_reports_and_never_ends_is_no_report(host: Host) -> None:
    limits = Limits(swapoff=100.0, no_progress=3.0, overall=100.0)

    seen, _ = watched(host, [["say", result_line()], ["hang"]], limits)

    assert seen.ending is Ending.TIMED_OUT
    assert "did not end" in seen.detail
    assert seen.result is not None, "what it said is kept"
    assert seen.exit_status is None


def test_a_connection_that_breaks_after_the_result_tells_no_status(host: Host) -> None:
    seen, _ = watched(host, [["say", result_line()], ["cut"]])

    assert seen.ending is Ending.SSH_LOST
    assert seen.exit_status is None


def test_a_guest_that_dies_after_the_result_is_gone(host: Host) -> None:
    seen, _ = watched(host, [["say", result_line()], ["die", 0]])

    assert seen.ending is Ending.GUEST_GONE


def test_lines_that_are_no_protocol_are_kept_and_told(host: Host) -> None:
    seen, progress = watched(host, [["say", "mkswap: done"], ["say", "{not json"], *passing()])

    assert seen.ending is Ending.REPORTED
    assert "breaks the protocol" in seen.broken
    assert len(progress) == 1
    assert seen.output.startswith("mkswap: done\n{not json\n")


def test_half_a_result_line_is_no_result(host: Host) -> None:
    seen, _ = watched(host, [["say", result_line()[:-20]], ["exit", 0]])

    assert seen.ending is Ending.PROGRAM_DIED
    assert seen.result is None


def test_a_command_that_never_ends_is_a_guest_that_can_not_be_reached(host: Host) -> None:
    host.scenario([["hang"]])

    with logged_in(host) as (_, guest), pytest.raises(GuestUnreachable, match="does not end a command"):
        guest.run("run-workload", soon(0.3))


def test_a_server_that_does_not_say_whether_it_takes_a_command_is_waited_for_no_longer_than_that(host: Host) -> None:
    host.scenario([])

    with logged_in(host) as (_, guest), pytest.raises(GuestUnreachable, match="no longer answers"):
        guest.run("never-accepted", soon(0.5))


def test_a_state_that_can_not_be_saved_leaves_nothing_in_memory(host: Host) -> None:
    host.scenario([], saving="failed")
    state = host.folder / "saved-guest"

    with booted(host, memory=host.folder / "memory") as (vm, ready), pytest.raises(InfraError, match="can't save"):
        save(vm, ready, state, soon())

    assert not state.exists()


def test_a_deadline_that_has_passed_is_a_guest_that_can_not_be_reached(host: Host) -> None:
    host.scenario([])

    with logged_in(host) as (_, guest), pytest.raises(GuestUnreachable, match="out of time"):
        guest.run("true", soon(0.0))


def test_a_command_gives_what_it_said(host: Host) -> None:
    host.scenario([], answers={"uname": "Linux guest ünïcode\n"})

    with logged_in(host) as (_, guest):
        done = guest.run("uname -a", soon())

    assert (done.status, done.text) == (0, "Linux guest ünïcode\n")


def test_another_user_key_is_not_let_in(host: Host) -> None:
    host.scenario([])
    stranger = replace(new_keys(), pinned_host=host.keys.pinned_host)

    with booted(host) as (vm, _), pytest.raises(GuestUnreachable), connected(vm, stranger, soon()):
        pytest.fail("it was let in")


def test_the_serial_console_answers_with_its_echo(host: Host) -> None:
    host.scenario([], answers={"/proc/swaps": "Filename\n/dev/vda\n"})

    with booted(host) as (vm, _), serial_shell(vm.files.console_socket, soon()) as shell:
        said = shell.run("cat /proc/swaps", soon())

    assert said.endswith("Filename\n/dev/vda\n")


def test_a_serial_console_that_hangs_up_is_an_error_that_says_so(host: Host) -> None:
    host.scenario([], serial=False)

    with (
        booted(host) as (vm, _),
        pytest.raises(InfraError, match="serial console does not answer"),
        serial_shell(vm.files.console_socket, soon()),
    ):
        pytest.fail("it answered")


def test_a_qemu_that_is_stopped_does_not_hold_up_its_monitor_for_ever(host: Host) -> None:
    host.scenario([])

    with booted(host) as (vm, _):
        (pid,) = host.guests()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(InfraError, match="out of time"):
            human_command(vm.files.qmp_socket, "info status", soon(0.3))


def test_a_stopped_qemu_is_ended_all_the_same(host: Host) -> None:
    host.scenario([])

    with booted(host):
        (pid,) = host.guests()
        os.kill(pid, signal.SIGSTOP)

    host.await_no_guest()


def test_the_sockets_and_disks_are_gone_with_the_guest(host: Host) -> None:
    host.scenario([])

    with booted(host) as (vm, _):
        runtime = vm.files.runtime
        assert Path(vm.files.disk(0)).stat().st_size == 16 << 20

    assert not runtime.exists()
