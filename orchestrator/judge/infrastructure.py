# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that appear in many reports and are rarely at fault: they report, wait, or help others.

They are recognised by the kernel's naming conventions. A rule is a corner of the kernel's source (lib/string.c,
kernel/locking) with the forms that its names have, in all versions and on all arches; no rule is made from the names
that some log has.
"""

import re
from collections.abc import Mapping

# Of a console that names more functions than this, the answers are not kept.
MOST_KNOWN = 10_000
# No function that says nothing has a longer name, and a workload may write anything.
LONGEST_NAME = 128


class Family:
    """Functions of one sort: rules, each with forms that match a whole name, less its leading underscores.

    `known` has the answers given so far: names repeat, and tests/crossvalidate.py reads there what was asked.
    """

    def __init__(self, **rules: str) -> None:
        self.rules = {rule: tuple(forms.split()) for rule, forms in rules.items()}
        self.known: dict[str, bool] = {}
        self.use(self.rules)

    def match(self, name: str) -> bool:
        """Whether a function's plain name is one of them."""
        if len(name) > LONGEST_NAME:
            return False
        answer = self.known.get(name)
        if answer is None:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            answer = self.known[name] = self._any.match(name) is not None
        return answer

    def use(self, rules: Mapping[str, tuple[str, ...]]) -> None:
        """Answer by these rules from now on."""
        # Since v6.10 the names of functions that allocate end with _noprof, whoever they belong to.
        forms = "|".join(form for forms in rules.values() for form in forms)
        self._any = re.compile(rf"_*(?:{forms or '(?!)'})(?:_noprof)?$")
        self.known.clear()


# Printing a report, unwinding a stack, and the detectors' own functions.
REPORTING = Family(
    printing=r"""(?:v|dev_v?|_dev_|dev_)?printk\w* vprintk\w* print_\w+ dump_stack\w* dump_backtrace\w* dump_trace
        dump_page\w* dump_header dump_cpu_task show_(?:stack|trace|regs|state)\w* show_data \w*sched_show_task\w*
        dev_(?:emerg|alert|crit|err|warn|notice|info|dbg)\w* (?:dev|netdev)_printk\w*
        netdev_(?:emerg|alert|crit|err|warn|notice|info) dynamic_(?:pr|dev|netdev)_\w+""",
    unwinding=r"""walk_stack\w* stack_trace_\w+ save_stack\w* save_trace\w* arch_stack_walk\w* print_context_stack\w*
        return_address""",
    dying=r"""v?panic\w* nmi_panic (?:arch_|notify_)?die(?:_\w+)? \w*make_(?:task_)?dead oops_\w+ crash_kexec\w*
        add_taint get_taint check_panic_on_warn assert(?:fail|_fail) ass(?:fail|warn) warn(?:_\w+)? \w*_warn_slowpath\w*
        report_\w+ (?:generic_)?(?:fixup|handle|report|find)_bug\w* bug_handler is_valid_bugaddr \w*_warn_saturate
        schedule_bug""",
    zfs=r"spl_(?:dumpstack|panic|debug_\w+) v?cmn_err\w* zfs_panic_recover",
    sanitizers=r"""(?:\w+_)?(?:k[a-z]+|ub|hw?a|a|t|m)san_\w+ kfence_\w+ sanitizer_\w+ check_memory_region\w*
        memory_is_poisoned\w* read_word_at_a_time quarantine_\w+ \w*val_to_string handle_(?:\w+_)?overflow
        (?:un)?poison_\w+ kernel_(?:un)?poison_\w+
        check_(?:heap_|stack_|kernel_text_|bogus_|page_span)?(?:object|address)\w* usercopy_\w+ \w*fortify_\w+
        stack_chk_fail\w* memcmp_pages mte_check_\w+""",
    detectors=r"""kmemleak_\w+ create_object\w* delete_object\w* (?:slab_)?(?:debug|object)_\w*(?:object|err)\w*
        debug_check_\w+ debug_objects?_\w+ \w+_is_static_object should_fail\w* fail_dump fault_create\w*
        slab_(?:err(?:or)?|fix|bug) cache_free_debugcheck\w* bad_page\w* free_page_is_bad\w*
        might_(?:sleep|fault|resched|alloc)\w* cant_\w+ \w*assert_(?:\w+_)?(?:held|locked)\w* lockdep_\w+
        check_preemption_disabled (?:debug_)?smp_processor_id this_cpu_preempt_check page_owner_\w+ seqprop_\w+
        debug_(?:timer|work|hrtimer|rcu|percpu)_\w+ perf_trace_\w+""",
    rust=r"rust_helper_\w+ rust_panic (?:\w+::)*rust_begin_unwind .*core.*panic\w*",
)

