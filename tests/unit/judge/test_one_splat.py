# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of kinds that are rare, and reports whose parts look like several: each is one splat with one title."""

import pytest

from orchestrator.judge.scan import crashes_in
from orchestrator.model.crashes import Crash, Severity

TRACE = ("CPU: 1 PID: 77 Comm: demo Not tainted 6.9.0 #1", "Call Trace:", " <TASK>")


def judged(*lines: str) -> list[tuple[str, str]]:
    return [(str(crash.kind), crash.title) for crash in crashes_of(*lines)]


def crashes_of(*lines: str) -> list[Crash]:
    return list(crashes_in(["".join(f"[   12.000000] {line}\n" for line in lines).encode()]))


@pytest.mark.parametrize(
    ("line", "kind", "title"),
    [
        ("mm/pgtable-generic.c:54: bad pmd 00000000f7f1d68a(80000002e03009e2)", "memory", "BUG: bad pmd"),
        ("../mm/demo.c:12: bad pte c5183f1c(8000000400000000)", "memory", "BUG: bad pte"),
        ("arch/arm/mm/demo.c:12: bad p4d 8040542e.", "memory", "BUG: bad p4d"),
        ("zswap: Decompression error from zswap (0:77 demo 12->0)", "swap", "Decompression error from zswap"),
        ("zram: Decompression failed! err=-22, page=77", "swap", "zram: Decompression failed"),
    ],
)
def test_a_line_about_lost_data_is_a_splat_without_a_trace(line: str, kind: str, title: str) -> None:
    assert judged(line) == [(kind, title)]


@pytest.mark.parametrize(
    ("line", "kind", "title"),
    [
        ("BUG: assuming atomic context at mm/demo.c:12", "atomic", "BUG: assuming atomic context"),
        ("BUG: assuming non migratable context at mm/demo.c:12", "atomic", "BUG: assuming non migratable context"),
        ("BUG: looking up invalid subclass: 8", "lockdep", "BUG: looking up invalid subclass"),
        ("BUG: key ffff888005a31c98 has not been registered!", "lockdep", "BUG: key has not been registered"),
        (
            "kmem_cache_destroy demo: Slab cache still has objects",
            "slub",
            "BUG: slab demo: Slab cache still has objects",
        ),
        ("BUG demo(33:a.slice/b) (Tainted: G    B): Poison overwritten", "slub", "BUG: slab demo: Poison overwritten"),
    ],
)
def test_a_rare_check_has_the_kind_of_what_it_checks(line: str, kind: str, title: str) -> None:
    assert judged(line, *TRACE, " demo_open+0x20/0x60") == [(kind, f"{title} in demo_open")]


def test_a_lock_key_that_lockdep_does_not_know_is_one_splat_with_its_warning() -> None:
    assert judged(
        "BUG: key ffff888005a31c98 has not been registered!",
        "------------[ cut here ]------------",
        "DEBUG_LOCKS_WARN_ON(1)",
        "WARNING: CPU: 0 PID: 1 at kernel/locking/lockdep.c:4894 lockdep_init_map_type+0x2a1/0x300",
        "RIP: 0010:lockdep_init_map_type+0x2a1/0x300",
        *TRACE,
        " __kernfs_create_file+0x7e/0x100",
        " demo_probe+0x20/0x60",
    ) == [("lockdep", "BUG: key has not been registered in demo_probe")]


def test_a_trap_of_ubsan_is_one_splat_with_its_invalid_opcode() -> None:
    assert judged(
        "UBSAN: array index out of bounds at demo_walk+0x1b/0x40",
        "Oops: invalid opcode: 0000 [#1] SMP",
        "RIP: 0010:demo_walk+0x1b/0x40",
        *TRACE,
        " demo_open+0x20/0x60",
    ) == [("ubsan", "UBSAN: array index out of bounds in demo_walk")]


@pytest.mark.parametrize(
    ("check", "line", "kind"),
    [
        ("VM_WARN_ON_ONCE_FOLIO", "WARNING: CPU: 1 PID: 77 at mm/demo.c:12 demo_add+0x1d2/0x210", "warning"),
        ("VM_BUG_ON_FOLIO", "kernel BUG at mm/demo.c:12!", "bug"),
        ("VM_BUG_ON_PAGE", "kernel BUG at mm/demo.c:12!\nOops: invalid opcode: 0000 [#1] SMP", "bug"),
    ],
)
def test_a_folio_that_was_dumped_is_one_splat_with_its_warning_or_bug(check: str, line: str, kind: str) -> None:
    assert judged(
        "page: refcount:3 mapcount:0 mapping:ffff888104a8b0c1 index:0x7 pfn:0x13d2a1",
        f"page dumped because: {check}(demo)",
        "------------[ cut here ]------------",
        *line.splitlines(),
        "RIP: 0010:demo_add+0x1d2/0x210",
        *TRACE,
        " demo_open+0x20/0x60",
    ) == [(kind, f"{check} in demo_add")]


def test_a_warning_shortly_after_a_bad_page_is_another_one() -> None:
    assert judged(
        "BUG: Bad page state in process demo  pfn:104300",
        "page dumped because: nonzero mapcount",
        *TRACE,
        " demo_free+0x20/0x60",
        " </TASK>",
        "WARNING: CPU: 1 PID: 77 at mm/demo.c:12 demo_add+0x1d2/0x210",
    ) == [("memory", "BUG: Bad page state in demo_free"), ("warning", "WARNING in demo_add")]


