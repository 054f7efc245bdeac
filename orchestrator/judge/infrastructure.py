"""Functions that appear in many reports and are at fault in hardly any: machinery of reporting, waiting and helping.

A word matches a whole function name, less its leading underscores.
"""

import re


def _family(words: str) -> re.Pattern[str]:
    return re.compile(rf"_*(?:{'|'.join(words.split())})$")


# Printing a report and unwinding a stack.
REPORTING = _family(r"""
    dump_stack\w* show_stack dump_backtrace unwind_backtrace print_\w+ report_\w+ warn\w* panic\w* vpanic nmi_panic
    oops_\w+ die\w* fixup_bug bug_handler brk_handler bad_page free_page_is_bad\w* add_taint check_panic_on_warn
    k[acm]san_\w+ kfence_\w+ ubsan_\w+ (?:asan|hwasan|tsan|msan)_\w+ check_memory_region\w* val_to_string
    handle_overflow show_regs\w* save_stack\w* save_trace stack_trace_\w+ stack_depot\w* arch_stack_walk
    walk_stackframe unwind_next_frame\w* unwind_get_\w+ deref_stack_reg read_once_word\w* read_word_at_a_time
    sanitizer_cov\w* printk\w* vprintk\w* stack_chk_fail schedule_bug assert_\w+_locked object_err dump_page
    check_preemption_disabled (?:debug_)?smp_processor_id this_cpu_preempt_check might_\w+ cant_\w+
    preempt_schedule\w*_check lockdep_\w+ debug_\w*object\w* debug_check_no_\w+ \w+_is_static_object should_fail\w*
    fail_dump fault_create\w* rust_helper_\w+ rust_panic
    (?:\w+::)*rust_begin_unwind .*core.*panic\w* handle_bug seqprop_\w+
    \w*fortify_panic \w*_warn_saturate
""")

# Entry from user space, from an exception and into a thread.
ENTRY = _family(r"""
    exc_\w+ asm_exc_\w+ asm_common_\w+ error_entry error_code \w*invalid_op\w* \w*page_fault do_error_trap math_error
    do_trap\w* do_kern_addr_fault\w* bad_area\w* no_context do_user_addr_fault kernelmode_fixup_or_oops
    page_fault_oops (?:do_)?general_protection (?:do_)?double_fault (?:do_)?int3 call_break_hook call_el1_break_hook
    do_debug_exception el1\w* do_mem_abort do_translation_fault do_page_fault do_tag_\w+ do_sea do_DataAbort
    do_kernel_fault die_kernel_fault arm64_notify_die debug_exception_enter und_svc stack_\w*overflow handle_stack\w*
    handle_bad_stack bad_stack do_bad_area ret_from_fork\w* kthread kthreadd worker_thread kernel_thread entry_\w+
    do_syscall_\w+ do_fast_syscall\w* ret_fast_syscall ret_to_user tracesys\w* el0\w* invoke_syscall do_el0_svc
    process_one_work smpboot_thread_fn secondary_startup\w* x86_64_start\w* ret_from_exception
""")