# What handles an exception of the CPU, and by that a WARN(), a BUG() and a bad access.
EXCEPTIONS = Family(
    x86=r"""exc_(?:invalid_op|general_protection)\w* (?:asm_|noist_|idtentry_)exc_\w+
        (?:asm_|do_|trace_|early_)*(?:invalid_op|int3|divide_error|overflow|bounds|simd_\w+|coprocessor_\w+)
        do_error_trap do_trap\w* error_(?:entry|code|exit|return) \w*invalid_op math_error kernelmode_fixup_or_oops
        page_fault_oops fixup_exception\w* handle_stack_overflow ex_handler_\w+""",
    arm64=r"""el[01]t?_?\w*
        do_(?:mem_abort|sp_pc_abort|debug_exception|el[01]_\w+|serror|bad_area|tag_\w+|translation_fault|alignment_fault|sea|undefinstr)
        \w*serror\w* call_\w*_hook \w*brk_handler \w*_brk64 (?:die_)?kernel_fault do_kernel_fault
        debug_exception_\w+ handle_bad_stack panic_bad_stack bad_stack""",
    arm=r"do_DataAbort do_PrefetchAbort do_undefinstr (?:dabt|pabt|und|irq|fiq)_(?:svc|usr|invalid)\w* und_fault",
    riscv=r"handle_exception do_trap_\w+ die_kernel_fault restore_all new_vmalloc_restore_context\w*",
    powerpc=r"""interrupt_(?:return|exit)\w*
        (?:data|instruction|program|system|hardware|decrementer|alignment)_\w*common\w* program_check_exception
        do_program_check\w* \w+_access_exception bad_page_fault hash__do_page_fault ret_from_except\w* data_access\w*
        unrecoverable_exception""",
    s390=r"""pgm_check\w* do_pgm_check do_(?:protection|dat|asce|secure|non_secure)_exception io_int_handler
        ext_int_handler""",
    mips=r"""handle_(?:ri|bp|tr|tlb|ade|int|fpe|cpu|dbe|ibe|mod)\w* do_(?:ri|bp|tr|be|ade|cpu|trap_or_bp)
        tlb_do_page_fault_\w+""",
)

# Entry from user space and into a thread.
ENTRY = Family(
    syscalls=r"""entry_(?:SYSCALL|SYSENTER|INT80)\w* do_syscall_\w+ do_fast_syscall\w* do_int80\w*
        (?:x64|x32|ia32)_sys_call sysenter\w* tracesys\w* invoke_syscall ret_fast_syscall ret_to_user\w* syscall_\w+
        system_call\w* handle_sys\w* do_trap_ecall\w* do_syscall work_pending ret_from_\w+ ret_slow_syscall
        irqentry_\w+ sys_call_table""",
    threads=r"""ret_from_\w+ kthread worker_thread kernel_thread\w* process_one_work process_scheduled_works
        smpboot_thread_fn""",
    boot=r"secondary_startup\w* x86_64_start\w* i386_start_kernel start_secondary secondary_start_kernel",
)

