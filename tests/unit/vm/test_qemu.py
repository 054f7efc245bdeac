# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest says of itself, and what QEMU says of its network."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, OutOfTime
from orchestrator.model.arch import ARCHES
from orchestrator.model.machine import Machine
from orchestrator.vm.accelerator import kvm_impossible
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.console import ConsoleLog
from orchestrator.vm.qemu import READY, SETTLED, Ready, not_as_asked, ready_of, wrong_clock
from orchestrator.vm.qmp import port_of
from orchestrator.vm.schedstat import ProcessorTime

FACTS = "cpus=4 memory_kib=498108 speed=212.4 config=0123456789abcdef page_kib=4 nodes=1 memcg=v2 thp=madvise"
READ = Ready(cpus=4, memory_mib=486, speed=212.4, config="0123456789abcdef", machine=Machine(thp="madvise"))
SPEC = VmSpec(arch=ARCHES["x86_64"], image=Path("i"), initramfs=Path("r"), memory_mib=512, cpus=4, kvm=False)
# QEMU 7.2, with a connection open beside the forward.
USERNET = (
    "Hub -1 (net):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
    "  TCP[ESTABLISHED]   9       127.0.0.1 51234       10.0.2.15    22     0     0\r\n"
    "  TCP[HOST_FORWARD]   8       127.0.0.1 45249       10.0.2.15    22     0     0\r\n"
)


def test_the_forwarded_port_is_that_of_the_listening_line() -> None:
    assert port_of(USERNET) == 45249


@pytest.mark.parametrize("text", ["", "Hub -1 (net):\r\n", USERNET.replace("127.0.0.1", "0.0.0.0")])
def test_without_a_forward_on_the_loopback_there_is_no_port(text: str) -> None:
    assert port_of(text) is None


@pytest.mark.parametrize("stamps", ["", "[    1.204117] ", "[    1.204117][   T41] "])
def test_the_ready_line_is_read(stamps: str) -> None:
    match = READY.search(f"{stamps}patchrig: ready {FACTS}")

    assert match
    assert ready_of(match["facts"]) == READ


@pytest.mark.parametrize(("word", "reachable"), [("", True), (" ssh=1", True), (" ssh=0", False)])
def test_a_guest_says_whether_its_ssh_server_listens(word: str, reachable: bool) -> None:
    assert ready_of(FACTS + word).ssh is reachable


def test_an_echo_of_the_ready_line_by_something_else_does_not_count() -> None:
    assert READY.search(f"[    1.0] sh: patchrig: ready {FACTS}") is None


@pytest.mark.parametrize(
    "facts",
    [
        "",
        "cpus=4",
        FACTS.replace("4", "four", 1),
        "a b c",
        FACTS.replace("speed=", "="),
        *(FACTS.replace(word, "") for word in (" page_kib=4", " nodes=1", " memcg=v2", " thp=madvise")),
        FACTS.replace("page_kib=4", "page_kib=-4"),
        FACTS.replace("thp=madvise", "thp=[madvise]"),
    ],
)
def test_a_ready_line_that_makes_no_sense_is_an_error_that_shows_it(facts: str) -> None:
    with pytest.raises(InfraError, match="makes no sense"):
        ready_of(facts)


def test_a_guest_as_asked_for_differs_in_nothing() -> None:
    assert not_as_asked(SPEC, READ, READ.config) == ""


@pytest.mark.parametrize(
    ("ready", "says"),
    [
        (replace(READ, cpus=3), "3 CPUs, 4 were asked for"),
        (replace(READ, memory_mib=300), "300 MiB of memory, 512 were asked for"),
        (replace(READ, memory_mib=1024), "1024 MiB of memory"),
        (replace(READ, config="f" * 16), "another config"),
        (replace(READ, ssh=False), "SSH server did not start"),
        (replace(READ, machine=Machine(page_kib=64)), "pages of 64 KiB; asked for: 4"),
        (replace(READ, machine=Machine(nodes=2)), "2 NUMA node(s); asked for: 1"),
        (replace(READ, machine=Machine(memcg="v1")), "the memory controller of cgroup v1; asked for: v2"),
    ],
)
def test_a_guest_that_differs_is_not_what_was_to_be_tested(ready: Ready, says: str) -> None:
    assert says in not_as_asked(SPEC, ready, READ.config)


