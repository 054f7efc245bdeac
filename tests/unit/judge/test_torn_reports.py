# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of which people posted only a part, or whose lines a mail program broke: what is left still tells."""

import pytest

from orchestrator.judge.scan import crashes_in
from orchestrator.model.crashes import Crash


def only(*lines: str) -> Crash:
    (crash,) = crashes_in(["".join(f"{line}\n" for line in lines).encode()])
    return crash


def stamped(*lines: str) -> Crash:
    return only(*(f"[   12.000000] {line}" for line in lines))


@pytest.mark.parametrize(
    "end",
    [
        ", probably for",
        ", probably for non-canonical",
        ", maybe for address",
        ", probably for non-canonical address 0xfbd5a5=",
    ],
)
def test_a_mail_may_break_a_protection_fault_anywhere_before_its_address(end: str) -> None:
    crash = stamped(f"Oops: general protection fault{end}", "RIP: 0010:demo_list+0x8b/0x340 [demo]")

    assert crash.title == "general protection fault in demo_list"


@pytest.mark.parametrize("quote", ["", "> ", "> > "])
def test_a_mail_breaks_a_stamped_line_before_the_place_of_a_lock(quote: str) -> None:
    crash = only(
        f"{quote}[   12.000001] WARNING: inconsistent lock state",
        f"{quote}[   12.000002] demo/5/40 [HC0[0]:SC1[1]:HE0:SE0] takes:",
        f"{quote}[   12.000003] ffff88818244d350 (&demo->lock){{+.?.}}-{{2:2}}, at:",
        f"{quote}demo_get_index+0x73/0x170 [demo]",
        f"{quote}[   12.000004] {{SOFTIRQ-ON-W}} state was registered at:",
    )

    assert crash.function == "demo_get_index"


def test_a_programs_line_is_not_the_place_of_a_lock() -> None:
    crash = only(
        "[   12.000001] WARNING: inconsistent lock state",
        "[   12.000003] ffff88818244d350 (&demo->lock){+.?.}-{2:2}, at:",
        "workload: verified 12+0 pages",
        "demo_get_index+0x73/0x170 [demo]",
    )

    assert crash.function == ""


def test_the_history_of_a_lock_is_no_trace() -> None:
    crash = stamped(
        "WARNING: inconsistent lock state",
        "demo/77 [HC1[1]:SC0[0]:HE0:SE1] takes:",
        "ffff888137237150 (&demo->lock){?.+.}-{2:2}, at: demo_invalid+0x1c/0x80 [demo]",
        "{HARDIRQ-ON-W} state was registered at:",
        "  lock_acquire+0x1a3/0x4a0",
        "  _raw_spin_lock+0x2c/0x40",
        "  demo_submit+0xf0b/0x3520 [demo]",
    )

    assert crash.function == "demo_invalid"


def test_without_a_trace_a_helper_that_the_report_names_is_all_that_is_known() -> None:
    fault = "Unable to handle kernel paging request at virtual address e1a0c00d", "PC is at strlen+0xc/0x38"

    assert stamped(*fault).function == "strlen"
    assert stamped("WARNING: CPU: 4 PID: 40 at mm/demo.h:130 kmem_cache_free+0x4/0x8").function == "kmem_cache_free"
    assert (
        stamped(*fault, "Backtrace:", "[<80142578>] (demo_hash) from [<80142579>] (demo_name)").function == "demo_hash"
    )


def test_without_a_trace_the_place_of_a_stall_says_nothing() -> None:
    stall = "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [demo:7]", "RIP: 0010:strlen+0xc/0x38"

    assert stamped(*stall).function == ""


@pytest.mark.parametrize(
    ("place", "function"),
    [("return_address+0x88/0x88", "return_address"), ("802e62f8", "demo_xfer"), ("c02e62f8", "demo_xfer")],
)
def test_a_corrupted_stack_is_that_of_the_function_in_its_line(place: str, function: str) -> None:
    crash = stamped(
        f"Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: {place}",
        "Backtrace:",
        "[<8016d06c>] (panic) from [<80110df4>] (__stack_chk_fail+0x10/0x14)",
        "[<80110df4>] (__stack_chk_fail) from [<802e62f8>] (demo_xfer+0x508/0x54c)",
    )

    assert crash.title == f"kernel panic: stack is corrupted in {function}"


def test_the_panic_below_an_overflown_stack_belongs_to_it() -> None:
    crash = stamped(
        "Insufficient stack space to handle exception!",
        "epc : demo_walk+0x0/0x40 [demo]",
        "Kernel panic - not syncing: Kernel stack overflow",
        "Call Trace:",
        "[<ffffffff021b003c>] demo_walk+0x1c/0x40 [demo]",
    )

    assert crash.title == "kernel stack overflow in demo_walk"


def test_a_task_is_known_while_a_crash_kernel_is_loaded() -> None:
    crash = stamped("kernel BUG at fs/demo.c:12!", "CPU: 1 PID: 7 Comm: demo x Kdump: loaded Not tainted 6.9.0 #1")

    assert crash.task == "demo x"


