# SPDX-License-Identifier: GPL-2.0-or-later
"""One cell, observed and judged, with a QEMU that does what a scenario says."""

import pytest

from orchestrator.host.deadline import CancelScope
from orchestrator.judge.hang import place_text
from orchestrator.model.events import CellProgress, Event, Notice
from orchestrator.model.guests import Ending
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from tests.process import fake_host
from tests.process.fake_host import BOOT, GROWING, PROGRESS, Host, Step, passing, result_line

host = fake_host.host

KASAN = """[   12.000001][  T400] ==================================================================
[   12.000002][  T400] BUG: KASAN: slab-use-after-free in swap_cluster_readahead+0x41/0x90
[   12.000003][  T400] Read of size 8 at addr ffff888003f41000 by task swapin/400
[   12.000004][  T400] CPU: 1 UID: 0 PID: 400 Comm: swapin Not tainted 6.19.6 #1
[   12.000005][  T400] Call Trace:
[   12.000006][  T400]  <TASK>
[   12.000007][  T400]  swap_cluster_readahead+0x41/0x90
[   12.000008][  T400]  </TASK>
[   12.000009][  T400] =================================================================="""
PANIC = (
    "[    0.913000][    T1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
    "[    0.914000][    T1] CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.19.6 #1"
)
STACKS = """== 1 init S (sleeping)
[<0>] do_wait+0x5c/0x180
== 412 swapoff D (disk sleep)
[<0>] __do_sys_swapoff+0x5d2/0xa10
"""
# What the kernel prints of the same task has the functions in which it waits.
BLOCKED = """[   61.000001][  T440] sysrq: Show Blocked State
[   61.000002][  T440] task:swapoff         state:D stack:13424 pid:412   tgid:412   ppid:398    flags:0x00080000
[   61.000003][  T440] Call Trace:
[   61.000004][  T440]  <TASK>
[   61.000005][  T440]  __schedule+0x3f1/0xb50
[   61.000006][  T440]  schedule+0x27/0xd0
[   61.000007][  T440]  schedule_timeout+0xbd/0x100
[   61.000008][  T440]  __wait_for_common+0x96/0x1b0
[   61.000009][  T440]  wait_for_completion+0x20/0x40
[   61.000010][  T440]  __do_sys_swapoff+0x5d2/0xa10
[   61.000011][  T440]  do_syscall_64+0xa4/0x2d0
[   61.000012][  T440]  </TASK>"""
IN_WAIT = "swapoff: wait_for_completion <- __do_sys_swapoff"
LEAK = "a swapoff in wait_for_completion is a leaked reference (or a put too many)"
FILES = {"swaps.txt", "memory.txt", "registers.txt"} | {
    f"{name}{again}.txt" for name in ("stacks", "times", "vmstat") for again in ("", "-again")
}
ANSWERS = {
    "/task/[0-9]*": STACKS,
    "/proc/uptime": "61.10 200.00\n1 (init) S 0 1 1 0 -1 0 0 0 0 0 3 4 0 0 20 0 1 0 5\n",
    "/proc/vmstat": "pswpin 7\n",
    "/proc/swaps": "Filename Type Size\n",
    "/proc/meminfo": "MemTotal: 1 kB\n",
}
STUCK: list[Step] = [["say", PROGRESS], ["say", result_line(swapoff_stuck=True)], ["hang"]]


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_a_guest_that_proves_its_work_passes(host: Host, arch: str) -> None:
    host.scenario(passing())

    report, events = host.run_cell(arch)

    assert report.verdict.outcome is Outcome.PASSED, report.verdict
    assert report.verdict.title == "1200 operations, 800 pages verified, 9 swapoffs"
    assert report.run is not None
    assert report.run.result is not None
    assert report.run.result.counters["site.mincore"] == 500
    assert report.run.exit_status == 0
    assert report.run.accelerator == "tcg"
    assert report.run.boot_seconds
    assert [event.operations for event in events if isinstance(event, CellProgress)] == [5]
    assert PROGRESS in (host.folder / "cell" / "workload.log").read_text()
    assert "Linux version" in (host.folder / "cell" / "console.log").read_text()
    host.await_no_guest()


def test_a_guest_whose_site_was_hardly_reached_is_not_exercised(host: Host) -> None:
    host.scenario(passing(calls=3))

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.NOT_EXERCISED
    assert report.verdict.title == "site.mincore grew by 3, at least 100 expected"


