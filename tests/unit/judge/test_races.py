# SPDX-License-Identifier: GPL-2.0-or-later
"""Data races: whose they are, and that only the series' own fail a cell."""

from dataclasses import replace

import pytest

from orchestrator.judge.crash import MOST_FRAMES
from orchestrator.judge.races import ELSEWHERE, WITHOUT_SERIES, weighed
from orchestrator.judge.verdict import judge
from orchestrator.judge.watch import find_crashes
from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.outcomes import Outcome
from orchestrator.model.stacks import SourceLine, StackFrame
from tests.unit.samples import cell, crash, guest_run

TITLE = "KCSAN: data-race in folio_unlock / filemap_get_entry"


def frame(function: str, *, changed: bool = False, known: bool = True) -> StackFrame:
    place = SourceLine(function=function, file="mm/memory.c", line=7, changed=changed)
    return StackFrame(function=function, offset=1, size=2, places=(place,) if known else ())


def race(one: StackFrame, other: StackFrame, *, caller: str = "") -> Crash:
    """Two accesses, the first of them called by a function that the series changed."""
    between = (frame(caller, changed=True),) if caller else ()
    return replace(crash(CrashKind.KCSAN, TITLE), stack=(one, *between, other), accesses=(0, 1 + len(between)))


def outcome(one: Crash, variant: Variant = Variant.PATCHED) -> Outcome:
    of = cell(variant=variant)
    return judge(of, guest_run(), weighed([one], variant), ())[0].outcome


def test_a_race_outside_of_what_the_series_changes_is_noted_with_the_reason() -> None:
    one = race(frame("folio_unlock"), frame("filemap_get_entry"))

    verdict, (marked,) = judge(cell(), guest_run(), weighed([one], Variant.PATCHED), ())

    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons == (f"noted: {TITLE} ({ELSEWHERE})",)
    assert (marked.severity, marked.noted) == (Severity.NOTE, ELSEWHERE)


def test_a_race_in_a_function_that_the_series_changed_fails_the_cell() -> None:
    # Either of the two tasks may be the one that does wrong.
    assert outcome(race(frame("folio_unlock"), frame("do_swap_page", changed=True))) is Outcome.CRASHED
    assert outcome(race(frame("do_swap_page", changed=True), frame("folio_unlock"))) is Outcome.CRASHED
    inlined = frame("tryget_swap_entry", changed=True).places + frame("swap_readahead").places
    assert outcome(race(replace(frame("x"), places=inlined), frame("folio_unlock"))) is Outcome.CRASHED


def test_what_a_changed_function_calls_is_not_the_series_own() -> None:
    """As in a good kernel: jiffies, read by the statistics of a memory cgroup, far below do_swap_page()."""
    one = race(frame("mem_cgroup_flush_stats_ratelimited"), frame("tick_do_update_jiffies64"), caller="do_swap_page")

    assert outcome(one) is Outcome.PASSED


def test_the_baselines_races_are_nobodys() -> None:
    (marked,) = weighed([race(frame("do_swap_page"), frame("f"))], Variant.BASELINE)

    assert (marked.severity, marked.noted) == (Severity.NOTE, WITHOUT_SERIES)


@pytest.mark.parametrize(
    "one",
    [
        crash(CrashKind.KCSAN, TITLE),
        race(frame("folio_unlock"), frame("filemap_get_entry", known=False)),
        replace(
            race(frame("folio_unlock"), frame("f")), unexplained="what the series changed is not known: it was not kept"
        ),
    ],
)
def test_a_race_of_which_nothing_is_known_fails_the_cell(one: Crash) -> None:
    assert outcome(one) is Outcome.CRASHED


def test_of_very_many_races_the_later_are_as_the_first_of_their_title() -> None:
    """Only the first hundred crashes of a console are explained."""
    known, later = race(frame("f"), frame("g")), race(frame("f", known=False), frame("g", known=False))
    own = replace(race(frame("f", changed=True), frame("g")), title="KCSAN: data-race in own / g")

    marked = weighed([known, own, later, replace(later, title=own.title)], Variant.PATCHED)

    assert [one.severity for one in marked] == [Severity.NOTE, Severity.FATAL, Severity.NOTE, Severity.FATAL]


def test_no_other_complaint_is_excused() -> None:
    for kind in set(CrashKind) - {CrashKind.KCSAN}:
        other = replace(race(frame("f"), frame("g")), kind=kind)
        assert weighed([other], Variant.PATCHED) == weighed([other], Variant.BASELINE) == (other,)


def console(*, first: int = 2, again: bool = False) -> list[str]:
    deep = [f" outer{number}+0x1/0x2" for number in range(first)]
    report = [
        "=" * 66,
        "BUG: KCSAN: data-race in one / two",
        "",
        "write (marked) to 0xffff888102a3b0d8 of 8 bytes by task 404 on cpu 1:",
        " one+0x71/0x150",
        *deep,
        " entry_SYSCALL_64_after_hwframe+0x4b/0x53",
        "",
        "read-write to 0xffff888102a3b0d8 of 8 bytes by interrupt on cpu 0:",
        " two+0x13/0x60",
        " ret_from_fork_asm+0x11/0x20",
        "",
        "value changed: 0x0000000000000012 -> 0x0000000000000011",
        "",
        "Reported by Kernel Concurrency Sanitizer on:",
        "CPU: 1 UID: 0 PID: 404 Comm: swapin Not tainted 6.19.6 #1 PREEMPT",
        "=" * 66,
        "harmless",
    ]
    return [f"[   14.{number:06}][  T404] {line}" for number, line in enumerate(report * (2 if again else 1))]


@pytest.mark.parametrize("first", [2, 40])
def test_both_stacks_of_a_race_are_read(first: int) -> None:
    (seen,) = find_crashes(console(first=first))

    assert seen.title == "KCSAN: data-race in one / two"
    assert [one.function for one in seen.stack if "outer" not in one.function] == [
        "one",
        "entry_SYSCALL_64_after_hwframe",
        "two",
        "ret_from_fork_asm",
    ]
    assert [seen.stack[at].function for at in seen.accesses] == ["one", "two"]
    assert len(seen.frames) == first + 4 <= MOST_FRAMES
    assert (seen.task, seen.corrupted) == ("swapin", False)


def test_a_race_ends_where_its_row_of_signs_does() -> None:
    first, second = find_crashes(console(again=True))

    assert [len(one.stack) for one in (first, second)] == [6, 6]
