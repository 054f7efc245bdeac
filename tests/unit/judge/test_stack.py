# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash's stack with offsets, and whose it is."""

import pytest

from orchestrator.judge.frames import find_task, stack_frame
from orchestrator.judge.watch import find_crashes
from orchestrator.model.crashes import Crash
from orchestrator.model.stacks import StackFrame
from tests.conftest import GOLDEN, Golden


def first_crash(name: str, golden: Golden) -> Crash:
    _, log = golden.split(GOLDEN / "console" / f"{name}.txt")
    return next(find_crashes(log.splitlines()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" swap_entry_get.isra.0+0x12c/0x180", StackFrame(function="swap_entry_get.isra.0", offset=300, size=384)),
        ("RIP: 0010:f+0x3a/0x90", StackFrame(function="f", offset=58, size=144)),
        ("pc : f+0x40/0xa0", StackFrame(function="f", offset=64, size=160)),
        (" [<ffffffff81234567>] f+0x10", StackFrame(function="f", offset=16, size=0)),
        (" zram_bio+0x1/0x20 [zram]", StackFrame(function="zram_bio", offset=1, size=32, module="zram")),
        (" zram_bio+0x1/0x20 [zram 0a1b]", StackFrame(function="zram_bio", offset=1, size=32, module="zram")),
        (" f+0x1/0x20 (P)", StackFrame(function="f", offset=1, size=32)),
    ],
)
def test_a_frame_keeps_function_offset_and_size(text: str, expected: StackFrame) -> None:
    assert stack_frame(text) == expected


def test_a_frame_is_shown_as_the_kernel_printed_it() -> None:
    assert str(stack_frame(" f+0x1/0x20 [zram]")) == "f+0x1/0x20 [zram]"
    assert str(stack_frame("f+0x10")) == "f+0x10"


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("CPU: 0 UID: 0 PID: 140 Comm: a (b) Not tainted 6.19.6 #1", "a (b)"),
        ("CPU: 1 PID: 3 Comm: kworker/0:1 Tainted: G        W", "kworker/0:1"),
        ("Read of size 1 at addr ffffc90001a3d004 by task shmem/140", "shmem"),
        ("INFO: task swapoff:412 blocked for more than 30 seconds.", "swapoff"),
        ("task:swapoff         state:D stack:13424 pid:412", "swapoff"),
        ("Allocated by task 140:", ""),
        ("", ""),
    ],
)
def test_the_task_is_the_one_that_the_report_names(text: str, task: str) -> None:
    assert find_task(text) == task


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_the_instruction_that_was_executed_comes_first_and_once(arch: str, golden: Golden) -> None:
    crash = first_crash(f"null-pointer-{arch}", golden)

    assert [frame.function for frame in crash.stack[:2]] == ["swap_cache_get_folio", "do_swap_page"]
    assert [frame.exact for frame in crash.stack[:2]] == [True, False]
    assert crash.task == "swapin"


def test_a_stack_names_the_compilers_copy_of_a_function(golden: Golden) -> None:
    crash = first_crash("kasan-vmalloc", golden)

    assert "swap_entry_get.isra.0+0x12c/0x180" in [str(frame) for frame in crash.stack]
    assert not any(frame.exact for frame in crash.stack)


def test_a_register_dump_inside_a_trace_is_a_frame_in_its_place() -> None:
    log = """[    1.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [swapoff:412]
[    1.000001] Call Trace:
[    1.000002]  <IRQ>
[    1.000003]  handle_softirqs+0xd6/0x2f0
[    1.000004]  asm_sysvec_apic_timer_interrupt+0x1a/0x20
[    1.000005] RIP: 0010:try_to_unuse+0x20/0x400
[    1.000006]  __do_sys_swapoff+0x5d2/0xa10
[    1.000007]  entry_SYSCALL_64_after_hwframe+0x77/0x7f"""

    crash = next(find_crashes(log.splitlines()))

    shown = [(frame.function, frame.exact) for frame in crash.stack]
    assert shown[2:4] == [("try_to_unuse", True), ("__do_sys_swapoff", False)]