def test_a_guest_that_can_not_provide_the_devices_is_not_exercised(host: Host) -> None:
    host.scenario([["say", '{"type": "unprepared", "why": "mkswap /dev/vda failed"}'], ["exit", 4]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.NOT_EXERCISED
    assert report.verdict.title == "the guest could not provide: mkswap /dev/vda failed"


def test_memory_that_does_not_come_back_fails_although_all_data_was_right(host: Host) -> None:
    figures = {"meminfo.SwapFree": 0, "cgroup.unmapped_pages": 0}
    after = {"meminfo.SwapFree": (1 << 64) - 8, "cgroup.unmapped_pages": 1}
    said = {"before": figures, "after": after, "left_pages": ["pfn 1954: lru anon"], "lacking": {"zswap": "none"}}
    host.scenario(passing(accounting=said))

    report, _ = host.run_cell()

    assert (report.verdict.outcome, report.verdict.title) == (
        Outcome.FAILED,
        "SwapFree: 0 kB before the load, -8 after it",
    )
    assert "a page that was left: pfn 1954: lru anon" in report.verdict.reasons
    assert any(reason.startswith("promised: POSIX.1, _Exit()") for reason in report.verdict.reasons)


def test_figures_that_came_back_change_no_verdict(host: Host) -> None:
    figures = {"meminfo.SwapFree": 0, "cgroup.unmapped_pages": 0}
    host.scenario(passing(accounting={"before": figures, "after": figures}))

    assert host.run_cell()[0].verdict.outcome is Outcome.PASSED


def test_wrong_data_is_corruption_although_the_program_ended_well(host: Host) -> None:
    bad = {"page": 7, "kind": "stale", "expected": "generation 4", "seen": "generation 3"}
    host.scenario(passing(mismatch_count=2, mismatches=[bad]))

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.CORRUPTED
    assert report.verdict.title == "2 pages have the wrong data (stale)"
    assert "page 7: stale: expected generation 4, saw generation 3" in report.verdict.reasons


def test_a_splat_in_the_middle_outranks_a_passing_result(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["console", KASAN], *passing()])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.CRASHED
    assert report.verdict.title.startswith("KASAN")
    assert report.crashes[0].function == "swap_cluster_readahead"


def test_a_guest_that_is_to_stop_at_a_crash_does_not_run_on(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["console", KASAN], ["loop", GROWING]])

    report, _ = host.run_cell(stop_when_red=True)

    assert report.verdict.outcome is Outcome.CRASHED
    assert report.run is not None
    assert report.run.ending is Ending.STOPPED
    host.await_no_guest()


def test_a_guest_that_is_to_stop_at_a_crash_runs_to_its_end_without_one(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["sleep", 1.5], *passing()])

    report, _ = host.run_cell(stop_when_red=True)

    assert report.verdict.outcome is Outcome.PASSED


def test_of_a_guest_whose_outcome_alone_counts_a_stuck_swapoff_is_not_looked_at(host: Host) -> None:
    host.scenario(STUCK, answers=ANSWERS, sysrq={"w": BLOCKED})

    report, _ = host.run_cell(stop_when_red=True)

    assert report.verdict.outcome is Outcome.HUNG
    assert report.verdict.title == "a swapoff never returned"
    assert report.run is not None
    assert not report.run.evidence
    host.await_no_guest()


def waits(report: CellReport) -> list[str]:
    """Where the tasks of a guest that hung sleep."""
    assert report.run is not None
    return [place_text(task) for task in report.run.stuck if not task.running]


def test_a_stuck_swapoff_is_a_hang_with_the_place_where_it_waits(host: Host) -> None:
    host.scenario(STUCK, answers=ANSWERS, sysrq={"w": BLOCKED})

    report, _ = host.run_cell()

    evidence = host.folder / "cell" / "evidence"
    assert report.verdict.outcome is Outcome.HUNG
    assert report.verdict.title == "a swapoff never returned"
    assert report.run is not None
    assert waits(report) == [f"{IN_WAIT} <- do_syscall_64"]
    assert LEAK in report.verdict.reasons
    assert set(report.run.evidence) == FILES
    assert all((evidence / name).read_text() for name in report.run.evidence)
    assert "evidence from: SSH, QEMU monitor" in report.run.detail


