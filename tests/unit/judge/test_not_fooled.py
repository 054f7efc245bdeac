# SPDX-License-Identifier: GPL-2.0-or-later
"""Text that looks like a complaint and is none, or fails nothing."""

import pytest

from orchestrator.judge.patterns import PATTERNS
from orchestrator.judge.watch import find_crashes
from orchestrator.model.crashes import Crash, CrashKind, Severity


def found(*texts: str) -> list[Crash]:
    """What is found in messages of the kernel."""
    return list(find_crashes([f"[   12.000000][   T91] {text}" for text in texts]))


@pytest.mark.parametrize(
    "text",
    [
        "input: BUG-2000 Gaming Keyboard as /devices/pci0000:00/input/input3",
        "ladybug 1-1: probed",
        "debug: WARNING is a word like any other",
        "usb 1-1: Product: BUG: the device",
        "Kernel command line: panic_on_warn=1 oops=panic hung_task_panic=1 slub_debug=FZ",
        "traps: swapin[313] general protection fault ip:401b2c sp:7ffd3f1a2b30 error:0 in swapin[401000+8000]",
        "swapin[314]: segfault at 0 ip 0000000000401b2c sp 00007ffd3f1a2b30 error 4 in swapin[401000+8000]",
        'test: expects "kernel BUG at mm/swapfile.c:1" and goes on',
        "INFO: NMI handler (nmi_cpu_backtrace_handler) took too long to run: 1.403 msecs",
        "INFO: lockdep is turned off.",
        "INFO: Stall ended before state dump start",
        "EXT4-fs (vda): INFO: recovery required on readonly filesystem",
        "clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is large:",
        "sched: RT throttling activated",
        "ODEBUG: selftest passed",
        "Warning: unable to open an initial console.",
        # Quoted in a sentence, and from a program that writes to /dev/kmsg.
        "myjob[5]: INFO: task foo:12 blocked for more than 120 seconds.",
        "task foo:12 blocked for more than 120 seconds.",
        "job 10:12 blocked for more than 5 seconds.",
        "INFO: task queue: a job was blocked for more than 5 seconds",
    ],
)
def test_this_is_no_complaint(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Internal error: could not open the cache",
        "Internal error: Oops, connection lost",
        "Oops: something went wrong, please retry",
        "Oops: 12 files were not found",
        "panic: VERIFY(ioflag == 0) failed",
        "BUG: memory leak in test_free()",
        # Titles of splats, in a list of them.
        "BUG: unable to handle kernel NULL pointer dereference in demo_take | general protection fault in demo_put",
        "BUG: unable to handle kernel paging request in demo_take",
        "INFO: rcu detected stall in sys_swapoff",
        "BUG: soft lockup in sys_swapoff",
        "BUG: sleeping function called from invalid context in demo_take",
        "BUG: scheduling while atomic in demo_take",
        "WARNING: suspicious RCU usage in demo_take",
        "UBSAN: enabled in this build",
        "UBSAN: what we look at",
        "Kernel stack overflow is found by a guard page since v4.9.",
        "using it in preemptible code is what the check is for",
        "Bad mode in the handler",
        "PANIC: could not write to file",
        '{"log":"Internal error: no such session\\n","stream":"stderr"}',
    ],
)
def test_a_program_that_failed_is_no_fault_of_the_kernels(text: str) -> None:
    """In a log without time stamps any line may be the kernel's."""
    assert list(find_crashes([text, "Traceback (most recent call last):"])) == []


SAYS_BUG = "BUG: expected 3 pages, got 2"
STACK = ["Call Trace:", " <TASK>", " demo_take+0x1/0x2", " </TASK>"]


def test_a_tests_own_bug_is_none_of_the_kernels() -> None:
    crashes = list(find_crashes(["running test 1", SAYS_BUG, "not ok 1", "kernel BUG at mm/demo.c:12!", *STACK]))

    assert [(crash.title, crash.follow_up) for crash in crashes] == [("kernel BUG in demo_take", False)]


@pytest.mark.parametrize(
    "lines",
    [[SAYS_BUG, *STACK], [f"[   12.000000] {SAYS_BUG}"], [f"Nov  1 10:00:00 host kernel: {SAYS_BUG}"],
     [f"4,7,1000000,-;{SAYS_BUG}"], [f"<4>[   12.000000] {SAYS_BUG}"]],
    ids=["stack", "stamp", "syslog", "kmsg", "level"],
)  # fmt: skip
def test_the_kernels_own_bug_is_found_whatever_it_says(lines: list[str]) -> None:
    (crash,) = find_crashes(lines)

    assert (crash.kind, crash.severity) == (CrashKind.BUG, Severity.FATAL)