# Allocators, strings, copies, bits, lists, trees, formatting: called by the code at fault.
LIBRARY = _family(r"""
    \w*kmem_cache_\w+ kmem_\w+ slab_\w+ \w+_slab check_slab check_bytes\w*
    free_to_partial_list free_debug_processing on_freelist cache_\w+ new_slab\w*
    k[mzc]alloc\w* k[mzc]alloc_\w+ do_kmalloc\w* kfree\w* kvfree\w* kzfree kstrdup\w* kmemdup\w* krealloc\w*
    k?vzalloc\w* k?v[mz]alloc\w* vmalloc\w* vfree\w* alloc_pages?\w* get_free_pages\w* \w+_noprof
    get_page_from_freelist prep_new_page check_new_page\w* post_alloc_hook rmqueue\w* free_unref_\w+ free_pages?\w*
    free_one_page free_pcp\w* free_frozen\w* free_tail\w* free_large_kmalloc release_pages folios?_put\w* put_\w*page
    \w*page_frag_free kernel_(?:un)?poison_pages qlist_\w+ quarantine_\w+ poison_\w+ unpoison_\w+ alloc_percpu\w*
    pcpu_alloc\w* create_object kmemleak_\w+ radix_tree_node_alloc mem(?:cpy|set|move|cmp|scan|chr|dup)\w* rep_movs\w*
    str[nl]?(?:len|cpy|cmp|cat|chr|scpy|str|sep|casecmp)\w* strscpy\w* _?copy_(?:to|from|in|user)_?\w*
    copy_page_\w*iter\w* arch_copy\w* usercopy_\w+ check_\w*object\w* check_copy_size \w*csum_partial\w*
    instrument_\w+ (?:arch_|raw_)?atomic\w* test_\w*bit\w* (?:set|clear|change)_bit \w*find_(?:next|first)\w*bit
    read_once\w* write_once\w* h?p?list_\w+ list_\w+_valid rb_\w+ rhashtable_\w+ rht_\w+ hex_\w+ crc\w+ string
    vs\w*printf snprintf scnprintf \w*_string symbol_\w+ pointer number widen_string va_format kv?asprintf\w*
    seq_printf seq_puts bitmap_\w+ ida_\w+ idr_\w+ xa_\w+ xas_\w+ radix_tree_\w+ refcount_\w+ kref_\w+ kobject_\w+
    kobj_\w+ klist_\w+ percpu_ref_\w+ ref_tracker_\w+ debug_print_object (?:x86_)?indirect_thunk\w* phys_addr\w*
    virt_to_phys\w* get_user\w* put_user\w* vmap\w* srcu_\w+ cleanup_srcu_struct\w*
    skb_(?:panic|over_panic|under_panic|put|push|pull\w*) kfree_skb\w* consume_skb skb_free_head sk_stop_timer\w*
    cipher_\w+ iput init_timer\w* aes\w+_(?:en|de)crypt aes_\w+ crypto_\w+ xts_\w+ ecb_\w+ (?:fast_)?dput
    proc_register proc_create\w* proc_mkdir\w* sock_k?m?alloc\w* alloc_inode unregister_netdev\w*
    rollback_registered\w* put_device get_device sha\d+\w* \w+_(?:readq?|write)[bwlq] ioread\w* iowrite\w* sysfs_\w+
    (?:dpm|device|bus|driver)_sysfs_\w+ device_remove_file i2c_(?:add|del)_adapter drbg_\w+ rng_\w+
    device_(?:add|del|unregister|destroy|release|create|initialize)\w* get_device_parent class_\w+
    dev_(?:err|warn|info|\w*printk\w*) usb_(?:submit|kill|poison|unlink)_\w+ usb_start_wait_urb usb_\w+_msg
    usb_(?:anchor|free)_urb static_key_\w+ jump_label_\w+ text_poke\w* sock_hold sock_put \w*fake_map\w*
""")

# The page cache's ways to allocate and free: never the owner of a page.
PAGE_CACHE = _family(r"""
    (?:filemap_)?(?:alloc|get|grab)_folio\w* folio_alloc\w* vma_alloc_\w+ filemap_\w*folio\w* pagecache_get_page
    (?:re)?set_page_owner page_pool_\w+ find_or_create_page grab_cache_page\w* find_get_\w+ alloc_page\w* read_cache_\w+
""")

# Locks, lockdep's own functions, and what merely turns interrupts off and on.
LOCKS = _family(r"""
    hlock_class release_sock tty_ldisc_lock\w* lock_timer_base
    lock_(?:acquire\w*|release\w*|is_held\w*|downgrade\w*|sock\w*|contended|acquired|page\w*) reacquire_held\w*
    register_lock_class assign_lock_key add_lock_to_list look_up_lock_class validate_chain valid_state mark_\w+
    check_(?:prev|noncircular|deadlock|usage|irq|wait|path|redundant|flags|unlock)\w* prove_\w+ find_lock_\w+
    dump_(?:header|context) \w*spin_\w+ \w*rwlock_\w+ rwlock_bug spin_bug spin_dump raw_\w+ do_raw_\w+ queued_\w+
    native_queued_\w+ pv_queued\w* pv_kick\w* read_lock\w* write_lock\w* read_unlock\w* write_unlock\w* mutex_\w+
    ww_mutex\w* rt_mutex\w* rtlock\w* rt_spin\w* task_blocks_on_rt_mutex down\w* up up_read up_write rwsem_\w+
    rwbase\w* percpu_down\w* percpu_up\w* ldsem_\w+ rcu_read_\w+ rcu_lock_\w+ rcu_note\w* trace_hardirqs\w*
    trace_softirqs\w* trace_preempt\w* trace_irq\w* local_bh\w* seqcount_\w+ class_\w+_constructor
    console_(?:lock|unlock|trylock)\w* sock_(?:lock|owned)\w* atomic_dec_and_\w*lock\w* refcount_dec_and_\w*lock\w*
    bit_spin\w* folio_unlock\w* unlock_page\w* print_lock\w* print_circular\w* print_bad\w* irq_\w+_handler
    preempt_count\w* debug_mutex\w* debug_rt\w* owner_on_cpu
""")

