# SPDX-License-Identifier: GPL-2.0-or-later
"""Who waits for what, as the kernel shows it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.hang import LEAK, meaning, merged, place_text, shown_tasks, waits_for_reference
from orchestrator.model.guests import StuckTask
from orchestrator.model.stacks import SourceLine, StackFrame
from orchestrator.vm.schedstat import ProcessorTime, inner_process, processor_time

CONSOLE = """[   61.000001][  T440] sysrq: Show Blocked State
[   61.000002][  T440] task:mincore         state:D stack:13424 pid:412   tgid:412   ppid:398    flags:0x00080000
[   61.000003][  T440] Call Trace:
[   61.000004][  T440]  <TASK>
[   61.000005][  T440]  __schedule+0x3f1/0xb50
[   61.000006][  T440]  ? __pfx_schedule+0x1/0x10
[   61.000007][  T440]  wait_for_completion+0x20/0x40
[   61.000008][  T440]  __do_sys_swapoff+0x5d2/0xa10
[   61.000009][  T440]  </TASK>
[   61.000010][  T440] task:sh              state:S stack:13424 pid:2     tgid:2     ppid:1      flags:0x00080000
[   61.000011][  T440]  do_wait+0x5f/0xf0
[   61.100001][  T440] sysrq: Show backtrace of all active CPUs
[   61.100002][    C1] NMI backtrace for cpu 1
[   61.100003][    C1] CPU: 1 UID: 0 PID: 415 Comm: swap off Not tainted 6.19.6 #1 PREEMPT(full)
[   61.100004][    C1] RIP: 0010:try_to_unuse+0x20/0x400
[   61.100005][    C1] Call Trace:
[   61.100006][    C1]  __do_sys_swapoff+0x3d2/0xa10
[   61.100007][    C0] NMI backtrace for cpu 0 skipped: idling at default_idle+0xb/0x10
"""


def frame(function: str, *places: SourceLine) -> StackFrame:
    return StackFrame(function=function, offset=1, size=2, places=places)


def task(*functions: str, running: bool = False) -> StuckTask:
    return StuckTask(task="swapoff", pid=412, running=running, stack=tuple(map(frame, functions)))


def test_sleeping_and_running_tasks_are_found_with_their_stacks() -> None:
    shown = shown_tasks(CONSOLE.splitlines())

    assert {pid: (one.task, one.running) for pid, one in shown.items()} == {
        412: ("mincore", False),
        415: ("swap off", True),
    }
    functions = {pid: [one.function for one in found.stack] for pid, found in shown.items()}
    assert functions[412] == ["__schedule", "wait_for_completion", "__do_sys_swapoff"]
    assert functions[415] == ["try_to_unuse", "__do_sys_swapoff"]
    assert shown[415].stack[0].exact


def test_the_kernels_stack_replaces_the_one_of_proc_only_for_the_same_task_in_the_same_state() -> None:
    shown = shown_tasks(CONSOLE.splitlines())
    looked = (task("__do_sys_swapoff"), StuckTask(task="swap off", pid=415, running=False, stack=()))

    sleeping, other = merged(looked, shown)

    assert sleeping.stack == shown[412].stack
    assert other.stack == ()
    assert merged((), shown) == tuple(shown.values())


@pytest.mark.parametrize(
    ("functions", "leak"),
    [
        (("__schedule", "schedule", "__wait_for_common", "wait_for_completion", "__do_sys_swapoff"), True),
        (("__switch_to", "__schedule", "wait_for_completion", "__arm64_sys_swapoff"), True),
        (("__do_sys_swapoff.part.0", "do_syscall_64"), True),  # /proc/PID/stack
        (("wait_for_completion", "percpu_ref_kill_and_confirm", "__do_sys_swapoff"), True),
        (("wait_for_completion", "__wait_rcu_gp", "synchronize_rcu_normal", "__do_sys_swapoff"), False),
        (("schedule", "__mutex_lock.constprop.0", "__do_sys_swapoff"), False),
        (("folio_wait_bit_common", "try_to_unuse", "__do_sys_swapoff"), False),
        (("wait_for_completion", "kthread_stop"), False),
        ((), False),
    ],
)
def test_only_a_swapoff_that_itself_waits_for_the_completion_has_lost_a_reference(
    functions: tuple[str, ...], leak: bool
) -> None:
    assert waits_for_reference(functions) is leak
    assert (LEAK in list(meaning([task(*functions)]))) is leak


def test_a_swapoff_that_runs_in_try_to_unuse_is_another_matter() -> None:
    (said,) = meaning([task("try_to_unuse", "__do_sys_swapoff", running=True)])

    assert "swap slot" in said


def test_the_place_has_file_and_line_and_not_the_schedulers_own_functions() -> None:
    place = SourceLine(function="__do_sys_swapoff", file="mm/swapfile.c", line=2904)
    stack = (*map(frame, ("__schedule", "schedule", "wait_for_completion")), frame("__do_sys_swapoff", place))

    text = place_text(StuckTask(task="swapoff", pid=1, running=False, stack=stack))

    assert text == "swapoff: wait_for_completion <- __do_sys_swapoff (mm/swapfile.c:2904)"
    assert place_text(StuckTask(task="a", pid=1, running=True, stack=())) == "a"


@given(st.lists(st.text()))
def test_any_console_is_survived(lines: list[str]) -> None:
    shown_tasks(lines)


def test_the_processor_time_is_that_of_all_threads(tmp_path: Path) -> None:
    for thread, text in (("7", "1500000000 500000000 3\n"), ("8", "500000000 0 1\n")):
        (tmp_path / "7" / "task" / thread).mkdir(parents=True)
        (tmp_path / "7" / "task" / thread / "schedstat").write_text(text)

    assert processor_time(7, tmp_path) == ProcessorTime(ran=2.0, waited=0.5)
    assert processor_time(9, tmp_path) is None


def test_a_host_without_statistics_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    (tmp_path / "7" / "task" / "7" / "schedstat").write_text("0 0 0\n")

    assert processor_time(7, tmp_path) is None


def processes(proc: Path, tree: dict[int, tuple[str, list[int]]]) -> None:
    """Pid -> name and children, as /proc shows them."""
    for pid, (name, children) in tree.items():
        (proc / str(pid) / "task" / str(pid)).mkdir(parents=True)
        (proc / str(pid) / "comm").write_text(f"{name}\n")
        (proc / str(pid) / "task" / str(pid) / "children").write_text(" ".join(map(str, children)))


def test_the_process_in_the_sandbox_is_found_beside_its_helpers(tmp_path: Path) -> None:
    tree = {1: ("bwrap", [2]), 2: ("bwrap", [5, 3]), 3: ("bwrap", [4]), 4: ("qemu", []), 5: ("socat", [])}
    processes(tmp_path, tree)

    assert inner_process(1, {"bwrap", "socat"}, tmp_path) == 4
    assert inner_process(4, {"bwrap", "socat"}, tmp_path) == 4
    assert inner_process(5, {"bwrap", "socat"}, tmp_path) is None
    assert inner_process(7, {"bwrap", "socat"}, tmp_path) is None
