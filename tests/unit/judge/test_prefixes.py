# SPDX-License-Identifier: GPL-2.0-or-later
"""In every form in which consoles reach people: the same crash, the same silence, no program taken for the kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.lines import kernel_lines
from orchestrator.judge.prefixes import prefix_of, stamp_alone
from orchestrator.judge.scan import crashes_in
from orchestrator.judge.watch import find_crashes
from orchestrator.model.crashes import Crash
from tests.unit.log_forms import ALL, MARGINS, OUTER, PROGRAMS, UNSTAMPED, Form, wrapped

BEFORE = ("zram0: detected capacity change from 0 to 131072", "Adding 65532k swap on /dev/zram0.")
SPLAT = (
    "CPU: 1 UID: 0 PID: 312 Comm: cat Not tainted 6.19.0 #1 PREEMPT(full)",
    "RIP: 0010:frob_walk+0x12/0x40 [frob]",
    "Code: 0f 1f 44 00 00 48 8b 07 <0f> 0b c3",
    "Call Trace:",
    " <TASK>",
    " frob_open+0x1a/0x60 [frob]",
    " do_dentry_open+0x2a0/0x560",
    " do_syscall_64+0x94/0x380",
    " entry_SYSCALL_64_after_hwframe+0x76/0x7e",
    "RIP: 0033:0x7f0000001234",
    " </TASK>",
    "---[ end trace 0000000000000000 ]---",
)
# Their first words are what a date without a host could be mistaken about.
FIRST_LINES = (
    "BUG: unable to handle page fault for address: ffffb6f7df7dbeae",
    "Unable to handle kernel paging request at virtual address ffffb6f7df7dbeae",
    "Internal error: Oops: 0000000096000004 [#1]  SMP",
    "Oops: general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1] SMP",
    "general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1] SMP",
    "divide error: 0000 [#1] SMP",
    "kernel BUG at mm/frob.c:12!",
    "WARNING: CPU: 1 PID: 312 at mm/frob.c:12 frob_walk+0x12/0x40 [frob]",
    "WARNING: mm/frob.c:12 at frob_walk+0x12/0x40 [frob], CPU#1: cat/312",
    "refcount_t: underflow; use-after-free.",
    "list_add corruption. next->prev should be prev (ffff910309261548), but was ffff910487cb2d58.",
    "BUG kmalloc-64 (Not tainted): Poison overwritten",
    "BUG: Bad page state in process cat  pfn:4bd34a4",
    "unchecked MSR access error: WRMSR to 0x1b0 (tried to write 0x0000000000000006)",
    "INFO: task cat:312 blocked for more than 122 seconds.",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [cat:312]",
    "Kernel panic - not syncing: Fatal exception",
    "BUG: KASAN: slab-use-after-free in frob_walk+0x12/0x40 [frob]",
)
HARMLESS = (
    "usb 5-1: new high-speed USB device number 2 using xhci_hcd",
    'audit: type=1400 audit(1700000000.123:4): apparmor="DENIED" operation="open" name="/BUG"',
    "EXT4-fs (vda): INFO: recovery required on readonly filesystem",
    "sysrq: Show State",
    "task:kthreadd        state:S stack:0     pid:2     tgid:2     ppid:0      flags:0x00004000",
    "Call Trace:",
    " <TASK>",
    " __schedule+0x3b8/0xab0",
    " </TASK>",
    "a watchdog said: task cat:312 blocked for more than 120 seconds.",
    "foo.service: Job blocked for more than 90 seconds.",
    "10:12 blocked for more than 5 seconds.",
)


def seen(crash: Crash) -> tuple[str, str, str, tuple[str, ...]]:
    return crash.kind, crash.title, crash.severity, crash.frames


def judged(lines: list[str]) -> list[Crash]:
    """What both ways of reading find, which is the same."""
    found = list(find_crashes(lines))
    assert list(crashes_in(["\n".join(lines).encode()])) == found
    return found


@pytest.mark.parametrize("form", (ALL | MARGINS).values(), ids=ALL | MARGINS)
def test_a_crash_is_the_same_in_every_form(form: Form) -> None:
    for first in FIRST_LINES:
        text = [*BEFORE, first, *SPLAT]
        plain = [seen(crash) for crash in find_crashes(text)]

        assert plain
        assert [seen(crash) for crash in judged(wrapped(form, text))] == plain


@pytest.mark.parametrize("form", ALL.values(), ids=ALL)
def test_a_crash_at_the_very_start_is_found(form: Form) -> None:
    text = [FIRST_LINES[0], *SPLAT]

    assert [seen(crash) for crash in judged(wrapped(form, text))] == [seen(crash) for crash in find_crashes(text)]


@pytest.mark.parametrize("form", (ALL | MARGINS).values(), ids=ALL | MARGINS)
def test_what_is_silent_is_silent_in_every_form(form: Form) -> None:
    assert judged(wrapped(form, list(HARMLESS))) == []


@pytest.mark.parametrize("form", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_that_quotes_the_kernel_is_not_the_kernel(form: Form) -> None:
    for first in FIRST_LINES:
        assert judged(wrapped(form, [first, *SPLAT])) == []


@given(
    st.lists(st.sampled_from(sorted(OUTER)), min_size=1, max_size=3),
    st.sampled_from(sorted(ALL)),
    st.sampled_from(FIRST_LINES),
)
def test_forms_in_forms_change_nothing(outer: list[str], inner: str, first: str) -> None:
    text = [*BEFORE, first, *SPLAT]
    lines = wrapped(ALL[inner], text)
    silent = wrapped(ALL[inner], list(HARMLESS))
    for name in outer:
        lines, silent = wrapped(OUTER[name], lines), wrapped(OUTER[name], silent)

    assert [seen(crash) for crash in judged(lines)] == [seen(crash) for crash in find_crashes(text)]
    assert judged(silent) == []


@given(st.sampled_from(sorted(OUTER)), st.sampled_from(sorted(PROGRAMS)), st.sampled_from(FIRST_LINES))
def test_a_program_in_a_form_is_not_the_kernel(outer: str, program: str, first: str) -> None:
    lines = wrapped(OUTER[outer], wrapped(PROGRAMS[program], [first, *SPLAT]))

    assert judged(lines) == []


@given(st.sampled_from(sorted(UNSTAMPED)), st.text(st.characters(codec="utf-8"), max_size=80))
def test_any_text_in_any_form_is_read(form: str, text: str) -> None:
    judged(wrapped(UNSTAMPED[form], text.split("\n")))


def test_a_programs_own_stamps_do_not_make_a_log_a_stamped_one() -> None:
    lines = [*wrapped(PROGRAMS["short-own-stamp"], ["worker started"]), *wrapped(ALL["ts"], [FIRST_LINES[0], *SPLAT])]

    assert len(judged(lines)) == 1


def test_further_lines_of_a_programs_message_are_the_programs() -> None:
    lines = [
        *wrapped(PROGRAMS["short"], ["it said:"]),
        *("    " * 8 + line for line in (*BEFORE, FIRST_LINES[0], *SPLAT)),
    ]

    assert judged(lines) == []


def test_a_log_daemons_word_counts_in_a_log_with_stamps() -> None:
    lines = [*wrapped(ALL["rsyslog"], ["up"]), *wrapped(ALL["short"], [FIRST_LINES[0], *SPLAT])]

    assert len(judged(lines)) == 1


def test_records_have_lines_of_their_own_for_devices() -> None:
    form = ALL["kmsg"] + "\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:1f.2"
    lines = wrapped(form, list(SPLAT))

    assert [line.text for line in kernel_lines(lines)] == list(SPLAT)


def test_a_record_of_several_lines_is_several_messages() -> None:
    texts = [line.text for line in kernel_lines([r"4,7,1000000,-;one\x0atwo \xc3\xa9 \x1b[1mbold\x1b[0m"])]

    assert texts == ["one", "two é bold"]


def test_callers_are_read_in_every_notation() -> None:
    lines = ["[    1.000000][  T12] a", "[    1.000000] [   C3] b", "4,1,1000000,-,caller=T9;c", "[  T7] d"]

    assert [line.caller for line in kernel_lines(lines[:3])] == ["T12", "C3", "T9"]
    assert [line.caller for line in kernel_lines(lines[3:])] == ["T7"]


def test_a_bracket_of_the_kernels_own_is_no_prefix() -> None:
    texts = ("[drm] ready", "[<ffffffff81012345>] f+0x1/0x2", "[ INFO: possible recursive locking detected ]",
             "[Hardware Error]: x", "[sda] attached", "[mem 0x0000000000000000-0x0000000000000fff]")  # fmt: skip

    assert [line.text for line in kernel_lines(texts)] == list(texts)
    assert [line.text for line in kernel_lines(f"[    1.000000] {text}" for text in texts)] == list(texts)


@given(st.text("[]<>(c1 Ck-:'\ufeffernel@TC0", max_size=30))
def test_a_stamp_alone_is_all_that_stands_before(rest: str) -> None:
    text = f"[    1.000000][  T12] {rest}"
    stamp = stamp_alone(text)

    assert stamp is None or prefix_of(text).end == stamp.end()
