# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tasks are stuck, from two looks at all stacks; and who is asked when."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from orchestrator.guest.evidence import (
    ONCE,
    STACKS,
    SYSRQ_KEYS,
    SYSRQ_KEYS_WITHOUT_SHELL,
    TWICE,
    Evidence,
    HangChannels,
    Shell,
    collect,
    growth,
    running_tasks,
    still_stuck,
    stuck_tasks,
    sysrq_command,
)
from orchestrator.host.errors import InfraError

# From a 6.19.6 guest whose swapoff waits for a reference that was never put; shortened.
LOOK = """== 1 init S (sleeping)
[<0>] do_wait+0x5f/0xf0
[<0>] kernel_wait4+0xa6/0x150
[<0>] do_syscall_64+0xa4/0x320
== 2 kthreadd S (sleeping)
[<0>] kthreadd+0x29c/0x2f0
== 17 kworker/0:1-events I (idle)
[<0>] worker_thread+0x1bb/0x350
== 88 mincore R (running)
== 91 a (odd) name D (disk sleep)
[<0>] folio_wait_bit_common+0x13b/0x340
[<0>] do_swap_page+0x9a1/0x1180
[<0>] __handle_mm_fault+0x8f5/0xd60
== 94 swapoff D (disk sleep)
[<0>] wait_for_completion+0x24/0x40
[<0>] __do_sys_swapoff.part.0+0x5d2/0xa10
[<0>] do_syscall_64+0xa4/0x320
[<0>] entry_SYSCALL_64_after_hwframe+0x77/0x7f
"""


def test_tasks_in_uninterruptible_sleep_are_found_with_their_frames() -> None:
    faulting, swapoff = stuck_tasks(LOOK)

    assert (faulting.pid, faulting.task, faulting.running) == (91, "a (odd) name", False)
    assert [str(frame) for frame in swapoff.stack] == [
        "wait_for_completion+0x24/0x40",
        "__do_sys_swapoff.part.0+0x5d2/0xa10",
        "do_syscall_64+0xa4/0x320",
        "entry_SYSCALL_64_after_hwframe+0x77/0x7f",
    ]


def test_a_frame_of_a_module_says_so() -> None:
    (task,) = stuck_tasks("== 94 swapoff D (disk sleep)\n[<0>] zram_bio+0x1/0x20 [zram]\n")

    assert task.stack[0].module == "zram"


# Field 14 and 15 of stat are ticks of user and system time; 100 of them are a second.
TIMES = """100.00 350.00
1 (init) S 0 1 1 0 -1 4194560 158 0 0 0 5 7 0 0 20 0 1 0 4 1
94 (a (odd) name) R 1 94 94 0 -1 4194560 158 0 0 0 10 200 0 0 20 0 1 0 4 1
95 (kswapd0) R 2 0 0 0 -1 4194560 0 0 0 0 0 50 0 0 20 0 1 0 4 1
96 (reporter) S 1 94 94 0 -1 4194560 158 0 0 0 3 3 0 0 20 0 1 0 4 1
"""
LATER = """103.00 351.00
1 (init) S 0 1 1 0 -1 4194560 158 0 0 0 5 7 0 0 20 0 1 0 4 1
94 (a (odd) name) R 1 94 94 0 -1 4194560 158 0 0 0 10 300 0 0 20 0 1 0 4 1
95 (kswapd0) R 2 0 0 0 -1 4194560 0 0 0 0 0 340 0 0 20 0 1 0 4 1
96 (reporter) S 1 94 94 0 -1 4194560 158 0 0 0 4 4 0 0 20 0 1 0 4 1
97 (cat) R 1 94 94 0 -1 4194560 158 0 0 0 400 4 0 0 20 0 1 0 4 1
"""


def test_who_runs_is_told_by_the_time_that_was_used_and_not_by_the_state() -> None:
    assert [(task.task, task.pid, task.running) for task in running_tasks(TIMES, LATER)] == [
        ("kswapd0", 95, True),
        ("a (odd) name", 94, True),
    ]


@pytest.mark.parametrize("text", ["", "x", "100.00 1\n94 (a) R 1\n", LATER])
def test_of_looks_that_tell_nothing_nobody_is_said_to_run(text: str) -> None:
    assert running_tasks(text, text) == ()
    assert running_tasks(LATER, TIMES) == ()


def test_the_counters_of_swapping_and_reclaim_that_grew_are_named_the_largest_first() -> None:
    before = "pswpin 10\npgfault 5\npgscan_direct 7\nswap_ra 3\nnr_free_pages 9\n"
    after = "pswpin 12\npgfault 900\npgscan_direct 107\nswap_ra 3\nnr_free_pages 90\nzswpin 4\n"

    assert list(growth(before, after).items()) == [("pgscan_direct", 100), ("pswpin", 2)]


