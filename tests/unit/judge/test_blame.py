# SPDX-License-Identifier: GPL-2.0-or-later
"""Which function a report blames: machinery by naming conventions and by place, in any form of trace."""

import re
from pathlib import Path

import pytest

from orchestrator.judge import infrastructure
from orchestrator.judge.crash import NO_WORK
from orchestrator.judge.frames import Frame, find_frame, plain_name
from orchestrator.judge.infrastructure import INFRASTRUCTURE, LOCKS, WAITS, Family
from orchestrator.judge.patterns import PATTERNS
from orchestrator.judge.scan import crashes_in
from orchestrator.judge.watch import find_crashes
from orchestrator.model.crashes import Severity
from tests.corpus import CORPUS, read
from tests.unit.judge.test_cases import CASES, RIGHT

NAMED = {name: right for name, right in RIGHT.items() if re.search(r"\bin \w", right) and "not binding" not in right}


def found(*texts: str) -> str:
    """The function that a report blames."""
    return next(find_crashes([f"[   12.000000] {text}" for text in texts])).function


@pytest.mark.skipif(not NAMED, reason=f"{CASES} is not here: CASES=DIR")
@pytest.mark.parametrize(("name", "right"), NAMED.items(), ids=NAMED)
def test_a_console_as_people_posted_it_blames_the_right_function(name: str, right: str) -> None:
    first = next(
        crash for crash in crashes_in([(CASES / "consoles" / name).read_bytes()]) if crash.severity is Severity.FATAL
    )

    assert first.function in re.findall(r"\w+", right)


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("zram_fill (drivers/zram.c:771 (discriminator 1)) zram", Frame(function="zram_fill")),
        (" foo_free.isra.0 (mm/foo.c:12 mm/foo.c:99)", Frame(function="foo_free")),
        ("? foo_free (mm/foo.c:12)", Frame(function="foo_free", guess=True)),
        (" <IRQ> foo_free (??:?)", Frame(function="foo_free")),
        ("entry_SYSCALL_64 (arch/x86/entry/entry_64.S:130)", Frame(function="entry_SYSCALL_64")),
        (" foo_free (/home/me/linux/mm/foo.c:12) (P)", Frame(function="foo_free")),
        (" foo_free+0x12/0x34 mm/foo.c:12", Frame(function="foo_free")),
        (" foo_free mm/foo.c:12 [inline]", Frame(function="foo_free", inlined=True)),
        ("([<00000001a0b1d000>] foo_free+0x180/0x9f0)", Frame(function="foo_free")),
        ("[c00000000f3b7a10] [c0000000003a2b60] foo_free+0x3a0/0xb10 (unreliable)", Frame(function="foo_free")),
        ("<toy::Device as kernel::Ops>::open+0x1a/0x40", Frame(function="<toy::Device as kernel::Ops>::open")),
        ("toy::device::open (drivers/toy/device.rs:12)", Frame(function="toy::device::open")),
        (" foo from bar+0x1d8/0x8a0", Frame(function="foo", caller="bar")),
        (" foo [demo] from bar+0x1d8/0x8a0 [demo]", Frame(function="foo", caller="bar")),
        ("[<bf31d998>] (foo [demo]) from [<bf31e184>] (bar+0xb0/0x370 [demo])", Frame(function="foo", caller="bar")),
        ("Modules linked in: foo (P) bar", None),
        ("Hardware name: QEMU (v1.0:12)", None),
        ("swapin (77) used greatest stack depth: 1234 bytes left", None),
    ],
)  # fmt: skip
def test_each_form_of_a_frame_is_read(text: str, frame: Frame | None) -> None:
    assert find_frame(text) == frame


def test_the_call_of_a_32_bit_program_has_a_name_of_its_own() -> None:
    assert plain_name("__ia32_compat_sys_ioctl") == plain_name("compat_SyS_ioctl") == "compat_sys_ioctl"
    assert plain_name("__arm64_sys_ioctl") == "sys_ioctl"


def test_what_is_above_the_place_that_the_report_names_is_not_asked() -> None:
    """The way into a WARN() of an arch that nobody has heard of."""
    assert (
        found(
            "WARNING: CPU: 0 PID: 7 at lib/refcount.c:28 refcount_warn_saturate+0x10/0x20",
            "Call Trace:",
            " odd_arch_trap+0x1/0x2",
            " odd_arch_break+0x1/0x2",
            " refcount_warn_saturate+0x10/0x20",
            " swap_put_all+0x1/0x2",
        )
        == "swap_put_all"
    )