# Called by the code at fault: allocators, strings, copies, containers, formatting.
LIBRARY = Family(
    slab=r"""\w*kmem_cache_\w+ kmem_\w+ slab_\w+ (?:alloc\w*|free|new|discard|deactivate|flush|grow|setup)_slabs?
        (?:check|print)_(?:slab|object|bytes)\w* free_(?:to_partial_list|debug_processing|consistency_checks)
        \w*freepointer\w* freelist_\w+ alloc_debug_processing (?:do_|sock_|devm_)?k[vmzc]+alloc\w* krealloc\w*
        kvrealloc\w* shutdown_cache kv?z?free(?:_(?:sensitive|const|bulk))? kvmemdup k?(?:v?mem|str)n?dup\w*""",
    vmalloc=r"v[mz]?alloc\w*",
    pages=r"""(?:\w+_)?alloc_pages?(?:_\w+)? alloc_contig_\w+ alloc_frozen_\w+ get_(?:free_pages|zeroed_page)
        folio_unlock folio_alloc(?:_mpol\w*)? \w*page_frag_alloc\w* filemap_(?:alloc|get)_folio\w* find_or_create_page
        grab_cache_page\w* pagecache_get_page (?:do_)?read_cache_(?:page|folio)\w* find_lock_entries
        truncate_inode_pages\w*""",
    strings=r"""(?:\w+_)?mem(?:cpy|set|move|cmp|scan|chr|dup|zero|copy)\w* rep_(?:movs|stos)\w* bcmp
        (?:\w+_)?str[nlr]?(?:len|cpy|cmp|cat|chr|str|sep|c?spn|casecmp|pbrk|scpy|dup)\w* (?:sized_)?strscpy\w*
        hex_dump\w* hex_string match_string""",
    user_copies=r"""
        \w*copy_(?:to|from|in|mc_to)_(?:user|iter)(?:_\w*(?:nofault|nmi|inatomic|mc|key|nocache|flushcache|full|check))?
        copy_(?:page|folio)_(?:to|from)_\w+ copy_user_(?:generic|enhanced|handle|nocache|short)\w*
        (?:raw_|arch_)?copy(?:in|out) (?:get|put)_user(?:_\w*\d\w*|_nocheck\w*|_bad)?
        strn(?:cpy_from|len)_user\w* instrument_\w+ extract_(?:user|iter)_to_\w+""",
    bits=r"(?:arch_|const_|generic_)*(?:test|set|clear|change)_(?:and_(?:set|clear|change)_)?bit(?:_\w+)?",
    atomics=r"""(?:arch_|raw_)*(?:atomic(?:64|_long)?_(?!open|notifier)|cmpxchg|xchg)\w* (?:read|write)_once\w*
        smp_(?:load|store)_\w+ data_race""",
    lists=r"\w*list_(?:add|del|replace|move|splice)(?:_\w+)? klist_\w+",
    trees=r"rb_\w+ xas_(?:start|load|find)\w* ida_(?:free|remove|simple_remove)",
    tables=r"rh(?:ashtable|ltable)_lookup\w*",
    references=r"""refcount_\w+ kref_\w+ ref_tracker_\w+ kobject_\w+ iput(?:_final)? ihold drop_nlink
        (?:fast_)?dput put_device get_device_parent add_uevent_var""",
    formatting=r"""v?s\w*printf\w* kv?asprintf\w* (?:\w+_)?string(?:_\w*nocheck)? pointer va_format
        \w*widen_string""",
    checksums=r"crc\d+\w* crc_(?:t10dif|ccitt|itu_t)\w*",
    devices=r"""device_(?:add|del|unregister|destroy|release|remove_file|for_each_child)\w* devres_release_all
        sysfs_remove\w* i2c_del_adapter unregister_client hwrng_unregister tty_unregister_device dpm_sysfs_\w+""",
    registers=r"""(?:\w+_)?(?:read|write)s?[bwlq](?:_relaxed)? (?:logic_)?(?:in|out)s?[bwl] phys_addr\w* virt_to_phys\w*
        (?:x86_)?indirect_thunk\w* x86_return_thunk""",
    usb=r"""(?:usb|dummy)_(?:hcd_)?(?:submit_|kill_|kill_anchored_)?urbs?(?:_enqueue)?
        usb_(?:internal_)?control_msg\w*""",
    network=r"(?:dev_)?kfree_skb\w* sk_stop_timer_sync unregister_netdev\w* rollback_registered\w*",
    srcu=r"cleanup_srcu_struct\w*",
)