def test_who_switches_inside_a_read_side_section_is_the_scheduler_for_others() -> None:
    crash = stamped(
        "Voluntary context switch within RCU read-side critical section!",
        "Call trace:",
        " rcu_note_context_switch+0x4c4/0x508 (P)",
        " __schedule+0xbc/0x1204",
        " schedule+0x34/0x110",
        " demo_get_sync+0x164/0x228 [demo]",
    )

    assert crash.function == "demo_get_sync"


def test_a_trace_that_is_cut_behind_its_printing_leaves_the_place_of_the_lock() -> None:
    crash = stamped(
        "[ BUG: Invalid wait context ]",
        "demo/77 is trying to lock:",
        "ffff0001ff50b8f0 ((&c->lock)){+.+.}-{3:3}, at: ___slab_alloc+0x78/0xd5c",
        "Call trace:",
        " dump_stack_lvl+0xbc/0x134",
    )

    assert crash.function == "___slab_alloc"


def test_what_detects_a_bug_is_no_place_even_if_nothing_else_is_known() -> None:
    crash = stamped(
        "refcount_t: underflow; use-after-free.",
        "WARNING: CPU: 0 PID: 7 at lib/refcount.c:28 refcount_warn_saturate+0xd8/0xe0",
        "RIP: 0010:refcount_warn_saturate+0xd8/0xe0",
    )

    assert crash.title == "WARNING: refcount bug"


def test_a_warning_without_a_file_is_one_splat_with_the_text_before_it() -> None:
    crash = stamped(
        "list_del corruption. prev->next should be ffff8881018234b8, but was ffff8881010b27b8.",
        "WARNING: CPU: 0 PID: 0 at __list_del_entry_valid_or_report+0xbc/0xe0",
        "CPU: 0 PID: 0 Comm: swapper/0 Not tainted 6.6.66 #0",
        "Call Trace:",
        " demo_drop+0x1c/0x40",
    )

    assert (crash.title, crash.task) == ("BUG: corrupted list in demo_drop", "swapper/0")


def test_the_line_about_the_context_names_the_task() -> None:
    crash = stamped(
        "BUG: sleeping function called from invalid context at mm/demo.c:12",
        "in_atomic(): 0, irqs_disabled(): 1, non_block: 0, pid: 7578, name: demo 7",
    )

    assert crash.task == "demo 7"


@pytest.mark.parametrize(
    "words",
    [
        "usercopy: kernel memory overwrite attempt detected to ffff951a092de8e8 (kmalloc-8) (128 bytes)",
        "Bad or missing usercopy whitelist? Kernel memory exposure attempt detected from SLUB object 'demo'",
    ],
)
def test_each_kernels_words_for_a_bad_copy_to_a_program_are_known(words: str) -> None:
    crash = stamped(words, "Call Trace:", " __check_object_size+0xdb/0x1b0", " demo_readlink+0x4c/0x80")

    assert crash.title == "BUG: bad usercopy in demo_readlink"


def test_kasan_wrote_its_name_in_small_letters_once() -> None:
    crash = stamped(
        "BUG: KASan: user-memory-access on address 310000006a690d0d",
        "Write of size 672 by task demo/16448",
        "Call Trace:",
        " [<ffffffff81a13e3c>] demo_copy+0x8c/0xb0",
    )

    assert crash.title == "KASAN: user-memory-access Write in demo_copy"


def test_a_page_that_makes_a_sign_of_an_x_is_read() -> None:
    crash = only("Oops: 0002 [#1]", "EIP is at demo_add+0\xd783/0xd7")

    assert crash.function == "demo_add"


@pytest.mark.parametrize(
    ("first", "second", "title"),
    [
        ("WARNING: CPU: 1 PID: 7 at", "drivers/demo/core.c:98 demo_probe+0x1c/0x40", "WARNING in demo_probe"),
        ("WARNING: CPU: 1 PID: 7 at drivers/demo/core.c:98", "demo_probe+0x1c/0x40", "WARNING in demo_probe"),
        ("WARNING: CPU: 1 PID:", "7 at drivers/demo/core.c:98 demo_probe+0x1c/0x40", "WARNING in demo_probe"),
        ("WARNING: drivers/demo/core.c:98 at", "demo_probe+0x1c/0x40, CPU#1: demo/7", "WARNING in demo_probe"),
        ("UBSAN: shift-out-of-bounds in", "../drivers/demo/core.c:38:11", "UBSAN: shift-out-of-bounds"),
        ("BUG: KFENCE: memory corruption in", "demo_free+0x24b/0x310", "KFENCE: memory corruption in demo_free"),
        ("BUG: unable to handle", "kernel NULL pointer dereference at 08", "BUG: unable to handle kernel NULL pointer"),
        ("BUG: scheduling while", "atomic: demo/7/0x00000002", "BUG: scheduling while atomic"),
        ("kernel BUG at", "fs/demo/core.c:1474!", "kernel BUG"),
        ("WARNING: possible circular", "locking dependency detected", "possible deadlock"),
        ("WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock", "order detected", "possible deadlock"),
        ("BUG: using smp_processor_id() in preemptible", "[00000000] code: demo/7", "BUG: using smp_processor_id()"),
        ("INFO: task demo:7 blocked for more than", "120 seconds.", "INFO: task hung"),
        ("rcu: INFO: rcu_sched", "detected expedited stalls on CPUs/tasks: { 3-... }", "INFO: rcu detected stall"),
        ("Kernel panic - not syncing:", "Fatal machine check", "kernel panic: Fatal machine check"),
    ],
)
@pytest.mark.parametrize("mark", ["", "[   12.000001] ", "> [   12.000001] "])
def test_a_mail_may_break_the_line_that_begins_a_report(first: str, second: str, title: str, mark: str) -> None:
    quote = "> " if mark.startswith(">") else ""

    assert only(f"{mark}{first}", f"{quote}{second}").title.startswith(title)