def test_a_task_that_has_moved_on_is_not_stuck() -> None:
    later = LOOK.replace("folio_wait_bit_common", "io_schedule")

    assert [task.task for task in still_stuck(LOOK, later)] == ["swapoff"]


def test_a_task_that_sleeps_in_good_order_is_not_stuck() -> None:
    assert still_stuck(LOOK, LOOK.replace("D (disk sleep)", "S (sleeping)")) == ()


@pytest.mark.parametrize("text", ["", "\n", "cat: can't open\n", "[<0>] lone_frame+0x1/0x2\n", "== 1 x D (cut of"])
def test_nonsense_gives_no_stuck_task(text: str) -> None:
    assert stuck_tasks(text) == ()


def test_the_serial_consoles_line_ends_and_kernel_messages_do_no_harm() -> None:
    mixed = LOOK.replace("== 94", "[   99.000000][  T94] sysrq: Show Blocked State\n== 94")

    assert stuck_tasks(mixed) == stuck_tasks(LOOK)


def unreachable() -> Shell:
    raise InfraError("nobody there")


class Asked:
    """What was asked of whom, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def shell(self, command: str) -> str:
        self.said.append(command)
        return LOOK if command == STACKS else "said\n"

    def sysrq(self, keys: str) -> None:
        self.said.append(f"sysrq {keys}")

    def monitor(self, command: str) -> str:
        self.said.append(command)
        return "CPU#0\n"

    def dump(self, file: Path) -> None:
        self.said.append("dump")
        file.write_bytes(b"core")

    def ways(self, **shells: Callable[[], Shell]) -> HangChannels:
        named = {name.replace("_", " "): opened for name, opened in shells.items()}
        return HangChannels(shells=named, sysrq=self.sysrq, monitor=self.monitor)


def refuses(_argument: object) -> NoReturn:
    raise InfraError("nobody there")


def gathered(folder: Path, ways: HangChannels) -> Evidence:
    return collect(folder, ways, second_look=0.0)


def test_the_first_shell_that_answers_is_the_only_one_asked_and_then_qemu(tmp_path: Path) -> None:
    asked = Asked()

    seen = gathered(tmp_path, asked.ways(SSH=lambda: asked.shell, serial_console=unreachable))

    looks = [*TWICE.values(), *ONCE.values(), *TWICE.values(), sysrq_command(SYSRQ_KEYS), "info registers -a"]
    assert asked.said == looks
    assert seen.source == "SSH, QEMU monitor"
    assert [task.task for task in seen.stuck] == ["a (odd) name", "swapoff"]
    assert seen.moved == {}
    assert {file.name for file in tmp_path.iterdir()} == set(seen.files)


def test_a_way_that_breaks_in_the_middle_gives_place_to_the_next(tmp_path: Path) -> None:
    def breaks(command: str) -> str:
        if command == STACKS:
            return LOOK
        raise InfraError("gone in the middle")

    seen = gathered(tmp_path, Asked().ways(SSH=lambda: breaks, serial_console=lambda: lambda _: LOOK))

    assert seen.source == "serial console, QEMU monitor"
    assert (tmp_path / "no-SSH.txt").read_text() == "gone in the middle\n"


def test_where_no_shell_answers_the_kernel_is_asked_on_the_line_itself(tmp_path: Path) -> None:
    asked = Asked()

    seen = gathered(tmp_path, asked.ways(SSH=unreachable, serial_console=unreachable))

    assert asked.said == [f"sysrq {SYSRQ_KEYS_WITHOUT_SHELL}", "info registers -a"]
    assert (seen.source, seen.files, seen.moved) == ("sysrq, QEMU monitor", ("registers.txt",), None)


def test_where_nobody_answers_that_is_said(tmp_path: Path) -> None:
    seen = gathered(tmp_path, HangChannels(shells={"SSH": unreachable}, sysrq=refuses, monitor=refuses))

    assert (seen.source, seen.files, seen.stuck) == ("nothing", (), ())
    assert {file.name for file in tmp_path.iterdir()} == {"no-SSH.txt", "no-sysrq.txt", "no-monitor.txt"}


def test_memory_is_dumped_last_and_on_request_only(tmp_path: Path) -> None:
    asked = Asked()
    ways = replace(asked.ways(SSH=lambda: asked.shell), dump_memory=asked.dump)

    seen = gathered(tmp_path, ways)

    assert asked.said[-2:] == ["info registers -a", "dump"]
    assert seen.files[-2:] == ("registers.txt", "memory.elf")


def test_a_dump_that_fails_spoils_nothing(tmp_path: Path) -> None:
    asked = Asked()

    seen = gathered(tmp_path, replace(asked.ways(SSH=lambda: asked.shell), dump_memory=refuses))

    assert "memory.elf" not in seen.files
    assert (tmp_path / "no-memory-dump.txt").read_text() == "nobody there\n"
    assert seen.source == "SSH, QEMU monitor"