# Around a page that is bad: whoever allocates, frees or keeps pages for others is never its owner. Readahead is: nobody
# asked for its pages.
PAGE_CACHE = Family(
    allocating=r"\w*alloc\w* prep_new_page get_page_from_freelist rmqueue\w* \w*page_owner\w* \w*vmap\w* page_pool_\w+",
    freeing=r"""(?:\w+_)?(?:free|put|release|get|update)_(?:compound_|huge_|single_)?pages?(?:_\w+)?
        free_unref\w* free_(?:pcp|tail|frozen)\w* \w*page_frag_free""",
    caching=r"""folios?_\w+ filemap_\w+ pagecache_\w+ page_cache_(?!(?:a?sync_)?(?:ra|readahead)(?:_|$))\w+
        truncate_inode_pages\w* find_(?:or_create|get)_\w+ grab_cache_page\w* read_cache_\w+ free_swap_cache""",
)

# An uninitialised byte shows up where it is used: in the ciphers and checksums of data that somebody else made.
UNINITIALISED = Family(
    ciphers=r"""crypto_\w+ cipher_\w+ drbg_\w+ rng_\w+ \w+_encrypt""",
    buffers=r"alloc_skb\w* netlink_(?:ack|rcv_skb)",
)

# USB's ways to send a request and wait for it: a driver made the request.
TRANSFERS = Family(
    usb=r"usb_(?:start_wait|bulk|interrupt|internal_control|control)_(?:urb|msg\w*) usb_submit_urb",
)

# A network buffer's own functions check what their callers do.
BUFFERS = Family(
    skb=r"skb_\w+",
)

# What frees for others: whoever called it freed twice.
FREEING = Family(
    freeing=r"slab_\w+ mempool_\w+ dma_pool_\w+ page_pool_\w+ \w*kfree\w* \w*vunmap \w*vfree\w*",
)

# Entries of procfs, made for others.
PROC = Family(
    proc=r"proc_\w+",
)

# Entries of sysfs, made for others.
SYSFS = Family(
    sysfs=r"""(?:sys|kern)fs_\w+ internal_create_group\w* kobject_\w+ device_(?:create|register)\w*
        (?:bus_add|bus_register|driver_register)\w*""",
)

# Objects that know of debugobjects, and who frees memory with such an object in it.
OBJECT_USERS = Family(
    objects=r"""debug_\w+ (?:\w+_)?rcu\w* (?:\w*hr|del_|mod_|add_|init_)?timer_\w+ (?:\w+_)?work_\w+ percpu_\w+
        kobject_\w+""",
    freeing=r"vfree\w* \w*vunmap\w* free_(?:pages?|slab)(?:_\w+)?",
)

# Whatever takes or drops a lock by its name.
LOCKISH = Family(
    locks=r"\w*_(?:un)?lock\w* \w*spin_\w*",
)
KEYED = Family(
    keys=r"\w*lock\w* \w*stack\w* \w*IRQ\w*",
)

# A work item's lock is that of whoever waits for it.
WORK_LOCKS = Family(
    work=r"process_one_work (?:flush|drain|destroy)_workqueue\w*",
)