def test_a_kernel_that_prints_no_blocked_task_leaves_what_proc_shows(host: Host) -> None:
    host.scenario(STUCK, answers=ANSWERS)

    report, _ = host.run_cell()

    assert report.run is not None
    assert waits(report) == ["swapoff: __do_sys_swapoff"]
    assert LEAK in report.verdict.reasons


def test_the_memory_of_a_hung_guest_is_kept_where_it_was_asked_for(host: Host) -> None:
    host.scenario(STUCK, answers=ANSWERS)

    report, _ = host.run_cell(dump_memory=True)

    assert report.run is not None
    assert "memory.elf" in report.run.evidence
    assert (host.folder / "cell" / "evidence" / "memory.elf").read_bytes() == b"\x7fELF"


def test_where_ssh_stops_the_serial_console_gives_the_evidence(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["cut"]], answers=ANSWERS, sysrq={"w": BLOCKED})

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.HUNG
    assert report.verdict.title == "the guest stopped answering over SSH"
    assert report.run is not None
    assert "evidence from: serial console, QEMU monitor" in report.run.detail
    assert waits(report) == [f"{IN_WAIT} <- do_syscall_64"]
    assert "127.0.0.1" in (host.folder / "cell" / "evidence" / "no-SSH.txt").read_text()


def test_where_no_program_answers_the_kernel_itself_is_asked(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["cut"]], serial=False, sysrq={"w": BLOCKED})

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.HUNG
    assert report.run is not None
    assert "evidence from: sysrq, QEMU monitor" in report.run.detail
    assert waits(report) == [f"{IN_WAIT} <- do_syscall_64"]
    assert LEAK in report.verdict.reasons


def test_where_the_whole_guest_is_silent_qemu_gives_the_registers(host: Host) -> None:
    host.scenario([["cut"]], serial=False)

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.HUNG
    assert report.run is not None
    assert report.run.evidence == ("registers.txt",)
    assert "CPU#0" in (host.folder / "cell" / "evidence" / "registers.txt").read_text()


def test_a_guest_that_never_lets_ssh_in_is_a_hang(host: Host) -> None:
    host.scenario([], boot=[*BOOT[:1], ["cut"], ["ready"]], answers=ANSWERS)

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.HUNG
    assert report.run is not None
    assert report.run.ending is Ending.SSH_LOST
    assert "evidence from: serial console" in report.run.detail


def test_a_stranger_behind_the_port_is_not_our_guest(host: Host) -> None:
    host.scenario(passing(), stranger=True)

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert "host key" in report.verdict.title