@pytest.mark.parametrize("at", ["CPU: 1 PID: 77 at mm/slub.c:1134", "mm/slub.c:1134 at", "[demo] mm/slub.c:1134 at"])
def test_the_warning_below_the_bytes_of_an_object_belongs_to_slubs_report(at: str) -> None:
    assert judged(
        "BUG demo-32 (Not tainted): Right Redzone overwritten",
        *(f"Object   ffff888101a2b{number:03x}: 41 41 41 41" for number in range(64)),
        "------------[ cut here ]------------",
        f"WARNING: {at} object_err+0x35/0x50",
        *TRACE,
        " kfree+0x2a1/0x3b0",
        " demo_close+0x20/0x60",
    ) == [("slub", "BUG: slab demo-32: Right Redzone overwritten in demo_close")]


def test_a_report_that_is_cut_short_by_an_oops_blames_what_the_oops_does() -> None:
    assert judged(
        "BUG: KASAN: invalid-access in 0x0",
        "Read at addr 0000000000000000 by task demo/77",
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
        "Call trace:",
        " kasan_report+0x1a4/0x410",
        " demo_init+0x8c/0xa4",
    ) == [
        ("kasan", "KASAN: invalid-access in demo_init"),
        ("oops", "BUG: unable to handle kernel NULL pointer dereference in demo_init"),
    ]


def test_lockdeps_report_without_a_stack_blames_where_the_lock_is_taken() -> None:
    assert judged(
        "[ BUG: Invalid wait context ]",
        "demo/77 is trying to lock:",
        "ffff88801acfabd8 (&demo->wait){....}-{3:3}, at: __wake_up+0x26/0x60",
        "context-{5:5}",
    ) == [("lockdep", "WARNING: Invalid wait context in __wake_up")]


def test_a_mail_may_break_the_line_before_the_place_of_a_lock() -> None:
    text = (
        "> WARNING: lock held when returning to user space!\n"
        "> 1 lock held by demo/77:\n"
        ">  #0: ffff888104b73da8 (demo-01/1){+.+.}-{3:3}, at:\n"
        "> demo_tree_lock+0x2e/0x1a0 fs/demo.c:12\n"
    )

    (crash,) = crashes_in([text.encode()])

    assert crash.function == "demo_tree_lock"


def test_a_stall_in_the_thread_of_an_interrupt_is_that_of_its_handler() -> None:
    (crash,) = crashes_of(
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "RIP: 0010:demo_send+0x85/0xae0",
        "Call Trace:",
        " demo_handler+0x5c4/0xa00",
        " irq_thread_fn+0x23/0x60",
        " irq_thread+0xe7/0x1c0",
        " kthread+0xe8/0x120",
        " ret_from_fork+0x34/0x50",
    )

    assert crash.function == "demo_handler"


def test_a_boot_after_the_kernels_last_words_was_asked_for() -> None:
    boot = "[    0.000000] Linux version 6.9.0\n[    4.000000] demo: ready\n"
    last = "[    9.000000] reboot: Restarting system\n"

    def severities(text: str) -> list[Severity]:
        return [crash.severity for crash in crashes_in([text.encode()])]

    assert severities(boot + last + boot) == [Severity.NOTE]
    assert severities(boot + boot) == [Severity.FATAL]


def test_the_function_that_a_warning_without_a_file_names() -> None:
    assert judged(
        "WARNING: CPU: 2 PID: 77 at demo_show+0x24/0x60 [demo]",
        "RIP: 0010:demo_show+0x24/0x60",
        *TRACE,
        " demo_read+0x1/0x2",
    ) == [("warning", "WARNING in demo_show")]


def test_a_cfi_failure_that_only_warns_is_one_splat() -> None:
    assert judged(
        "CFI failure at demo_show+0x24/0x60 (target: demo_state+0x0/0x70; expected type: 0x8651b1de)",
        "WARNING: CPU: 2 PID: 77 at demo_show+0x24/0x60",
        *TRACE,
        " demo_read+0x1/0x2",
    ) == [("oops", "CFI failure in demo_show")]


def test_a_log_may_end_in_the_middle_of_a_warnings_place() -> None:
    assert judged("WARNING: CPU: 2 PID: 77 at mm/dem") == [("warning", "WARNING")]


def test_busy_inodes_are_one_splat_with_their_bug_and_its_trap() -> None:
    assert judged(
        "VFS: Busy inodes after unmount of vda (ext4)",
        "kernel BUG at fs/super.c:652!",
        "Oops: invalid opcode: 0000 [#1] SMP",
        *TRACE,
        " demo_kill_sb+0x1/0x2",
    ) == [("other", "VFS: Busy inodes after unmount")]


@pytest.mark.parametrize("helper", ["assfail", "prefetch_freepointer", "exc_general_protection"])
def test_helpers_are_not_to_blame(helper: str) -> None:
    assert judged("kernel BUG at fs/demo.c:12!", f"RIP: 0010:{helper}+0x1/0x2", *TRACE, " demo_x+0x1/0x2") == [
        ("bug", "kernel BUG in demo_x")
    ]


def test_a_mail_may_break_a_warning_before_its_function() -> None:
    text = (
        ">> [ 5152.797586] WARNING: mm/demo.c:60 at\n"
        ">> demo_cancel+0x110/0x134, CPU#24: kworker/24:3/1074770\n"
        ">> [ 5152.797800] NIP [c0000000006a2f10] demo_cancel+0x110/0x134\n"
    )

    (crash,) = crashes_in([text.encode()])

    assert crash.title == "WARNING in demo_cancel"
