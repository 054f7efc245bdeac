# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports as people post them: indented in a commit message, quoted, behind a footnote, and with lines cut out."""

import pytest

from orchestrator.judge.scan import crashes_in
from orchestrator.model.crashes import Crash

FAULT = """\
BUG: unable to handle page fault for address: ffffffffffffffb0
#PF: supervisor read access in kernel mode
Oops: 0000 [#1] SMP NOPTI
CPU: 1 PID: 77 Comm: demo Not tainted 6.9.0 #1
RIP: 0010:demo_read+0x12/0x40
Call Trace:
 <TASK>
 demo_open+0x20/0x60
 vfs_open+0x20/0x60
"""


def crashes_of(text: str) -> list[Crash]:
    return list(crashes_in([text.encode()]))


def indented(text: str, margin: str) -> str:
    return "".join(f"{margin}{line}\n" for line in text.splitlines())


def only(text: str) -> Crash:
    (crash,) = crashes_of(text)
    return crash


@pytest.mark.parametrize("margin", [" ", "  ", "    ", "\t", "\t ", "> > >     ", ">>   ", "| "])
def test_an_indented_report_is_read_from_its_first_line(margin: str) -> None:
    crash = only(f"The open fails like this:\n{margin.rstrip()}\n{indented(FAULT, margin)}\nFixes: 0123\n")

    assert (crash.title, crash.task) == ("BUG: unable to handle kernel paging request in demo_read", "demo")
    assert crash.frames == ("demo_open", "vfs_open")


@pytest.mark.parametrize("before", ["[1] ", "[12] ", "> [2] ", "[.] ", "[...] "])
def test_a_footnote_or_a_stamp_that_was_left_out_may_stand_before_it(before: str) -> None:
    assert only(f"{before}{FAULT}").title == "BUG: unable to handle kernel paging request in demo_read"


def test_the_first_bracket_may_be_lost_where_the_copy_begins() -> None:
    stamps = (f"[{88 + number}.000001] {line}\n" for number, line in enumerate(FAULT.splitlines()))

    crash = only("It says:\n" + "".join(stamps).removeprefix("["))

    assert (crash.title, crash.line) == ("BUG: unable to handle kernel paging request in demo_read", 2)


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("watchdog: BUG : soft lockup - CPU#7 stuck for 1280s! [demo:24406]", "BUG: soft lockup"),
        ("BUG: soft lockup", "BUG: soft lockup"),
        ("BUG: unable to handle kernel", "BUG: unable to handle kernel access"),
        (
            "BUG: unable to handle kernel NULL pointer dereference",
            "BUG: unable to handle kernel NULL pointer dereference",
        ),
        ("INFO: rcu_sched self-detected stall on CPU", "INFO: rcu detected stall"),
        ("INFO: rcu_sched detected stalls on CPUs/tasks: { 2}", "INFO: rcu detected stall"),
        ("[ INFO: suspicious RCU usage. ]", "WARNING: suspicious RCU usage"),
        ("BUG: scheduling while atomic", "BUG: scheduling while atomic"),
    ],
)
def test_a_first_line_that_was_typed_or_cut_is_one(line: str, title: str) -> None:
    assert only(f"I see this:\n{line}\n").title == title
    # As a terminal pads it.
    assert only(f"I see this:\n{line:79}\n").title == title
    assert only(f"[    1.000000] {line:79}\n").title == title


@pytest.mark.parametrize("cut", ["Oops: 0002", "Oops: general protection fault", "Internal error: Oops: 96000004"])
def test_an_oops_whose_number_was_cut_off_is_one(cut: str) -> None:
    assert only(f"{cut}\nRIP: 0010:demo_read+0x12/0x40\n").function == "demo_read"


def test_a_stamp_that_was_left_out_behind_the_kernels_name() -> None:
    text = "> kernel: ... INFO: task demo:56 blocked for more than 120 seconds.\n> ...\n>  Call Trace:\n"
    text += ">  __schedule+0x2bc/0x895\n>  schedule+0x36/0x7c\n>  demo_destroy+0x12/0x18\n"

    assert only(text).title == "INFO: task hung in demo_destroy"


def test_frames_whose_heading_was_cut_out_are_the_trace() -> None:
    text = FAULT.replace("RIP: 0010:demo_read+0x12/0x40\nCall Trace:\n <TASK>\n", "[...]\n ? die+0x1/0x2\n")

    crash = only(text)

    assert (crash.function, crash.frames) == ("demo_open", ("demo_open", "vfs_open"))