def test_a_panic_at_boot_is_a_failed_boot_named_after_the_panic(host: Host) -> None:
    host.scenario([], boot=[*BOOT[:1], ["console", PANIC], ["die", 0]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.BOOT_FAILED
    assert report.verdict.title.startswith("kernel panic: VFS: Unable to mount root fs")
    assert "QEMU ended with status 0 before the guest was up" in report.verdict.reasons


def test_a_guest_that_never_boots_is_a_failed_boot(host: Host) -> None:
    host.scenario([], boot=[["hang"]])

    report, _ = host.run_cell(boot_seconds=3.0)  # a busy machine takes a while to start the fake

    assert report.verdict.outcome is Outcome.BOOT_FAILED
    assert report.verdict.title == "no ready line on the console after 3 s"
    assert report.run is not None
    assert report.run.evidence == ("registers.txt",)
    host.await_no_guest()


def test_a_guest_that_resets_without_a_word_is_a_failed_boot(host: Host) -> None:
    host.scenario([], boot=[["die", 0]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.BOOT_FAILED
    assert report.verdict.title == "QEMU ended with status 0 before the guest was up"


def test_a_guest_with_fewer_cpus_than_asked_for_is_lost(host: Host) -> None:
    host.scenario(passing(), boot=[["ready", {"cpus": "1"}]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert report.verdict.title == "the guest has 1 CPUs, 2 were asked for"


@pytest.mark.parametrize(
    ("fact", "value", "says"),
    [
        ("page_kib", "64", "the guest has pages of 64 KiB; asked for: 4"),
        ("nodes", "2", "the guest has 2 NUMA node(s); asked for: 1"),
        ("memcg", "v1", "the guest has the memory controller of cgroup v1; asked for: v2"),
    ],
)
def test_a_guest_of_another_machine_than_asked_for_is_lost(host: Host, fact: str, value: str, says: str) -> None:
    host.scenario(passing(), boot=[["ready", {fact: value}]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert report.verdict.title == says


SPOILED = "[    0.000000][    T0] tsc: PIT calibration deviates from PMTIMER: 100000 2900000"


def test_a_guest_with_a_spoiled_clock_is_booted_once_more(host: Host) -> None:
    host.scenario(passing(), boots=[[["console", SPOILED], *BOOT], BOOT])

    report, events = host.run_cell()

    assert report.verdict.outcome is Outcome.PASSED
    assert [event.text for event in events if isinstance(event, Notice) and "booted once more" in event.text]
    assert "deviates" not in (host.folder / "cell/console.log").read_text()


def test_a_guest_whose_clock_is_spoiled_each_time_is_lost(host: Host) -> None:
    host.scenario(passing(), boot=[["console", SPOILED], *BOOT])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert "29 times as fast" in report.verdict.title


def test_a_guest_with_another_config_than_was_built_is_lost(host: Host) -> None:
    host.scenario(passing(), boot=[["ready", {"config": "0" * 16}]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert "another config" in report.verdict.title


def test_a_ready_line_that_makes_no_sense_is_lost(host: Host) -> None:
    host.scenario(passing(), boot=[["console", "patchrig: ready cpus=many"]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.LOST
    assert "makes no sense" in report.verdict.title


def test_a_guest_that_dies_silently_in_the_middle_is_crashed(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["die", 0]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.CRASHED
    assert report.verdict.title == "the guest is gone without a word"
    assert "QEMU ended with status 0 while the workload ran" in report.verdict.reasons


def test_a_guest_that_dies_as_soon_as_it_is_ready_is_no_trouble_of_ours(host: Host) -> None:
    host.scenario([], boot=[*BOOT, ["die", 0]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.CRASHED
    assert report.run is not None
    assert report.run.ending is Ending.GUEST_GONE


def test_a_booted_guest_that_seems_slow_is_measured_again(host: Host) -> None:
    host.scenario(passing(), boot=[*BOOT[:-1], ["ready", {"speed": "2.5"}]], answers={"speed": "180.0"})

    report, _ = host.run_cell()

    assert report.run is not None
    assert report.run.speed == 180.0


def test_a_program_that_dies_is_a_failure_with_its_last_words(host: Host) -> None:
    host.scenario([["say", PROGRESS], ["say", "swapin: mmap: Cannot allocate memory"], ["exit", 1]], answers=ANSWERS)

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.FAILED
    assert "it last said: swapin: mmap: Cannot allocate memory" in report.verdict.title


def test_a_result_that_breaks_the_protocol_is_no_pass(host: Host) -> None:
    host.scenario([["say", '{"type": "result", "operations": "many"}'], ["exit", 0]], answers=ANSWERS)

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.FAILED
    assert "a line that breaks the protocol" in str(report.verdict)


def test_a_program_that_reports_and_then_fails_is_a_failure(host: Host) -> None:
    host.scenario([["say", result_line()], ["exit", 3]])

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.FAILED
    assert report.verdict.title == "the workload ended with status 3"


def test_an_errno_that_the_kernel_must_not_show_is_a_failure(host: Host) -> None:
    host.scenario(passing(errors=[{"call": "mincore", "errno": "EFAULT", "count": 4}]))

    report, _ = host.run_cell()

    assert report.verdict.outcome is Outcome.FAILED
    assert report.verdict.title == "mincore failed with EFAULT, 4 times"


class _Noted(CancelScope):
    """A scope that keeps what was asked of its waits: nothing else in the product sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.asked.append(seconds)
        return super().wait(seconds)


def test_nothing_sleeps_longer_than_50_ms_from_qemus_start_to_the_first_word_of_the_workload(host: Host) -> None:
    noted = _Noted()
    until_first_word: list[float] = []

    def heard(event: Event) -> None:
        if isinstance(event, CellProgress) and not until_first_word:
            until_first_word.extend(noted.asked)

    host.scenario(passing(), boot=[["sleep", 0.2], *BOOT])
    report, _ = noted.run(host.run_cell, on_event=heard)

    assert report.verdict.outcome is Outcome.PASSED
    assert until_first_word
    assert max(until_first_word) <= 0.05
