# SPDX-License-Identifier: GPL-2.0-or-later
"""Evidence -> verdict: pessimistic, in order of authority."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.verdict import HANGS, LIVELOCK, judge
from orchestrator.judge.watch import find_crashes
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Allowed
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.guests import Ending, Mismatch, Observation, Standstill, StuckTask, UnexpectedError
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.stacks import StackFrame
from tests.conftest import Golden
from tests.unit.samples import cell, crash, guest_run, result

MISMATCH = Mismatch(page=17, kind="stale", expected="generation 4", seen="generation 3")
HUNG_TASK = crash(CrashKind.HANG, "INFO: task hung in sys_swapoff", line=3)


def waiting(*functions: str, task: str = "swapoff") -> StuckTask:
    stack = tuple(StackFrame(function=name, offset=1, size=2) for name in functions)
    return StuckTask(task=task, pid=412, running=False, stack=stack)


def verdict_of(run: Observation, *crashes: Crash, allow: tuple[Allowed, ...] = ()) -> Verdict:
    return judge(cell(), run, crashes, allow)[0]


def test_a_complete_report_with_all_counters_passes() -> None:
    verdict = verdict_of(guest_run())

    assert verdict.outcome is Outcome.PASSED
    assert verdict.title == "81230 operations, 40960 pages verified, 57 swapoffs"


def test_a_crash_outranks_a_zero_exit_status() -> None:
    verdict = verdict_of(guest_run(), crash())

    assert (verdict.outcome, verdict.title) == (Outcome.CRASHED, "KASAN: use-after-free Read in f")


def test_a_crash_outranks_a_hang() -> None:
    verdict = verdict_of(guest_run(Ending.SWAPOFF_STUCK), HUNG_TASK, crash(line=9))

    assert verdict.outcome is Outcome.CRASHED
    assert "then, console line 3: INFO: task hung in sys_swapoff" in verdict.reasons


def test_a_crash_outranks_wrong_data() -> None:
    run = guest_run(result=result(mismatch_count=1, mismatches=(MISMATCH,)))

    assert verdict_of(run, crash()).outcome is Outcome.CRASHED


def test_the_first_crash_gives_the_title() -> None:
    assert verdict_of(guest_run(), crash(title="second", line=20), crash(title="first", line=10)).title == "first"


def test_a_hung_task_report_is_evidence_of_a_hang() -> None:
    stuck = (waiting("wait_for_completion", "__do_sys_swapoff"),)
    run = guest_run(Ending.SWAPOFF_STUCK, stuck=stuck)
    verdict = verdict_of(run, HUNG_TASK)

    assert (verdict.outcome, verdict.title) == (Outcome.HUNG, "a swapoff never returned")
    assert verdict.reasons == (
        "console line 3: INFO: task hung in sys_swapoff",
        "a swapoff in wait_for_completion is a leaked reference (or a put too many)",
        "waiting in swapoff: wait_for_completion <- __do_sys_swapoff",
    )


def test_a_hung_task_report_alone_is_a_hang() -> None:
    assert verdict_of(guest_run(), HUNG_TASK).title == "INFO: task hung in sys_swapoff"


@pytest.mark.parametrize("ending", HANGS)
def test_every_wait_without_end_is_a_hang(ending: Ending) -> None:
    assert verdict_of(guest_run(ending)).outcome is Outcome.HUNG


def test_a_swapoff_that_the_workload_gave_up_on_is_a_hang() -> None:
    assert verdict_of(guest_run(result=replace(result(), swapoff_stuck=True))).title == "a swapoff never returned"


def test_a_swapoff_that_waits_elsewhere_is_not_called_a_leak() -> None:
    verdict = verdict_of(guest_run(Ending.SWAPOFF_STUCK, stuck=(waiting("try_to_unuse"),)))

    assert verdict.reasons == ("waiting in swapoff: try_to_unuse",)


# One of this project's own guests, on a kernel that had nothing to do with it.
GHOST = Path(__file__).parents[2] / "golden" / "console" / "guest-breakpoint-of-nobody-x86_64.txt"


def breakpoint_of_nobody(golden: Golden, accelerator: str, *, there: bool = False) -> Verdict:
    log = golden.split(GHOST)[1]
    if there:
        log = log.replace("00 55 <53>", "00 cc <53>")
    run = replace(guest_run(Ending.GUEST_GONE), accelerator=accelerator)
    return verdict_of(run, *find_crashes(log.splitlines()))


def test_a_breakpoint_that_memory_does_not_hold_is_the_emulators(golden: Golden) -> None:
    verdict = breakpoint_of_nobody(golden, "tcg")

    assert verdict.outcome is Outcome.LOST
    assert verdict.title == "QEMU ran a breakpoint that the kernel's code does not hold (int3 in get_swap_device)"
    assert verdict.reasons[0].startswith("console line ")


def test_a_breakpoint_that_memory_holds_is_the_kernels(golden: Golden) -> None:
    verdict = breakpoint_of_nobody(golden, "tcg", there=True)

    assert (verdict.outcome, verdict.title) == (Outcome.CRASHED, "int3 in get_swap_device")


def test_on_a_real_cpu_a_breakpoint_is_the_kernels_whatever_memory_holds(golden: Golden) -> None:
    assert breakpoint_of_nobody(golden, "kvm").outcome is Outcome.CRASHED


def test_what_the_kernel_complained_of_before_such_a_breakpoint_stands(golden: Golden) -> None:
    crashes = find_crashes(golden.split(GHOST)[1].splitlines())

    assert verdict_of(guest_run(Ending.GUEST_GONE), crash(line=1), *crashes).outcome is Outcome.CRASHED


STARVED = Standstill(seconds=60.0, ran=1.2, waited=130.0)
BUSY = Standstill(seconds=60.0, ran=110.0, waited=20.0)
IDLE = Standstill(seconds=60.0, ran=0.9, waited=0.2)
MAY_BE_STARVED = [Ending.NEVER_READY, Ending.NO_PROGRESS, Ending.TIMED_OUT, Ending.SSH_LOST]


@pytest.mark.parametrize("ending", MAY_BE_STARVED)
def test_a_guest_that_this_machine_did_not_let_run_is_lost_and_not_hung(ending: Ending) -> None:
    verdict = verdict_of(guest_run(ending, standstill=STARVED))

    assert verdict.outcome is Outcome.LOST
    assert verdict.title == "this machine was too busy: the guest had 1 CPU seconds in 60 s"


def test_a_crash_or_a_task_that_waits_is_no_matter_of_speed() -> None:
    run = guest_run(Ending.NO_PROGRESS, standstill=STARVED)

    assert verdict_of(run, crash()).outcome is Outcome.CRASHED
    assert verdict_of(replace(run, stuck=(waiting("f"),))).outcome is Outcome.HUNG


def test_a_guest_that_runs_and_does_not_get_on_is_in_a_livelock() -> None:
    stack = tuple(StackFrame(function=name, offset=1, size=2) for name in ("try_to_unuse", "__do_sys_swapoff"))
    runs = StuckTask(task="swapoff", pid=412, running=True, stack=stack)
    run = guest_run(Ending.NO_PROGRESS, standstill=BUSY, stuck=(runs,))
    verdict = verdict_of(replace(run, moved={"pswpin": 1200, "pgscan_direct": 3}))

    assert (verdict.outcome, verdict.title) == (Outcome.HUNG, LIVELOCK)
    assert verdict.reasons == (
        "a swapoff that goes on in try_to_unuse still finds swapped pages: a swap slot that nobody frees",
        "running: swapoff: try_to_unuse <- __do_sys_swapoff",
        "in the 60 s without progress the guest ran for 110 CPU seconds",
        "counters that still grew: pswpin +1200, pgscan_direct +3",
    )


def test_a_guest_that_is_idle_waits_for_something_that_nobody_does() -> None:
    verdict = verdict_of(guest_run(Ending.NO_PROGRESS, standstill=IDLE))

    assert verdict.title == HANGS[Ending.NO_PROGRESS]
    assert any(reason.endswith("it was idle, so something waits that nobody wakes") for reason in verdict.reasons)


@pytest.mark.parametrize("standstill", [None, Standstill(seconds=1.0, ran=0.0, waited=4.0)])
def test_where_the_host_tells_nothing_a_hang_stays_one(standstill: Standstill | None) -> None:
    verdict = verdict_of(guest_run(Ending.NO_PROGRESS, standstill=standstill))

    assert (verdict.outcome, verdict.reasons) == (Outcome.HUNG, ())


def test_wrong_data_is_corruption_whatever_the_status() -> None:
    verdict = verdict_of(guest_run(result=result(mismatch_count=3, mismatches=(MISMATCH,))))

    assert (verdict.outcome, verdict.title) == (Outcome.CORRUPTED, "3 pages have the wrong data (stale)")
    assert verdict.reasons == ("page 17: stale: expected generation 4, saw generation 3",)


def test_wrong_data_is_not_excused_by_an_interrupt() -> None:
    run = guest_run(Ending.INTERRUPTED, result=result(mismatch_count=1))

    assert verdict_of(run).outcome is Outcome.CORRUPTED


def test_an_unexpected_errno_fails() -> None:
    run = guest_run(result=result(errors=(UnexpectedError(call="swapon", errno="EIO", count=2),)))

    assert (verdict_of(run).outcome, verdict_of(run).title) == (Outcome.FAILED, "swapon failed with EIO, 2 times")


def test_what_a_workload_says_in_place_of_an_errno_is_no_errno() -> None:
    errors = (
        UnexpectedError(call="zswap writeback", errno="claims more pages than it wrote", count=1),
        UnexpectedError(call="SIGBUS", errno="BUS_ADRERR", count=2),
    )

    verdict = verdict_of(guest_run(result=result(errors=errors)))

    assert verdict.title == "zswap writeback: claims more pages than it wrote"
    assert verdict.reasons[0] == "SIGBUS: BUS_ADRERR, 2 times"


def test_a_workload_that_died_fails() -> None:
    verdict = verdict_of(guest_run(Ending.PROGRAM_DIED, detail="killed by SIGBUS"))

    assert (verdict.outcome, verdict.title) == (Outcome.FAILED, "killed by SIGBUS")


def test_a_bad_status_fails() -> None:
    assert verdict_of(replace(guest_run(), exit_status=3)).title == "the workload ended with status 3"


@pytest.mark.parametrize("run", [replace(guest_run(), result=None), replace(guest_run(), exit_status=None)])
def test_a_report_without_result_or_status_is_no_pass(run: Observation) -> None:
    assert verdict_of(run).title == "the workload ended without a result"


def test_a_guest_that_is_gone_without_a_word_crashed() -> None:
    verdict = verdict_of(guest_run(Ending.GUEST_GONE, detail="QEMU ended with status 1"))

    assert verdict.outcome is Outcome.CRASHED
    assert verdict.reasons == ("QEMU ended with status 1",)


def test_a_panic_at_boot_is_a_failed_boot_with_the_panics_title() -> None:
    warning = crash(CrashKind.WARNING, "WARNING in f", line=2)
    panic = crash(CrashKind.PANIC, "kernel panic: Attempted to kill init!", line=5)

    verdict = verdict_of(guest_run(Ending.NEVER_READY, detail="QEMU ended"), warning, panic)

    assert (verdict.outcome, verdict.title) == (Outcome.BOOT_FAILED, "kernel panic: Attempted to kill init!")
    assert verdict.reasons == ("console line 5", "QEMU ended", "then, console line 2: WARNING in f")


def test_a_silent_boot_is_a_failed_boot() -> None:
    assert verdict_of(guest_run(Ending.NEVER_READY)).outcome is Outcome.BOOT_FAILED


def test_our_trouble_is_lost_and_an_interrupt_skipped() -> None:
    assert verdict_of(guest_run(Ending.LOST, detail="disk full")) == Verdict(outcome=Outcome.LOST, title="disk full")
    assert verdict_of(guest_run(Ending.INTERRUPTED)).outcome is Outcome.SKIPPED


def test_a_guest_that_was_stopped_for_a_splat_that_is_none_is_lost() -> None:
    stopped = guest_run(Ending.STOPPED, detail="the guest saw a splat, and ended")

    assert verdict_of(stopped).outcome is Outcome.LOST
    assert verdict_of(stopped, crash()).outcome is Outcome.CRASHED
    assert verdict_of(stopped, crash(severity=Severity.NOTE)).outcome is Outcome.LOST
    assert verdict_of(replace(stopped, broken="the guest made console.log too long")).outcome is Outcome.FAILED


@pytest.mark.parametrize("ending", [Ending.LOST, Ending.INTERRUPTED])
def test_a_crash_before_our_trouble_still_counts(ending: Ending) -> None:
    assert verdict_of(guest_run(ending), crash()).outcome is Outcome.CRASHED
    assert verdict_of(guest_run(ending), HUNG_TASK).outcome is Outcome.HUNG


def test_a_counter_that_did_not_grow_is_named_with_growth_and_minimum() -> None:
    verdict = verdict_of(guest_run(result=result(counters={"site.mincore": 3, "swapoffs": 2})))

    assert verdict.outcome is Outcome.NOT_EXERCISED
    assert verdict.title == "site.mincore grew by 3, at least 100 expected"
    assert verdict.reasons == ("swapoffs grew by 2, at least 5 expected",)


def test_a_counter_that_was_not_reported_is_not_exercised() -> None:
    verdict = verdict_of(guest_run(result=result(counters={"swapoffs": 9})))

    assert verdict.title == "site.mincore was not reported, at least 100 expected"


def test_a_counter_that_this_kernel_lacks_is_told_apart_from_one_that_did_not_grow() -> None:
    counters = {"swapoffs": 9, "site.mincore": 0}
    grew_not = verdict_of(guest_run(result=result(counters=counters)))
    lacking = verdict_of(guest_run(result=result(counters=counters, lacking={"site.mincore": "no such function"})))

    assert grew_not.title == "site.mincore grew by 0, at least 100 expected"
    assert (lacking.outcome, lacking.title) == (
        Outcome.NOT_EXERCISED,
        "this kernel lacks site.mincore: no such function",
    )


def with_substitute(**minimums: int) -> Cell:
    workload = cell().workload.model_copy(update={"instead": {"site.mincore": minimums}})
    return replace(cell(), workload=workload)


def test_what_the_workload_names_for_a_counter_that_this_kernel_lacks_proves_as_much() -> None:
    run = guest_run(result=result(counters={"swapoffs": 9, "looks": 12}, lacking={"site.mincore": "no such function"}))

    verdict, _ = judge(with_substitute(looks=10), run, (), ())

    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons == ("this kernel lacks site.mincore (no such function); counted instead: looks 12",)


@pytest.mark.parametrize(
    ("counters", "why"),
    [
        ({"looks": 3}, "looks grew by 3, at least 10 expected"),
        ({}, "looks was not reported, at least 10 expected"),
    ],
)
def test_a_substitute_has_a_minimum_of_its_own(counters: dict[str, int], why: str) -> None:
    run = guest_run(result=result(counters={"swapoffs": 9, **counters}, lacking={"site.mincore": "no such function"}))

    verdict, _ = judge(with_substitute(looks=10), run, (), ())

    assert verdict.outcome is Outcome.NOT_EXERCISED
    assert verdict.title == f"{why} (this kernel lacks site.mincore: no such function)"


def test_a_substitute_counts_for_nothing_where_the_kernel_has_the_counter_itself() -> None:
    grew_not = guest_run(result=result(counters={"swapoffs": 9, "site.mincore": 3, "looks": 12}))
    not_reported = guest_run(result=result(counters={"swapoffs": 9, "looks": 12}))

    assert judge(with_substitute(looks=10), grew_not, (), ())[0].outcome is Outcome.NOT_EXERCISED
    assert judge(with_substitute(looks=10), not_reported, (), ())[0].outcome is Outcome.NOT_EXERCISED


def test_a_red_verdict_says_what_was_promised_and_by_whom_once() -> None:
    promised = replace(MISMATCH, promise="mlock(2): locked pages are resident")
    error = UnexpectedError(call="mincore", errno="EFAULT", count=1, promise="mincore(2)")
    wrong = verdict_of(guest_run(result=result(mismatch_count=2, mismatches=(promised, promised))))
    failed = verdict_of(guest_run(result=result(errors=(error,))))

    assert wrong.reasons[2:] == ("promised: mlock(2): locked pages are resident",)
    assert failed.reasons == ("promised: mincore(2)",)


def test_what_the_guest_lacks_is_not_exercised() -> None:
    verdict = verdict_of(guest_run(result=result(missing="no kretprobe on get_swap_device")))

    assert verdict.title == "the guest could not provide: no kretprobe on get_swap_device"


def test_an_allowed_crash_does_not_fail_but_is_told() -> None:
    allow = (Allowed(title="WARNING in old_friend", reason="reported upstream"),)
    crashes = (crash(title="WARNING in old_friend", line=1), crash(title="WARNING in old_friend", line=4))

    verdict, marked = judge(cell(), guest_run(), crashes, allow)

    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons == ("allowed: WARNING in old_friend (reported upstream)",)
    assert [found.allowed for found in marked] == ["reported upstream"] * 2


def test_what_a_workload_makes_every_kernel_say_is_allowed_in_its_cells_only() -> None:
    own = Allowed(title="Read-error on swap-device", reason="the workload makes its devices fail")
    failing = replace(cell(), workload=cell().workload.model_copy(update={"allow": (own,)}))
    said = (crash(CrashKind.SWAP, "Read-error on swap-device", line=1),)

    assert judge(failing, guest_run(), said, ())[0].outcome is Outcome.PASSED
    assert judge(cell(), guest_run(), said, ())[0].outcome is Outcome.CRASHED


def test_the_crash_after_an_allowed_one_is_the_first() -> None:
    allow = (Allowed(title="WARNING in old_friend", reason="known"),)
    crashes = (crash(title="WARNING in old_friend", line=1), crash(title="new", line=4, follow_up=True))

    verdict, marked = judge(cell(), guest_run(), crashes, allow)

    assert verdict.title == "new"
    assert [found.follow_up for found in marked] == [False, False]


def test_a_note_does_not_fail_but_is_told() -> None:
    verdict = verdict_of(guest_run(), crash(CrashKind.LOCKDEP, "lockdep is off", severity=Severity.NOTE))

    assert (verdict.outcome, verdict.reasons) == (Outcome.PASSED, ("noted: lockdep is off",))


def runs() -> st.SearchStrategy[Observation]:
    return st.builds(
        lambda ending, status, report: replace(guest_run(ending), exit_status=status, result=report),
        st.sampled_from(Ending),
        st.sampled_from([None, 0, 1, -9]),
        st.sampled_from([None, result(), result(mismatch_count=1), result(counters={}), result(missing="x")]),
    )


@given(runs(), st.lists(st.sampled_from([crash(), HUNG_TASK]), max_size=2))
def test_only_a_reported_good_result_passes(run: Observation, crashes: list[Crash]) -> None:
    verdict = verdict_of(run, *crashes)

    good = run.ending is Ending.REPORTED and run.exit_status == 0 and run.result == result() and not crashes
    assert (verdict.outcome is Outcome.PASSED) == good
    assert verdict.title


def test_the_kernels_own_trace_tells_that_a_hung_swapoff_waits_for_a_reference() -> None:
    # What a guest with a dropped put showed: /proc/PID/stack leaves wait_for_completion() out.
    trace = replace(HUNG_TASK, frames=("__schedule", "schedule", "wait_for_completion", "sys_swapoff"))
    stuck = (waiting("__x64_sys_swapoff", "do_syscall_64", task="swapin"),)

    verdict = verdict_of(guest_run(Ending.SWAPOFF_STUCK, stuck=stuck), trace)

    assert any("leaked reference" in reason for reason in verdict.reasons)


STALL = crash(CrashKind.STALL, "INFO: rcu detected stall in f", line=5)


def test_a_stall_on_a_starved_host_is_our_trouble() -> None:
    verdict = verdict_of(guest_run(starved=0.8), STALL)

    assert verdict.outcome is Outcome.LOST
    assert verdict.reasons[0] == "console line 5: INFO: rcu detected stall in f"


def test_so_is_a_task_that_hung_there_if_the_load_came_to_its_end() -> None:
    # Seen with a guest that had a fifth of the CPU time it wanted: swapoff waited for mmap_lock for 56 s, and went on.
    assert verdict_of(guest_run(starved=0.8), HUNG_TASK).outcome is Outcome.LOST
    assert verdict_of(guest_run(starved=0.8), STALL, HUNG_TASK).outcome is Outcome.LOST


@pytest.mark.parametrize(
    ("run", "crashes", "outcome"),
    [
        (guest_run(starved=0.1), [STALL], Outcome.HUNG),
        (guest_run(starved=None), [STALL], Outcome.HUNG),
        (guest_run(starved=0.1), [HUNG_TASK], Outcome.HUNG),
        (guest_run(starved=0.8, result=replace(result(), swapoff_stuck=True)), [HUNG_TASK], Outcome.HUNG),
        (guest_run(Ending.SWAPOFF_STUCK, starved=0.8), [HUNG_TASK], Outcome.HUNG),
        (guest_run(starved=0.8), [STALL, crash(line=9)], Outcome.CRASHED),
        (guest_run(Ending.NO_PROGRESS, starved=0.8), [STALL], Outcome.HUNG),
        (guest_run(starved=0.8), [], Outcome.PASSED),
    ],
)
def test_a_starved_host_excuses_nothing_else(run: Observation, crashes: list[Crash], outcome: Outcome) -> None:
    assert verdict_of(run, *crashes).outcome is outcome


def test_a_cell_that_did_too_little_on_a_starved_host_says_so() -> None:
    too_little = result(counters={"site.mincore": 3, "swapoffs": 2})
    busy, quiet = (verdict_of(guest_run(result=too_little, starved=share)) for share in (0.8, 0.1))

    assert busy.outcome is quiet.outcome is Outcome.NOT_EXERCISED
    assert any("starved the guest" in reason for reason in busy.reasons)
    assert not any("starved the guest" in reason for reason in quiet.reasons)


def test_a_checker_that_is_off_is_told_with_its_line() -> None:
    off = crash(CrashKind.LOCKDEP, "lockdep is off", severity=Severity.COVERAGE, line=40)

    verdict = verdict_of(guest_run(), off)

    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons == ("a checker of the kernel is off from console line 40 on: lockdep is off",)


def test_tasks_that_wait_in_one_place_are_told_once() -> None:
    verdict = verdict_of(
        guest_run(Ending.SWAPOFF_STUCK, stuck=(waiting("f"), waiting("f"), waiting("g", task="swapin")))
    )

    assert verdict.reasons[-2:] == ("waiting in swapoff: f (2 tasks)", "waiting in swapin: g")