def test_what_a_mail_broke_twice_is_joined_twice() -> None:
    crash = only("[   12.000001] WARNING:", "CPU: 1 PID: 7 at drivers/demo/core.c:98", "demo_probe+0x1c/0x40 [demo]")

    assert (crash.title, crash.line) == ("WARNING in demo_probe", 1)


def test_a_broken_line_may_lie_across_two_chunks() -> None:
    chunks = [b"[   12.000001] WARNING: CPU: 1 PID: 7 at\n", b"drivers/demo/core.c:98 demo_probe+0x1c/0x40\n"]

    assert [crash.title for crash in crashes_in(chunks)] == ["WARNING in demo_probe"]


def test_a_line_with_a_stamp_of_its_own_completes_no_other() -> None:
    crash = only("[   12.000001] kernel BUG at", "[   12.000002] drivers/demo: link is up", "[   12.000003] BUG: demo")

    assert crash.title == "BUG: demo"


def test_what_is_behind_a_file_without_a_function_is_no_function() -> None:
    crash = only(
        "WARNING: CPU: 1 PID: 7 at drivers/demo/core.c:98",
        "Modules linked in: demo",
        "Call Trace:",
        " demo_run+0x1/0x2",
    )

    assert crash.title == "WARNING in demo_run"


def test_the_last_line_of_a_log_may_be_half() -> None:
    assert only("[   12.000001] BUG: unable to handle").title == "BUG: unable to handle"


def test_a_programs_source_says_nothing() -> None:
    text = b'    puts("[  675.362959] Kernel panic - not syncing: Watchdog detected hard LOCKUP on cpu 8");\n'

    assert not list(crashes_in([text]))


def test_a_table_of_a_test_robot_is_no_oops() -> None:
    assert not list(crashes_in([b"| Oops:Oops:#[##]                                | 0          | 6          |\n"]))


def test_a_mail_may_leave_nothing_of_a_stamp_but_its_brackets() -> None:
    crash = only(
        "> [] BUG: KASAN: global-out-of-bounds in demo_ctl+0x769f/0x7840 [demo]",
        "> [] Read of size 4 at addr ffffffffc03ea01c by task democtl/1215",
    )

    assert (crash.title, crash.task) == ("KASAN: global-out-of-bounds Read in demo_ctl", "democtl")


def test_riscv_names_the_exception_in_its_oops() -> None:
    crash = stamped("Oops - illegal instruction [#1]", "epc : demo_close+0x2/0x46", " ra : demo_exit+0x10/0x60")

    assert crash.title == "Oops - illegal instruction in demo_close"


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("Oops: 0000 [#1] SMP", "CPU: 0 UID: 1000 PID: 461 Comm: demo Not ="),
        ("Oops: 0000 [#1] SMP", "CPU: 0 UID: 1000 PID: 461 Comm: demo Not"),
        ("Oops: 0000 [#1] SMP", "CPU: 0 UID: 1000 PID: 461 Comm: demo"),
        ("unreferenced object 0xffff888110c46240 (size 96):", '  comm "demo", pid 33461, jiffies 4345365353'),
        ("unreferenced object 0xffff888110c46240 (size 96):", 'comm "demo", pid 33461, jiffies 4345365353'),
        (
            "INFO: rcu_sched detected stalls on CPUs/tasks:",
            "demo            R  running task        0   205      1 0x00000202",
        ),
    ],
)
def test_the_task_of_a_torn_report(head: str, line: str) -> None:
    assert only(head, line).task == "demo"


@pytest.mark.parametrize("quotes", [0, 1, 2, 3, 6])
def test_quoted_printable_breaks_lines_within_words(quotes: int) -> None:
    head = "BUG: unable to handle kernel NULL pointer dereference at virtual address 0000000000000090"
    registers = "RIP: 0010:[<ffffffff81229d0f>]  [<ffffffff81229d0f>] demo_verify+0xf/0xa0"
    lines = [f"{'> ' * quotes}[   12.000001] {text}" for text in (head, registers)]
    crash = only(*(part for line in lines for part in (f"{line[:75]}=", line[75:])))

    assert crash.title == "BUG: unable to handle kernel NULL pointer dereference in demo_verify"


def test_a_line_that_ends_with_a_sign_is_whole_where_it_is_short() -> None:
    assert only("Kernel command line: demo=", "kernel BUG at demo.c:1!").title == "kernel BUG"