@pytest.mark.parametrize(
    ("before", "severity"), [("Nov  1 10:00:00 host kernel: ", Severity.NOTE), ("2025-11-01T10:00:00 ", Severity.FATAL)]
)
def test_a_log_that_a_daemon_keeps_goes_over_many_boots(before: str, severity: Severity) -> None:
    """On a console, a boot after a boot was a crash."""
    stamps = ("[  841.000000] usb 1-1: gone", "[    0.000000] Linux version 6.19.0", "[    0.100000] up")

    (crash,) = find_crashes(f"{before}{stamp}" for stamp in stamps)

    assert (crash.kind, crash.severity) == (CrashKind.REBOOT, severity)


def test_a_fault_of_a_program_is_noted_and_the_kernels_own_fails() -> None:
    fault = "Unhandled fault: synchronous external abort (0x{}) at 0x0000007f87888000"

    severities = [crash.severity for crash in found(fault.format("92000210"), fault.format("96000210"))]

    assert severities == [Severity.NOTE, Severity.FATAL]


def test_a_name_that_tears_a_hang_apart_does_not_hide_it() -> None:
    (crash,) = found("INFO: task a", "b:18 blocked for more than 143 seconds.", "      Not tainted 6.19.0 #1")

    assert (crash.kind, crash.line) == (CrashKind.HANG, 2)


def test_a_cpu_that_takes_no_calls_is_a_lockup() -> None:
    (crash,) = found(
        "smp: csd: Detected non-responsive CSD lock (#1) on CPU#0, waiting 5000000032 ns for CPU#02 f+0x0/0x30(0x0).",
        "smp: csd: Continued non-responsive CSD lock (#1) on CPU#0, waiting 9000000032 ns for CPU#02 f+0x0/0x30(0x0).",
        "smp: \tcsd: CSD lock (#1) handling this request.",
    )

    assert crash.kind == CrashKind.LOCKUP


def test_a_workload_may_echo_what_it_likes() -> None:
    lines = ["[    1.000000][    T1] Run /init as init process", "progress ops=1", "BUG: KASAN: a in b", "# echo Oops:"]

    assert list(find_crashes(lines)) == []


def test_a_workload_that_writes_without_a_newline_hides_nothing_and_adds_nothing() -> None:
    (crash,) = find_crashes(
        [
            "[    1.000000][    T1] up",
            "BUG: in my text [    2.000000][   T9] BUG: Bad page map in process a  pte:0 pmd:1",
        ]
    )

    assert (crash.title, crash.line) == ("BUG: Bad page map", 2)


def test_an_injected_failure_is_no_complaint_and_its_stack_belongs_to_none() -> None:
    crashes = found(
        "FAULT_INJECTION: forcing a failure.",
        "name failslab, interval 1, probability 0, space 0, times 0",
        "CPU: 0 PID: 91 Comm: swapin Not tainted 6.19.0 #1",
        "Call Trace:",
        " <TASK>",
        " should_fail_ex+0x3d8/0x520",
        " zswap_store+0x1/0x2",
        " </TASK>",
    )

    assert crashes == []


def test_an_oom_kill_in_a_cgroup_is_noted_only() -> None:
    (crash,) = found("Memory cgroup out of memory: Killed process 91 (swapin) total-vm:65536kB, anon-rss:1024kB")

    assert crash.severity is Severity.NOTE


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("BUG: MAX_LOCKDEP_CHAINS too low!", CrashKind.LOCKDEP),
        ("turning off the locking correctness validator.", CrashKind.LOCKDEP),
        ("kmemleak: Kernel memory leak detector disabled", CrashKind.LEAK),
        ("ODEBUG: Out of memory. ODEBUG disabled", CrashKind.ODEBUG),
    ],
)
def test_a_check_that_switched_itself_off_is_coverage_lost(text: str, kind: CrashKind) -> None:
    (crash,) = found(text)

    assert (crash.kind, crash.severity) == (kind, Severity.COVERAGE)


def test_what_comes_after_a_first_crash_is_a_follow_up() -> None:
    crashes = found(
        "BUG: MAX_LOCKDEP_CHAINS too low!",
        "BUG: Bad rss-counter state mm:00000000a1b2c3d4 type:MM_SWAPENTS val:1",
        "Kernel panic - not syncing: Fatal exception",
    )

    assert [crash.follow_up for crash in crashes] == [False, False, True]


def test_only_what_is_fatal_or_lost_coverage_has_a_kind_of_its_own() -> None:
    noted = {pattern.kind for pattern in PATTERNS if pattern.severity is Severity.NOTE}

    assert noted <= {CrashKind.OTHER, CrashKind.REBOOT}