# Locks, lockdep's own functions, and what merely turns interrupts off and on.
LOCKS = Family(
    lockdep=r"""(?:re)?acquire_held\w*
        lock_(?:acquire|release|is_held|downgrade|contended|acquired|pin|unpin|repin|set)\w*
        (?:un)?register_lock_class assign_lock_key add_lock_to_list look_up_lock_class hlock_\w+ validate_chain
        valid_state mark_(?:lock|held|usage|irq)\w* find_(?:lock|usage|held)_\w+ prove_\w+ save_trace dump_context
        check_(?:prev|noncirc|deadlock|usage|irq|wait_context|path|redundant|flags|unlock|chain|lock)\w* zap_class
        trace_(?:hardirqs|softirqs|preempt|irq)\w*""",
    spinning=r"""(?:do_)?raw_(?:spin|read|write)_\w+
        (?:\w+_)?spin_(?:lock|unlock|trylock|acquire|release|bug|dump)\w*
        (?:rt_|queued_)?(?:read|write)_(?:un|try)?lock(?:_\w+)? rwlock_\w+ (?:native_|pv_)?queued_\w+
        pv_(?:kick|wait|hash|queued)\w* bit_spin\w* spin_(?:bug|dump) \w*qspinlock\w* seqcount_\w+
        (?:read|write)_seq\w*""",
    sleeping=r"""(?:ww_|rt_)?mutex_\w+ debug_(?:mutex|rt)\w* rt(?:lock|_spin|_mutex|_write|_read)\w* down(?:_\w+)?
        up_(?:read|write)\w* rw(?:sem|base)_\w+ percpu_(?:down|up|init_rwsem|free_rwsem)\w* ldsem_\w+ osq_\w+
        mutex_spin_on_owner owner_on_cpu task_blocks_on_rt_mutex downgrade_write""",
    read_side=r"rcu_(?:read|lock)\w*",
    others=r"""lock_(?:page|folio|buffer|timer)\w* (?:folio|page|buffer)_(?:un|try)?lock\w*
        (?:un|try)lock_(?:page|folio|buffer)\w* \w+_dec_and_\w*lock\w* class_\w+_(?:con|de)structor
        local_(?:bh|irq|lock)\w* preempt_(?:count|schedule)\w*""",
)

# A socket's own lock: whose lock it is matters to lockdep, that it sleeps or is gone is a fault of the socket's.
SOCKET_LOCKS = Family(
    sockets=r"lock_sock\w* release_sock\w* sock_(?:lock|owned|release_ownership)\w*",
)

# HangChannels to bring about an event or to wait for one, of which the caller is to blame for what went wrong.
WAITS = Family(
    events=r"""wake_up(?:_(?:bit|all|var|page|state|common|locked|sync|interruptible|poll)\w*)?
        wait_for_(?:common|completion)\w* finish_\w*wait complete(?:_with_flags)?""",
    work=r"""(?:queue|insert|flush)_(?:delayed_|rcu_)?work(?:_on|_node)? start_flush_work try_to_grab_pending
        (?:flush|drain|destroy)_workqueue\w* cancel_work_(?:timer|sync) touch_work_lockdep_map kthread_stop\w*""",
    # What code asks of a timer. Inside the timers' own lists the fault is somebody else's timer: no caller is to blame.
    timers=r"""(?:try_to_)?del_timer\w* (?:try_to_)?timer_delete\w* (?:try_to_)?del_timer_sync lock_timer_base mod_timer
        init_timer_key""",
)

# The scheduler, and how a task gives up its CPU.
SCHEDULING = Family(
    scheduler=r"""schedule\w* context_switch switch_to\w* sched_(?:show|clock|submit|update|exec|switch|info|dynamic)\w*
        io_schedule\w* preempt_schedule\w* \w*cond_resched\w* might_resched yield\w*
        try_to_wake_up default_wake_function rcu_\w*note_context_switch""",
    events=r"""(?:do_)?wait_(?:on_(?:bit|page|folio|buffer|atomic|inode)|event|woken|intr|bit|rcu)\w* folio_wait_\w+
        bit_wait\w* prepare_to_\w*wait\w* (?:autoremove|woken)_wake\w* (?:add|init)_wait\w* remove_wait_queue\w*
        swait_\w+ swake_\w+ out_of_line_\w+ futex_wait_queue\w* futex_do_wait rcu_?wait\w* \w*log_wait\w*
        rq_qos_wait\w*""",
    sleeping=r"[mu]sleep\w* \w*nanosleep\w* process_timeout fsleep",
    grace_periods=r"rcu_(?:barrier|exp|sync|poll|tasks)\w* synchronize_rcu_exp\w*_tasks exp_funnel_lock sync_rcu\w*",
)