def test_what_makes_a_report_is_above_its_last_known_function() -> None:
    assert (
        found(
            "BUG: sleeping function called from invalid context at mm/foo.c:12",
            "Call Trace:",
            " dump_stack+0x10/0x20",
            " some_new_helper_of_printing+0x1/0x2",
            " print_the_splat+0x10/0x20",
            " __might_resched+0x1/0x2",
            " swap_put_all+0x1/0x2",
        )
        == "swap_put_all"
    )


def test_a_deadlock_is_where_the_report_says_it_even_if_that_is_a_wait() -> None:
    taken = (
        "a/7 is trying to acquire lock:",
        "ffff888012345678 ((work_completion)(&work)){+.+.}, at: __flush_work+0x1/0x2",
    )
    stack = "Call Trace:", " dump_stack+0x10/0x20", " __flush_work+0x1/0x2", " swap_put_all+0x1/0x2"

    assert found("WARNING: possible circular locking dependency detected", *taken, *stack) == "__flush_work"
    assert found("WARNING: inconsistent lock state", *taken, *stack) == "swap_put_all"


def trace(*functions: str) -> tuple[str, ...]:
    return "Call Trace:", *(f" {name}+0x10/0x20" for name in functions)


KASAN = "BUG: KASAN: {} in {}+0x1/0x2"
KMSAN = "BUG: KMSAN: uninit-value in {}+0x1/0x2"
HUNG = "INFO: task swapin:7 blocked for more than 143 seconds."
LOCKUP = "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [swapin:7]"