@pytest.mark.parametrize("asked", [Machine(page_kib=16), Machine(nodes=2), Machine(memcg="v1"), Machine(thp="always")])
def test_a_plain_guest_is_not_taken_for_one_of_a_flavour(asked: Machine) -> None:
    spec = replace(SPEC, machine=asked)

    assert "asked for" in not_as_asked(spec, READ, READ.config)
    assert not_as_asked(spec, replace(READ, machine=asked), READ.config) == ""


def test_what_a_guest_says_of_its_machine_is_read_as_it_is_written() -> None:
    machine = Machine(page_kib=16, nodes=2, memcg="v1", thp="none")

    assert ready_of(f"cpus=1 memory_kib=1024 speed=1.0 config=x {machine.facts()}").machine == machine


def test_a_kernel_with_shadow_memory_may_keep_more() -> None:
    """As a KASAN guest said it: 660 of 832 MiB are left."""
    spec, ready = replace(SPEC, memory_mib=832), replace(READ, memory_mib=660)

    assert "660 MiB of memory, 832 were asked for" in not_as_asked(spec, ready, READ.config)
    assert not_as_asked(spec, ready, READ.config, kept=0.3) == ""


def test_a_clock_that_was_calibrated_wrong_is_this_machines_fault() -> None:
    """Of a guest that reported a hung task after 13 s; the host was busy when its clock was calibrated."""
    console = (
        "[    0.028000][    T0] tsc: PIT calibration deviates from PMTIMER: 90025 2596136\n"
        "[    0.029000][    T0] tsc: Using PIT calibration value\n"
    )

    assert "the guest's clock runs 29 times as fast as ours" in wrong_clock(console)
    assert (
        wrong_clock(console + "[    2.131306][   T53] tsc: Refined TSC clocksource calibration: 2596.138 MHz\n") == ""
    )
    assert wrong_clock("[    0.013000][    T0] tsc: Unable to calibrate against PIT\n") == ""


def test_the_console_log_gives_whole_lines_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    log = ConsoleLog(path)
    assert log.new_lines() == []

    path.write_bytes(b"one\r\ntw")
    assert log.new_lines() == ["one"]
    with path.open("ab") as more:
        more.write(b"o\n\xff\n")
    assert log.new_lines() == ["two", "\ufffd"]


def test_what_a_dead_guest_said_last_is_still_found(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_text(f"booting\npatchrig: ready {FACTS}\n")

    match = ConsoleLog(path).wait_for(READY, alive=lambda: False, until=Deadline.after(60, "the test"))

    assert match
    assert match["facts"] == FACTS


def test_what_came_with_the_line_that_was_waited_for_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_text(f"patchrig: ready {FACTS}\nother\npatchrig: settled\n")
    log, until = ConsoleLog(path), Deadline.after(60, "the test")

    assert log.wait_for(READY, alive=lambda: True, until=until)
    assert log.wait_for(SETTLED, alive=lambda: True, until=until)


def test_a_guest_that_ended_without_the_line_gives_none(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log")

    assert log.wait_for(READY, alive=lambda: False, until=Deadline.after(60, "the test")) is None


def test_a_guest_that_says_nothing_is_out_of_time(tmp_path: Path) -> None:
    with pytest.raises(OutOfTime, match="a ready line"):
        ConsoleLog(tmp_path / "none").wait_for(READY, alive=lambda: True, until=Deadline.after(0.05, "a ready line"))


def test_a_foreign_arch_never_runs_under_kvm() -> None:
    reasons = [kvm_impossible(arch) for arch in ARCHES.values()]

    assert sum("the host is" in (reason or "") for reason in reasons) >= len(ARCHES) - 1


def test_the_share_of_waiting_is_of_the_time_that_was_wanted() -> None:
    assert ProcessorTime(ran=4.0, waited=4.0).waited_share == 0.5
    assert ProcessorTime(ran=0.0, waited=0.0).waited_share == 0.0