# The scheduler, and all ways to wait for an event.
WAITS = _family(r"""
    schedule(?:_timeout\w*|_hrtimeout\w*|_preempt_disabled|_idle|_user)?
    sched_(?:show_\w+|clock\w*|submit_work|update_worker|ttwu\w*|exec|switch\w*|info\w*) context_switch switch_to\w*
    io_schedule\w* preempt_schedule\w* cond_resched\w* do_wait_(?:for|intr)\w* wait_(?:for|on|event|rcu|woken)\w*
    do_wait_for\w* out_of_line_wait\w* bit_wait\w* prepare_to_\w*wait\w* autoremove_\w+ finish_wait\w*
    add_wait_queue\w* remove_wait_queue_\w+ wake_up\w* try_to_wake_up complete complete_\w+ flush_\w*work\w*
    flush_workqueue\w* cancel_\w*work\w* start_flush_work drain_workqueue destroy_workqueue queue_\w*work\w*
    insert_work mod_delayed\w* try_to_grab\w* folio_wait_\w+ folio_lock\w* wait_on_\w+ rcu_barrier\w* usleep_range\w*
    msleep\w* hrtimer_nanosleep \w*do_nanosleep kthread_stop\w* kthread_park\w* blk_mq_freeze_queue\w* process_timeout
    del_timer\w* try_to_del_timer\w* timer_delete\w* timer_shutdown\w* mod_timer\w* add_timer\w* rcu_exp_\w+
    synchronize_rcu_exp\w*_tasks exp_funnel_lock swait_\w+ swake_\w+ request_wait_\w+ futex_wait_queue\w*
    futex_do_wait jbd2_log_wait\w* call_rcu\w*
""")

# The clock's interrupt that noticed a stall, and the ways into it.
TICKS = _family(r"""
    \w*apic_timer_\w+ hrtimer_\w+ run_hrtimer tick_\w+ update_process_times
    rcu_(?:check_callbacks|sched_clock_irq|pending|dump_\w+|gp_\w+|core\w*|sched_\w+) \w*cpu_stall\w* rcu_\w*stall\w*
    \w*sched_show_task\w* show_state\w* dump_cpu_task check_cpu_stall nmi_\w+ arch_trigger\w* trigger_\w+ watchdog\w*
    softlockup\w* sysvec_\w+ asm_\w*sysvec_\w+ run_sysvec\w* instr_sysvec\w* smp_\w+_interrupt\w* local_apic\w*
    irq_exit\w* irq_enter\w* invoke_softirq handle_\w*irq\w* gic_\w+ generic_handle\w* \w*handle_domain_irq
    arch_timer_\w+ call_on_irq_stack call_on_stack\w* do_interrupt_handler irq_svc do_softirq_own_stack default_do_nmi
    do_nmi end_repeat_nmi perf_event_nmi\w* native_safe_halt default_idle\w* arch_local_irq\w* ktime_get\w* cpu_relax
    asm_call\w* call_softirq \w*ipi_\w+ ret_from_intr common_interrupt do_IRQ reschedule_interrupt cpu_stop\w*
    kvm_\w*clock\w* kvm_wait kvm_async_pf\w* pvclock\w* delay_\w+ (?:native_)?(?:read|write)_(?:msr|cr)\w* preempt_\w+
    arch_safe_halt arch_cpu_idle sanity_check\w* local_irq\w* cpuidle_\w+ do_idle
""")

INFRASTRUCTURE = (REPORTING, ENTRY, LIBRARY)

# What one of these calls is where a stalled CPU's work began: unlike the program counter, that is the same in
# every report of one bug.
DISPATCHERS = _family(r"""
    do_syscall_\w+ do_fast_syscall\w* entry_\w+ el0_svc\w* invoke_syscall tracesys\w* ret_fast_syscall
    process_one_work vfs_ioctl do_vfs_ioctl \w+_compat_ioctl
    hrtimer_run_\w+ run_hrtimer ksys_ioctl sys_ioctl vfs_(?:read|write|readv|writev|iter_\w+|open)
    new_sync_\w+ do_iter_\w+ call_\w+_iter do_dentry_open fput call_timer_fn netif_receive_skb\w* cpu_startup_entry
    start_secondary kthread run_ksoftirqd netlink_rcv_skb nfnetlink_rcv_msg rtnetlink_rcv_msg genl_\w*rcv\w*
    netlink_dump\w* sock_common_setsockopt sys_setsockopt sock_sendmsg\w* do_fault irq_exit do_softirq mmap_region
    flush_smp_call_function\w* \w*rcu_do_batch
""")

# The timer interrupt's first function, on either arch.
CLOCK = _family(r"(?:\w*sysvec_)?(?:smp_)?apic_timer_interrupt arch_timer_handler_\w+")