@pytest.mark.parametrize(
    ("texts", "right"),
    [
        # Ciphers only pass on what was never written; in any other report they are at fault as much as others.
        ((KMSAN.format("aes_encrypt"), *trace("aes_encrypt", "crypto_cipher_encrypt_one", "zram_seal")), "zram_seal"),
        (("BUG: KASAN: use-after-free in crypto_gcm_setkey+0x1/0x2",), "crypto_gcm_setkey"),
        ((KASAN.format("double-free", "vfree"), *trace("vfree", "mempool_free", "zram_drop")), "zram_drop"),
        ((KASAN.format("use-after-free", "mempool_free"), *trace("zram_drop")), "mempool_free"),
        # A page fault is a place, as long as it is not the way into the report.
        (("BUG: sleeping function called from invalid context at x:1", *trace("do_user_addr_fault")),
         "do_user_addr_fault"),
        (("WARNING: CPU: 1 PID: 7 at a.c:1 process_one_work+0x1/0x2",), "process_one_work"),
        (("BUG: spinlock bad magic on CPU#1, swapin/7", *trace("do_raw_spin_lock", "zram_map_lock", "zram_fill")),
         "zram_fill"),
        (("INFO: trying to register non-static key.", *trace("register_lock_class", "zram_locked", "zram_fill")),
         "zram_fill"),
        # Whoever called, all these wait for the same.
        ((HUNG, *trace("__schedule", "__mutex_lock", "rtnl_lock", "zram_link")), "rtnl_lock"),
        ((HUNG, *trace("__schedule", "__wait_rcu_gp", "synchronize_srcu_expedited", "zram_link")), "synchronize_rcu"),
        ((HUNG, *trace("__schedule", "zram_queue_lock", "zram_awaits_it", "zram_link")), "zram_link"),
        # Below its stack come those of other tasks.
        ((HUNG, *trace("__schedule", "schedule", "kthread", "ret_from_fork"), "sysrq: Show State",
          "task:zrammer         state:S stack:    0 pid:    9", *trace("__schedule", "zram_link", "do_syscall_64")),
         "kthread"),
        # The work is below the dispatcher, whatever machinery is between.
        ((LOCKUP, *trace("zram_walk", "zram_release", "dput", "__fput", "task_work_run")), "zram_release"),
        ((LOCKUP, *trace("zram_walk", "zram_ioctl", "__x64_sys_ioctl", "do_syscall_64")), "zram_ioctl"),
        ((LOCKUP, *trace("zram_ack", "call_timer_fn", "smp_call_function_many", "do_syscall_64")), "zram_ack"),
        ((LOCKUP, *trace("smp_call_function_many", "zram_flush", "do_syscall_64")), "smp_call_function"),
        # The counter's interrupt noticed the hard lockup.
        (("Watchdog detected hard LOCKUP on cpu 0", *trace("watchdog_overflow_callback", "__perf_event_overflow",
          "perf_event_overflow", "intel_pmu_handle_irq", "perf_event_nmi_handler", "nmi_handle", "do_nmi",
          "end_repeat_nmi", "zram_spin", "zram_open")), "zram_spin"),
        # Since v6.9 one function calls all system calls.
        ((LOCKUP, *trace("zram_walk", "exit_mm", "__x64_sys_exit_group", "x64_sys_call", "do_syscall_64")),
         "sys_exit_group"),
        # Threads that no kthread() called, and calls at boot.
        ((LOCKUP, *trace("zram_walk", "kmem_cache_alloc", "copy_process", "kthreadd", "ret_from_fork")), "kthreadd"),
        ((LOCKUP, *trace("zram_walk", "zram_worker", "ret_from_fork", "ret_from_fork_asm")), "zram_worker"),
        ((LOCKUP, *trace("zram_walk", "zram_init", "do_one_initcall", "kernel_init", "ret_from_fork")), "zram_init"),
        # A task that a signal ends, whatever call it was in and whichever of these the compiler inlined.
        ((LOCKUP, *trace("zram_walk", "do_exit", "do_group_exit", "get_signal", "arch_do_signal_or_restart",
                         "exit_to_user_mode_prepare", "syscall_exit_to_user_mode", "do_syscall_64")), "do_group_exit"),
        ((LOCKUP, *trace("zram_walk", "do_exit", "do_group_exit", "get_signal", "do_notify_resume", "el0_svc")),
         "do_group_exit"),
        # Pages are put for others, also those of many parts.
        (("BUG: Bad page state in process swapin  pfn:00001", *trace("bad_page", "free_compound_page",
                                                                      "__put_compound_page", "put_page", "zram_drop")),
         "zram_drop"),
        # Readahead reads what nobody asked for.
        (("BUG: Bad page state in process swapin  pfn:00001", "page_owner tracks the page as allocated",
          *(f" {name}+0x1/0x2" for name in ("post_alloc_hook", "folio_alloc_noprof", "filemap_alloc_folio_noprof",
                                            "page_cache_ra_order", "filemap_fault", "__do_fault")),
          *trace("bad_page", "__folio_put", "filemap_free_folio", "zram_drop")), "page_cache_ra_order"),
        # A lock of the page owners is theirs.
        (("[ BUG: Invalid wait context ]", "swapin/7 is trying to lock:",
          "ffff888012345678 (x){-.-.}-{3:3}, at: __set_page_owner+0x1/0x2"), "__set_page_owner"),
    ],
)  # fmt: skip
def test_what_is_machinery_depends_on_the_kind_of_report(texts: tuple[str, ...], right: str) -> None:
    assert found(*texts) == right


def test_a_circle_of_locks_is_told_by_the_second_lock_if_the_first_says_nothing() -> None:
    at = "ffff888012345678 (x){+.+.}-{3:3}, at: %s+0x1/0x2"
    taken = "a/7 is trying to acquire lock:", at % "__flush_workqueue", "but task is already holding lock:"

    assert found("WARNING: possible circular locking dependency detected", *taken, at % "zram_stop") == "zram_stop"
    assert found("WARNING: possible recursive locking detected", *taken, at % "zram_stop") == "__flush_workqueue"


def test_a_lock_in_the_wrong_state_is_where_the_trace_says() -> None:
    taken = "a/7 [HC0[0]:SC0[0]] takes:", "ffff888012345678 (x){+.?.}, at: zram_held+0x1/0x2"
    stack = trace("dump_stack", "print_usage_bug", "mark_lock", "lock_acquire", "_raw_spin_lock", "zram_takes")

    assert found("WARNING: inconsistent lock state", *taken, *stack) == "zram_takes"
    assert found("WARNING: inconsistent lock state", *taken) == "zram_held"