def test_who_owns_the_page_is_not_the_trace_whose_heading_was_cut_out() -> None:
    owner = "page_owner tracks the page as allocated\n post_alloc_hook+0x1/0x2\n demo_alloc+0x1/0x2\n"
    bug = (
        "------------[ cut here ]------------\nkernel BUG at mm/demo.c:12!\n demo_end+0x10/0x20\n demo_put+0x10/0x20\n"
    )

    crash = only(f"page dumped because: VM_BUG_ON_FOLIO(folio_test_demo(folio))\n{owner}{bug}")

    assert (crash.title, crash.frames) == ("VM_BUG_ON_FOLIO in demo_end", ("demo_end", "demo_put"))


def test_a_line_of_prose_gets_no_trace_from_lines_that_follow() -> None:
    assert not crashes_of("WARNING: The demo option is deprecated\n demo_open+0x20/0x60\n")


@pytest.mark.parametrize("end", ["", ": 0000", ": 0000 [#1] SMP"])
def test_a_protection_fault_is_known_without_its_code_and_number(end: str) -> None:
    line = f"general protection fault, probably for non-canonical address 0xdead000000000108{end}\n"

    assert only(line + "RIP: 0010:demo_list+0x8b/0x340 [demo]\n").title == "general protection fault in demo_list"


@pytest.mark.parametrize(
    "said",
    [
        "demo[4]: general protection fault for address 0x12",
        "general protection fault is what you get for a bad address",
        "traps: demo[12] general protection fault ip:202c10 sp:7f9aabb32e60 error:402 in demo[1c10,202000+2000]",
    ],
)
def test_what_a_program_says_of_one_is_none(said: str) -> None:
    assert not crashes_of(said + "\n")


@pytest.mark.parametrize(
    "frame",
    [
        " [<ffffffffa0099645>] :demo_core:demo_unregister+0xb5/0x100",
        " [] demo_unregister+0xb5/0x100 ",
        " [<>] demo_unregister+0xb5/0x100",
    ],
)
def test_a_frame_without_its_address_and_one_with_its_module_before_it(frame: str) -> None:
    crash = only(f"INFO: task demo:19 blocked for more than 120 seconds.\nCall Trace:\n [] schedule+0x1/0x2\n{frame}\n")

    assert crash.title == "INFO: task hung in demo_unregister"


def test_a_mail_that_wraps_a_warning_loses_neither_kind_nor_function() -> None:
    text = """\
[  655.853961] WARNING: CPU: 1 PID: 0 at lib/refcount.c:28
demo_switch+0x208/0x268
[  655.861929] refcount_t: underflow; use-after-free.
[  655.884901]  unwind_backtrace from show_stack+0x10/0x14
[  655.890131]  show_stack from dump_stack_lvl+0x40/0x4c
[  655.895188]  dump_stack_lvl from __warn+0xec/0xf0
[  655.899900]  __warn from warn_slowpath_fmt+0x70/0xb4
[  655.904875]  warn_slowpath_fmt from demo_switch+0x208/0x268
[  655.911069]  demo_switch from __schedule+0x24c/0x638
"""

    crash = only(text)

    assert (crash.title, crash.kind) == ("WARNING: refcount bug in demo_switch", "refcount")


def test_a_bug_shortly_after_a_bad_page_is_another_one() -> None:
    text = """\
[   40.437400] BUG: Bad page state in process swapper/0  pfn:14940
[   41.300891] kernel BUG at include/linux/mm.h:720!
[   41.301801] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
[   41.306018] RIP: 0010:demo_free+0x79/0xe0
"""

    assert [crash.title for crash in crashes_of(text)] == ["BUG: Bad page state", "kernel BUG in demo_free"]


@pytest.mark.parametrize("address", ["", "[<00000000a1b2c3d4>] "])
def test_objects_that_kmemleak_prints_while_it_scans_are_leaks(address: str) -> None:
    def unreferenced(function: str) -> str:
        frames = "".join(f"kmemleak:     {address}{name}+0x1/0x20\n" for name in ("kmalloc_trace", function))
        dump = "kmemleak:   hex dump (first 8 bytes):\nkmemleak:     00 00 00 00 ad 4e ad de  .....N..\n"
        head = "kmemleak: unreferenced object 0xffff888104a3c000 (size 8):\n"
        return f'{head}kmemleak:   comm "demo", pid 51, jiffies 429\n{dump}kmemleak:   backtrace (crc 5e):\n{frames}'

    scanned = "kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)\n"

    crashes = crashes_of(f"{unreferenced('demo_open')}{unreferenced('demo_link')}{scanned}")

    assert [(crash.title, crash.task) for crash in crashes] == [
        ("memory leak in demo_open", "demo"),
        ("memory leak in demo_link", "demo"),
    ]
