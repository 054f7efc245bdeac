"""Which tasks are stuck, from two looks at all stacks; and who is asked when."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import InfraError
from orchestrator.guest.evidence import COMMANDS, STACKS, SYSRQ, Evidence, Shell, collect, still_stuck, stuck_tasks

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

    assert (faulting.pid, faulting.comm) == (91, "a (odd) name")
    assert str(swapoff) == (
        "swapoff: wait_for_completion <- __do_sys_swapoff.part.0 <- do_syscall_64 <- entry_SYSCALL_64_after_hwframe"
    )


def test_the_threads_of_one_process_share_its_block() -> None:
    look = LOOK + "[<0>] second_thread+0x1/0x2\n"

    assert stuck_tasks(look)[-1].frames[-1] == "second_thread"


def test_a_task_that_has_moved_on_is_not_stuck() -> None:
    later = LOOK.replace("folio_wait_bit_common", "io_schedule")

    assert [task.comm for task in still_stuck(LOOK, later)] == ["swapoff"]


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


def gathered(folder: Path, shells: dict[str, Callable[[], Shell]], asked: list[str]) -> Evidence:
    def monitor(command: str) -> str:
        asked.append(command)
        if "monitor" not in shells:
            return "CPU#0\n"
        raise InfraError("no monitor")

    ways = {name: opened for name, opened in shells.items() if name != "monitor"}
    return collect(folder, ways, monitor, second_look=0.0)


def test_the_first_way_that_answers_is_the_only_one_asked(tmp_path: Path) -> None:
    asked: list[str] = []

    def shell(command: str) -> str:
        asked.append(command)
        return LOOK if command == STACKS else "said\n"

    seen = gathered(tmp_path, {"SSH": lambda: shell, "serial console": unreachable}, asked)

    assert asked == [*COMMANDS.values(), STACKS, SYSRQ]
    assert seen.source == "SSH"
    assert [task.comm for task in seen.stuck] == ["a (odd) name", "swapoff"]
    assert {file.name for file in tmp_path.iterdir()} == set(seen.files)


def test_a_way_that_breaks_in_the_middle_gives_place_to_the_next(tmp_path: Path) -> None:
    def breaks(command: str) -> str:
        if command == STACKS:
            return LOOK
        raise InfraError("gone in the middle")

    seen = gathered(tmp_path, {"SSH": lambda: breaks, "serial console": lambda: lambda _: LOOK}, [])

    assert seen.source == "serial console"
    assert (tmp_path / "no-SSH.txt").read_text() == "gone in the middle\n"


def test_where_nobody_answers_the_monitor_is_asked(tmp_path: Path) -> None:
    asked: list[str] = []

    seen = gathered(tmp_path, {"SSH": unreachable, "serial console": unreachable}, asked)

    assert asked == ["info registers -a"]
    assert (seen.source, seen.files) == ("QEMU monitor", ("registers.txt",))


def test_where_not_even_the_monitor_answers_that_is_said(tmp_path: Path) -> None:
    seen = gathered(tmp_path, {"SSH": unreachable, "monitor": unreachable}, [])

    assert (seen.source, seen.files, seen.stuck) == ("nothing", (), ())
    assert (tmp_path / "no-monitor.txt").read_text() == "no monitor\n"