def test_where_only_entry_code_is_known_that_is_the_place() -> None:
    assert (
        found(
            "BUG: using __this_cpu_read() in preemptible [00000000] code: a/1",
            "Call Trace:",
            " dump_stack+0x10/0x20",
            " check_preemption_disabled+0x1/0x2",
            " __bad_area_nosemaphore+0x1/0x2",
            " async_page_fault+0x1/0x2",
        )
        == "__bad_area_nosemaphore"
    )


@pytest.mark.parametrize(
    "name",
    # Such as begin like machinery, or end like it, and are the kernel's real work.
    [
        *("raw_sendmsg", "mark_buffer_dirty", "bitmap_ip_destroy", "list_set_del", "pskb_expand_head", "proc_readfd"),
        *("get_user_pages_fast", "deadline_dispatch", "cache_clean", "strp_check_rcv", "atomic_open", "dump_emit"),
        *("swap_cluster_lock", "folio_alloc_swap", "swap_slot_alloc", "complete_walk", "copy_to_user_state"),
        *("kernfs_fop_read_iter", "skb_release_data", "bpf_warn_invalid_xdp_action", "usb_hcd_giveback_urb"),
        # Part of the kernel for everybody, and a place to go wrong of their own.
        *("do_user_addr_fault", "unwind_next_frame", "percpu_counter_add_batch", "release_pages", "list_lru_add"),
        *("xas_store", "mas_walk", "rht_deferred_worker", "hrtimer_active", "try_to_wake_up", "console_unlock"),
        *("crypto_gcm_setkey", "skb_release_head_state", "remove_proc_entry", "check_flush_dependency", "free_block"),
        *("pcpu_alloc_noprof", "rhashtable_init_noprof", "vma_alloc_folio_noprof", "mempool_alloc_noprof"),
        *("sg_remove_request", "timerqueue_del", "iov_iter_advance", "wait_for_unix_gc", "do_memsw_account"),
    ],
)  # fmt: skip
def test_a_word_of_machinery_in_a_name_is_not_enough(name: str) -> None:
    assert not [skip for skip in (*INFRASTRUCTURE, LOCKS, WAITS) if skip.match(name)]


@pytest.mark.parametrize(
    "name",
    [
        *("__kmalloc_cache_noprof", "kmem_cache_alloc_lru_noprof", "kvfree", "vzalloc_node", "__alloc_pages_nodemask"),
        *("kvrealloc_node_align_noprof", "get_free_pages_noprof", "__alloc_frozen_pages_noprof", "kmemdup_noprof"),
        *("_raw_spin_lock_irqsave", "do_raw_read_lock", "mutex_lock_nested", "rt_spin_lock", "percpu_down_write"),
        *("__hlist_del", "rb_erase_cached", "xas_load", "ida_free", "rhashtable_lookup_fast"),
        *("memcpy_erms", "strnlen", "sized_strscpy", "_copy_from_user", "copy_page_from_iter_atomic", "crc32c_le"),
        *("refcount_warn_saturate", "kobject_put", "klist_put", "ref_tracker_free", "vsnprintf", "ip4_addr_string"),
        *("__hwasan_tag_memory", "kcsan_setup_watchpoint", "__ubsan_handle_shift_out_of_bounds", "__msan_memcpy"),
        *("__wake_up", "wait_for_completion_timeout", "__flush_work", "try_to_del_timer_sync"),
        *("asm_exc_invalid_op", "el1h_64_sync_handler", "__dabt_svc", "do_trap_insn_fault", "__do_pgm_check"),
    ],
)  # fmt: skip
def test_the_kernels_conventions_tell_machinery(name: str) -> None:
    assert [skip for skip in (*INFRASTRUCTURE, LOCKS, WAITS) if skip.match(name)]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("illegal operation: 0001 ilc:1 [#1] SMP", "illegal operation"),
        ("Kernel bug detected[#1]:", "Kernel bug detected"),
        ("Kernel BUG [#1]", "Kernel BUG"),
        ("Bad pagetable: 000d [#1] SMP", "Bad pagetable"),
        ("Oops: Bad pagetable: 000c [#1] SMP", "Bad pagetable"),
        ("Unhandled kernel unaligned access[#1]:", "Unhandled kernel unaligned access"),
        ("do_cpu invoked from kernel context![#1]:", "do_cpu invoked from kernel context"),
        ("Oops - load access fault [#1]", "Oops - load access fault"),
        ("Oops - store (or AMO) access fault [#1]", "Oops - store (or AMO) access fault"),
        ("BUG: Kernel NULL pointer dereference on read", "BUG: unable to handle kernel NULL pointer dereference"),
        ("CPU 0 Unable to handle kernel paging request at 0", "BUG: unable to handle kernel paging request"),
        ("watchdog: CPU 3 self-detected hard LOCKUP @ f+0x28/0x60", "hard lockup"),
        ("watchdog: CPU 1 detected hard LOCKUP on other CPUs 2", "hard lockup"),
    ],
)  # fmt: skip
def test_each_arch_has_words_of_its_own(text: str, title: str) -> None:
    assert next(find_crashes([f"[    1.000000] {text}"])).title == title