# By name a function that sleeps until something is there or free: what a hung task is in, whoever wrote it.
SLEEPS = Family(
    waiting=r"\w*wait\w* \w*completion\w* \w*synchronize\w* rcu_barrier\w*",
    locking=r"\w*_(?:slow)?lock\w* \w*rwsem\w* (?:\w+_)?down(?:_\w+)?",
    scheduling=r"\w*sched\w* \w*kthread\w* context_switch switch_to\w* cancel_\w*work\w*",
    sleeping=r"[mu]sleep\w* \w*nanosleep\w*",
)

# What all tasks have in common that hang for one reason, whoever called it.
GRACE_PERIODS = Family(
    rcu=r"\w*synchronize_(?:s?rcu|net|sched)\w*",
)
BIG_LOCKS = Family(
    networking=r"\w*rtnl_lock\w*",
)

# What turns preemption off and asks for it.
PREEMPTION = Family(
    preemption=r"\w*preempt\w* debug_\w+ \w*processor_id \w*this_cpu_\w+",
)

# Whatever makes an object for somebody else: a leak is who lost it.
CONSTRUCTORS = Family(
    allocating=r"\w*alloc\w* \w*(?:mem|str)n?dup\w* kmem\w* mmap\w* create_object \w*slab\w* kv?asprintf\w*",
    preallocating=r"idr_(?:pre_)?get\w* list_lru_init\w* pcpu_create\w* \w*_preload\w*",
)

# RCU's own functions, and who frees by it.
RCU = Family(
    rcu=r"(?:\w+_)?s?rcu(?:_\w+)? \w*(?:kmem|slab)\w*",
)

# The clock's interrupt that noticed a stall, and the ways into it.
TICKS = Family(
    interrupts=r"""(?:asm_|run_|instr_|fred_|trace_)*sysvec_\w+ \w*apic_timer_\w+
        (?:smp_|trace_|asm_|do_|xen_)*(?:apic_timer|local_timer|timer|call_function\w*|reschedule|reboot|irq_work|spurious|error|thermal|decrementer|hyperv\w*)_interrupt\w*
        (?:do_|common_|generic_|irq_|gic_|plic_|xen_|aic_|bcm\d+_)*(?:handle|handler|do|domain|process)_\w*irq\w*
        handle_\w*irq\w* \w*(?:irq|evtchn|ipi)_\w*(?:handle\w*|domain\w*|upcall|event\w*) generic_handle\w* gic_\w+
        irq_(?:exit|enter|work)\w* irq_svc el\d\w*_irq\w* ret_from_intr do_IRQ common_interrupt call_on_\w*stack\w*
        (?:do_|call_|invoke_)softirq\w* do_softirq_own_stack asm_call\w* do_interrupt_handler el1_interrupt
        local_apic\w* \w*ipi_\w+ \w*evtchn_\w+ \w*hypervisor_callback arch_timer_\w+ xen_\w+_interrupt
        arch_irq_work\w*""",
    ticking=r"""hrtimer_\w+ run_hrtimer tick_\w+ update_process_times timer_tick \w*clockevent\w* scheduler_tick
        sched_tick""",
    stall_detector=r"""rcu_(?:check|sched|pending|dump|gp|core|implicit|exp|iw|momentary)\w* \w*cpu_stall\w*
        rcu_\w*stall\w* check_\w*stall\w* watchdog\w* softlockup\w* lockup_\w+ is_(?:soft|hard)lockup arch_trigger\w*
        perf_event_overflow\w* \w+_pmu_handle_irq\w*
        trigger_\w+ nmi_\w+ \w+_nmi(?:_\w+)? do_nmi raise_nmi ipi_cpu_backtrace smp_call_function\w*cpu_backtrace""",
    idling=r"""\w*default_idle\w* \w*safe_halt\w* \w*cpu_idle\w* cpuidle_\w+ do_idle cpu_startup_entry
        arch_cpu_idle\w* mwait_\w+ acpi_(?:idle|safe_halt|processor)\w* intel_idle\w* \w*idle_(?:enter|call|loop)\w*
        xen_hypercall_\w+ wait_for_interrupt cpu_do_idle""",
    clocks=r"""ktime_\w+ \w*(?:kvm|pv)\w*clock\w* delay_\w+ [mnu]delay\w* (?:\w+_)?const_udelay read_tsc
        \w*sched_clock\w* getboottime\w* timekeeping_\w+""",
    hypervisor=r"kvm_(?:wait|async_pf|kick|guest)\w* pv_\w+ native_\w+ xen_\w+ hv_\w+",
    preemption=r"""preempt_\w+ (?:arch_)?local_irq\w* cpu_relax cpu_stop\w* stop_machine\w* multi_cpu_stop
        sanity_check\w* rcu_\w*kthread""",
)

INFRASTRUCTURE = (REPORTING, EXCEPTIONS, ENTRY, LIBRARY)

# What one of these calls is where a stalled CPU's work began: unlike the program counter, that is the same in
# every report of one bug.
DISPATCHERS = Family(
    syscalls=r"""do_syscall_\w+ do_fast_syscall\w* do_int80\w* entry_\w+ el0_svc\w* do_el0_svc invoke_syscall
        tracesys\w* sysenter\w* (?:x64|x32|ia32)_sys_call ret_fast_syscall system_call\w* do_trap_ecall\w*
        handle_sys\w* do_syscall""",
    ioctls=r"vfs_ioctl do_vfs_ioctl \w*compat_(?:sys_)?ioctl blkdev_(?:driver_)?ioctl ksys_ioctl",
    files=r"""vfs_(?:read|write|readv|writev|iter_\w+|open) new_sync_\w+ do_iter_\w+ do_loop_readv_writev
        call_\w+_iter do_dentry_open \w*fput task_work_run""",
    sockets=r"""sock_(?:sendmsg|recvmsg)\w* sock_common_[gs]etsockopt sock_(?:release|mmap)
        (?:sys|kernel)_setsockopt (?:sys_|kernel_)?(?:listen|accept) (?:sys_)?(?:socketpair|connect)
        sk_common_release (?:compat_)?sock_(?:do_)?ioctl""",
    netlink=r"(?:nf|rt)netlink_rcv_msg netlink_dump",
    received_packets=r"netif_receive_skb\w*",
    softirqs=r"""call_timer_fn run_timer\w* hrtimer_run_\w+ run_hrtimer do_softirq\w* irq_exit
        handle_softirqs run_ksoftirqd \w*rcu_do_batch tasklet_(?:hi_)?action\w*""",
    threads=r"""process_one_work kthread kthread_worker_fn cpu_startup_entry start_secondary smpboot_thread_fn
        irq_thread\w* irq_forced_thread_fn ret_from_fork\w* ret_from_kernel_\w*thread\w* do_one_initcall""",
    # A task that a signal ends does so on its way out of whatever call it was in.
    leaving=r"""(?:\w+_)?exit_to_user_?mode\w* (?:arch_)?do_signal\w* do_notify_resume get_signal
        resume_user_mode_work""",
    memory=r"do_fault mmap_region call_mmap do_mmap\w* do_page_fault page_fault",
)

# A system call that is a hundred: which of them it was, says the function that it called.
MULTIPLEXERS = Family(
    calls=r"(?:compat_)?(?:sys_)?ioctl",
)

# The timer interrupt's first function, on each arch.
CLOCK = Family(
    x86=r"(?:\w*sysvec_)?(?:smp_)?apic_timer_interrupt \w*sysvec_\w*timer\w*",
    others=r"arch_timer_handler_\w+ (?:\w+_)?timer_interrupt \w+_timer_handler twd_handler clock_comparator_\w+",
)

# Above the last of these, a trace says how its report was made.
MAKERS = Family(
    printers=r"""dump_stack\w* show_stack dump_backtrace print_\w+ v?panic warn(?:_\w+)? report_\w+
        (?:\w+_)?(?:k[a-z]+|ub|hw?a|a|t|m)san_\w+""",
)