@pytest.mark.parametrize(
    "text",
    [
        "Bluetooth dongle [#2] ready",
        "usb device ready [#2]",
        "WARNING: workqueue cpumask: online intersect > possible intersect",
        "WARNING: fbcon: Driver 'toydrmfb' missed to adjust virtual screen size (0x0 vs. 64x768)",
        "WARNING: /etc/ssh/moduli does not exist, using fixed modulus",
        "WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!",
        "smp: csd: CSD lock debugging is on",
    ],
)
def test_prose_is_no_complaint(text: str) -> None:
    assert list(find_crashes([f"[    1.000000] {text}", "[    1.000001] more text"])) == []


def test_prose_with_a_stack_is_noted() -> None:
    (crash,) = find_crashes(
        ["[    1.000000] WARNING: odd", "[    1.000001] Call Trace:", "[    1.000002]  swap_put_all+0x1/0x2"]
    )

    assert (crash.severity, crash.title) == (Severity.NOTE, "WARNING: odd in swap_put_all")


def test_a_familys_answers_are_kept_within_bounds() -> None:
    family = Family(one=r"a\w* b")

    assert family.match("__abc")
    assert family.match("b")
    assert not family.match("bc")
    for number in range(infrastructure.MOST_KNOWN + 10):
        family.match(f"a{number}")
    assert len(family.known) <= infrastructure.MOST_KNOWN


def test_a_family_can_go_on_with_fewer_rules() -> None:
    family = Family(one="a", two="b")

    family.use({"two": ("b",)})

    assert (family.match("a"), family.match("b")) == (False, True)


LONG = [
    "a" * 4096,
    "_" * 4096,
    "a_" * 2048,
    "a b " * 1024,
    "<" * 4096,
    "<a>" * 1365,
    "a::" * 1365,
    "[<0>] " * 680,
    "[0123456789abcdef] " * 215,
    "WARNING: " + "[" * 4000,
    "WARNING: " + "[x] " * 1000,
    "INFO: task " + ":1 " * 1300,
    "Code: " + "0f " * 1360,
    " at: " * 800,
    "BUG: KASAN: " + "a " * 2000,
    "[inline]" * 500,
]


@pytest.mark.parametrize("line", LONG, ids=range(len(LONG)))
def test_a_long_line_comes_to_an_end(line: str) -> None:
    """What backtracks without bounds would take hours."""
    for pattern in PATTERNS:
        pattern.line.match(line)
        for part in (pattern.named, pattern.detail, pattern.part):
            if part:
                part.match(line)
    list(find_crashes(["[    1.000000] BUG: KASAN: a in b+0x1/0x2", "[    1.000000] Call Trace:", line, line]))
    families = {*NO_WORK, *(family for pattern in PATTERNS for family in pattern.skip)}

    assert not [family for family in families if family.match(line)]
    assert not [family for family in families if family.match(line[: infrastructure.LONGEST_NAME])]


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is not here: make corpus CORPUS=DIR")
def test_a_log_that_must_be_silent_is() -> None:
    silent = [case for path in sorted(CORPUS.iterdir()) if path.name.isdigit() and not (case := read(path)).titles]

    assert not [case.name for case in silent if case.found]


def test_the_rules_are_found_by_the_measurement() -> None:
    from tests.crossvalidate import families

    assert {*INFRASTRUCTURE, LOCKS, WAITS} <= set(families())
    assert Path(__file__).parents[2].joinpath("crossvalidate.py").is_file()
