# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kernel splat that we know, for kernels 4.x to 7.x on x86_64 and arm64: one entry each."""

import re
from dataclasses import dataclass, field
from enum import Enum, auto

from orchestrator.judge.frames import ADDRESS, DECODED, NAME, OFFSET
from orchestrator.judge.infrastructure import (
    BUFFERS,
    CONSTRUCTORS,
    DISPATCHERS,
    FREEING,
    INFRASTRUCTURE,
    KEYED,
    LOCKISH,
    LOCKS,
    MULTIPLEXERS,
    OBJECT_USERS,
    PAGE_CACHE,
    PREEMPTION,
    PROC,
    RCU,
    SCHEDULING,
    SLEEPS,
    SOCKET_LOCKS,
    SYSFS,
    TICKS,
    TRANSFERS,
    UNINITIALISED,
    WAITS,
    WORK_LOCKS,
    Family,
)
from orchestrator.model.crashes import CrashKind, Severity


class Source(Enum):
    """Where a report names the function at fault."""

    LINE = auto()  # group `function` of the first line
    NAMED = auto()  # group `function` of the pattern's `named`, on a later line
    COUNTER = auto()  # the program counter
    EARLY = (
        auto()
    )  # first frame that says something of a stack printed before the trace: a lock's history, a page's owner
    TRACE = auto()  # first frame of a trace that says something
    BELOW_DISPATCHER = auto()  # the frame called by a system call, work item or timer entry
    COMMON = auto()  # the frame that all tasks have in common which hang for the same reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """How to recognise one family of splats, and what to call it."""

    kind: CrashKind
    line: re.Pattern[str]
    title: str  # format string over the groups of `line`; " in FUNCTION" is added when `sources` gives one
    given: CrashKind | None = None  # the kind that the splat is given, where `kind` only says what may follow
    severity: Severity = Severity.FATAL
    sources: tuple[Source, ...] = (Source.COUNTER, Source.TRACE)
    named: re.Pattern[str] | None = None
    names: int = 1  # how many lines that `named` matches are taken, the first that says something counts
    detail: re.Pattern[str] | None = None  # its group `detail`, on a later line, is added to the title
    skip: tuple[Family, ...] = (*INFRASTRUCTURE, LOCKS, WAITS)
    named_skip: tuple[Family, ...] | None = None  # of the function that `named` finds, where that is less
    dispatchers: tuple[Family, ...] = (DISPATCHERS,)  # whose callee is the work that was done
    follows: frozenset[CrashKind] = field(default_factory=frozenset)
    """Shortly after a splat of one of these kinds this line belongs to it."""
    within: int = 15  # lines that count as shortly
    alone: bool = False  # it ends with its own trace: a bug that is reported shortly after it is another one
    behind: re.Pattern[str] | None = None  # no splat unless one of the few lines before is like this
    all_callers: bool = False  # the report is written by several CPUs
    prose: bool = False  # may be said of anything: only a stack below makes it a splat
    common: bool = False  # words of programs, too: as prose, where the line does not name the kernel
    silent: bool = False  # no splat at all: known so that it is not taken for one, or for a part of one
    bare_trace: bool = False  # the frames follow without "Call Trace:"
    part: re.Pattern[str] | None = None  # a line above each of several stacks, all of which belong to the report


# A symbolised report names inlined functions in lines of their own, above the one that counts.
OUTER = r"(?!.*\[inline\]$)"
KASAN = "BUG: KAS(?:AN|an): "  # in small letters until v4.5
FUNCTION = rf"(?:{ADDRESS})*(?P<function>{NAME})(?:{OFFSET})?"
AT_FUNCTION = re.compile(
    rf".* at: (?:{ADDRESS})*(?P<function>{NAME})(?:{OFFSET}|{DECODED})"
    rf"|\s*(?:{ADDRESS})+(?P<bare>{NAME})(?:{OFFSET}|{DECODED})"
)
K = CrashKind
# What may end in a BUG(), and what may end in the trap that a BUG() is.
BUGGY = frozenset({K.BUG, K.LIST, K.MEMORY, K.SLUB, K.REFCOUNT, K.OTHER, K.ODEBUG, K.OOPS})
DYING = BUGGY | {K.KASAN, K.UBSAN}
# What comes before the line that says how the kernel dies.
FAULTED = frozenset({K.OOPS, K.BUG, K.KASAN, K.LIST})
# What a WARN() may be about: its text comes first.
WARNED = frozenset({K.REFCOUNT, K.LIST, K.ODEBUG, K.LOCKDEP, K.OTHER, K.ATOMIC, K.MEMORY})
# Where a WARN()'s own text comes after its first line, it comes at once.
AFTER_WARNING = 3
# So many lines SLUB prints of an object: where it was allocated and freed, and its bytes.
SLUB_REPORT = 120
# So many lines kmemleak prints of an object.
LEAK_REPORT = 30
NOTE = Severity.NOTE
COVERAGE = Severity.COVERAGE
TRACE_ONLY = (Source.TRACE,)
LINE_FIRST = (Source.LINE, Source.TRACE)
NAMED_FIRST = (Source.NAMED, Source.TRACE)
# A lock taken by infrastructure says little; where it was taken first says more.
LOCK_PLACES = (Source.NAMED, Source.EARLY, Source.TRACE)
STALLED_AT = (Source.BELOW_DISPATCHER, Source.NAMED, Source.COUNTER, Source.TRACE)
# A check of the kernel's own, lockdep's among them.
CHECKED = (*INFRASTRUCTURE, LOCKS, WAITS, SOCKET_LOCKS)
# Of a deadlock the report itself says where: that may well be a wait for work, or for a socket.
LOCKERS = (*INFRASTRUCTURE, LOCKS, WORK_LOCKS)
GENERAL = (*INFRASTRUCTURE, LOCKS, WAITS)
AS_IT_SAYS: tuple[Family, ...] = ()
ASLEEP = (*GENERAL, SLEEPS)
STALLED = (*GENERAL, SCHEDULING, TICKS)
HUNG_AT = (Source.COMMON, Source.TRACE)
WORK = re.compile(rf"Workqueue: \S+ (?P<function>{NAME})")
NOWHERE: tuple[Source, ...] = ()
WATCHDOG = r"(?:(?:NMI )?watchdog: |rcu: )?"
LOCK_REPORT = r"(?:\[ )?(?:INFO|WARNING|BUG): (?:\[ )?"

TRAPS = (
    "general protection fault|divide error|invalid opcode|stack segment|int3|synchronous [a-z ]+"
    "|Kernel access of bad area|Exception in kernel mode|Machine check"
)

OOPSES = (
    # Until v4.5 some had other words.
    Pattern(
        kind=K.KASAN,
        line=re.compile(rf"BUG: KASan: use after free in {FUNCTION}"),
        title="KASAN: use-after-free",
        sources=LINE_FIRST,
        detail=re.compile(r"(?P<detail>Read|Write) of size"),
    ),
    Pattern(
        kind=K.KASAN,
        line=re.compile(rf"BUG: KASan: out of bounds (?:access|on stack) in {FUNCTION}"),
        title="KASAN: out-of-bounds",
        sources=LINE_FIRST,
        detail=re.compile(r"(?P<detail>Read|Write) of size"),
    ),
    Pattern(
        kind=K.KASAN,
        line=re.compile(rf"{KASAN}{OUTER}(?:double-free or )?(?P<bug>(?:invalid|double)-free) in {FUNCTION}"),
        title="KASAN: {bug}",
        sources=LINE_FIRST,
        skip=(*GENERAL, FREEING),
    ),
    Pattern(
        kind=K.KASAN,
        # Older kernels write "double-free or invalid-free", and "on address" for wild accesses.
        line=re.compile(
            rf"{KASAN}{OUTER}(?:double-free or )?(?P<bug>[\w-]+(?: [a-z]+)*?) (?:in {FUNCTION}|(?:on|at) .*)"
        ),
        title="KASAN: {bug}",
        sources=LINE_FIRST,
        detail=re.compile(r"(?P<detail>Read|Write) (?:of size|at addr)"),
    ),
    Pattern(kind=K.KASAN, line=re.compile(rf"{KASAN}{OUTER}(?P<bug>\S+)"), title="KASAN: {bug}", sources=TRACE_ONLY),
    Pattern(
        kind=K.KASAN,
        line=re.compile(r"KASAN: (?:probably |maybe )?(?P<bug>[\w-]+) in range"),
        title="KASAN: {bug}",
        follows=frozenset({K.OOPS, K.KASAN}),
    ),
    Pattern(
        kind=K.KCSAN,
        line=re.compile(rf"BUG: KCSAN: {OUTER}(?P<bug>[\w :-]+) in {FUNCTION}(?: / (?P<other>{NAME}))?"),
        title="KCSAN: {bug}",
        sources=(Source.LINE,),
        skip=(),
        # Both accesses have a stack, and either may be the one that is wrong.
        part=re.compile(
            r"(?:race at unknown origin, with )?(?:read|write|assert no|read-write)\b.* to 0x[0-9a-f]+ of \d+ bytes by "
        ),
    ),
    Pattern(
        kind=K.KFENCE,
        line=re.compile(rf"BUG: KFENCE: {OUTER}(?P<bug>[\w -]+) in {FUNCTION}"),
        title="KFENCE: {bug}",
        sources=LINE_FIRST,
        bare_trace=True,
    ),
    Pattern(
        kind=K.KMSAN,
        line=re.compile(rf"BUG: KMSAN: {OUTER}(?P<bug>[\w-]+) in {FUNCTION}"),
        title="KMSAN: {bug}",
        sources=LINE_FIRST,
        skip=(*GENERAL, UNINITIALISED, TRANSFERS),
        bare_trace=True,
    ),
    Pattern(
        kind=K.UBSAN,
        line=re.compile(r"UBSAN: Undefined behaviour in \S+"),  # until v5.6
        title="UBSAN: undefined-behaviour",
        sources=TRACE_ONLY,
    ),
    Pattern(
        kind=K.UBSAN,
        line=re.compile(rf"UBSAN: (?P<bug>[\w /-]+?) at {FUNCTION}"),  # trap mode, x86
        title="UBSAN: {bug}",
        sources=LINE_FIRST,
    ),
    Pattern(
        kind=K.UBSAN,
        line=re.compile(r"UBSAN: (?P<bug>[\w -]+?) in \S+:\d"),
        title="UBSAN: {bug}",
        sources=TRACE_ONLY,
    ),
    # x86 and arm64 name the same fault differently; one title for both.
    Pattern(
        kind=K.OOPS,
        line=re.compile(
            r"BUG: (?:unable to handle )?(?:[Kk]ernel )?NULL pointer dereference(?:[,:.]| at| on|$)"
            r"|(?:CPU \d+ )?Unable to handle kernel NULL pointer"
        ),
        title="BUG: unable to handle kernel NULL pointer dereference",
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(
            r"BUG: (?:unable to handle (?:kernel )?(?:paging request|page fault)(?:[,:.]| at| for|$)"
            r"|Unable to handle kernel data access)"
            r"|(?:CPU \d+ )?Unable to handle kernel"
            r" (?:paging request|write to read-only|read from unreadable|execut\w+ from)"
        ),
        title="BUG: unable to handle kernel paging request",
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"(?:BUG: )?[Uu]nable to handle kernel (?P<what>access to user memory)"),
        title="BUG: unable to handle kernel {what}",
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(
            r"(?:BUG: |CPU \d+ )?[Uu]nable to handle kernel"
            r"(?:$|\b.*(?: at |address|dereference in virtual|unaligned|fetch))"
        ),
        title="BUG: unable to handle kernel access",
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"BUG: (?:\w+ )?stack guard page was hit"),
        title="BUG: stack guard page was hit",
        sources=(Source.BELOW_DISPATCHER, Source.TRACE),
        skip=(*INFRASTRUCTURE, LOCKS, TICKS),
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(
            r"Insufficient stack space to handle exception|[Kk]ernel stack overflow(?: \(| in process |[.!]?$)"
        ),
        title="kernel stack overflow",
        sources=(Source.BELOW_DISPATCHER, Source.TRACE),
        follows=frozenset({K.OOPS}),
        skip=(*INFRASTRUCTURE, LOCKS, TICKS),
    ),
    # The panic comes last, behind all registers, and has the trace.
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"Kernel panic - not syncing: [Kk]ernel stack overflow"),
        title="kernel stack overflow",
        sources=(Source.BELOW_DISPATCHER, Source.TRACE),
        follows=frozenset({K.OOPS}),
        within=60,
        skip=(*INFRASTRUCTURE, LOCKS, TICKS),
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"(?:traps: )?PANIC: double fault"),
        title="PANIC: double fault",
        follows=frozenset({K.OOPS}),
        skip=(*INFRASTRUCTURE, LOCKS),
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(
            r"(?:Oops: )?(?P<what>general protection fault|divide error|segment not present|invalid TSS"
            r"|alignment check|int3|control protection exception|coprocessor segment overrun)"
            # People cut off the code and the number.
            r"(?:(?:,? (?:probably |maybe )?for [\w -]+ \S+)?: [0-9a-f]{4} \[#"
            r"|,? (?:probably |maybe )?for [\w -]+ address 0x[0-9a-f]+(?:: [0-9a-f]{4}|=)?$"
            # A mail breaks the line somewhere before.
            r"|,? (?:probably|maybe) for(?: [\w-]+(?: address)?)?=?$)"
        ),
        title="{what}",
        follows=frozenset({K.KASAN}),
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"(?:Oops: )?stack segment: [0-9a-f]{4} \[#"),
        title="stack segment fault",
        follows=frozenset({K.KASAN}),
    ),
    # arm64's word for an access of a program's: the exception came from user space, says its syndrome.
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"Unhandled fault: .* \(0x[89]2[0-9a-f]{6}\) at "),
        title="Unhandled fault of a program",
        severity=NOTE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"(?:8<--- cut here ---)?(?P<what>Unhandled (?:fault|prefetch abort)|SError Interrupt on CPU)"),
        title="{what}",
        follows=frozenset({K.OOPS}),
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"(?P<what>Bad mode in \w+ ?\w* handler) detected"),
        title="{what}",
        follows=frozenset({K.OOPS}),
    ),
    Pattern(kind=K.OOPS, line=re.compile(r"(?P<what>PANIC: early exception) 0x"), title="{what}"),
    # v5.8's spelling.
    Pattern(kind=K.OOPS, line=re.compile(r"divide_error: [0-9a-f]{4} \[#"), title="divide error"),
    # 32-bit arm; of a program's accesses it says which program.
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"(?P<what>Alignment trap): not handling instruction"),
        title="{what}",
        follows=frozenset({K.OOPS}),
    ),
    Pattern(
        kind=K.UBSAN,
        line=re.compile(r"Internal error: UBSAN: (?P<bug>[\w /-]+):"),  # trap mode, arm64
        title="UBSAN: {bug}",
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(rf"(?:traps: )?(?P<what>Missing ENDBR|CFI failure)(?: at|:) {FUNCTION}"),
        title="{what}",
        sources=LINE_FIRST,
    ),
    # Since v6.10 x86 puts "Oops: " before its words: "Oops: Bad pagetable: 000c [#1] SMP".
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"Oops: (?P<what>[A-Z]?[a-z]+(?: [a-z]+){1,5}): [0-9a-f]{4} \[#"),
        title="{what}",
        follows=DYING,
    ),
    # riscv: "Oops - store (or AMO) access fault [#1]".
    # No pattern of a frequent head looks ahead: the guest's regex(3) can't.
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"(?P<what>Oops - [a-z]+(?: [a-z]+| \(or AMO\)){0,4}) ?\[#(?:\d|$)"),
        title="{what}",
        follows=FAULTED,
    ),
    # "Internal error: " is arm64's "Oops: "; both come second where the fault has a line of its own.
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"Internal error: (?:Oops - BUG|Oops - Undefined|BRK)|(?:Oops: )?invalid opcode: [0-9a-f]{4}"),
        title="invalid opcode",
        follows=DYING,
    ),
    Pattern(
        kind=K.OOPS,
        # Programs write both words, too: an oops has its number, or what stands before that.
        line=re.compile(
            r"(?P<what>Internal error|Oops|stack guard page)(?:\b.*\[#(?:\d|$)"
            rf"|: (?:[0-9a-f]{{4,16}}|Oops(?: - [\w ]+)?: [0-9a-f]+|[\w -]*: [0-9a-f]{{8,16}}|{TRAPS})(?:,| [A-Z]|$))"
        ),
        title="{what}",
        follows=FAULTED,
    ),
    # What any other arch says when it dies: "illegal operation: 0001 ilc:1 [#1]", "Kernel bug detected[#1]:",
    # "do_cpu invoked from kernel context![#1]:".
    Pattern(
        kind=K.OOPS,
        line=re.compile(
            r"(?P<what>[A-Z]?[a-z]+(?:[ -][a-z]+){0,5}(?=: [0-9a-f]{4}(?: ilc:\d)? \[#\d)"
            r"|(?:Kernel|Unhandled kernel|Reserved instruction|Break instruction)(?: [A-Za-z]+){1,4}(?= ?\[#\d+\]:?$)"
            r"|do_\w+ invoked from kernel context(?=!? ?\[#\d+\]:?$))"
        ),
        title="{what}",
        follows=DYING | {K.WARNING},
    ),
    Pattern(
        kind=K.OOPS,
        line=re.compile(r"unchecked MSR access error"),
        title="unchecked MSR access error",
        named=re.compile(rf".*rIP: \S+ \((?P<function>{NAME})"),
        sources=NAMED_FIRST,
    ),
)

OBJECTS = (
    Pattern(
        kind=K.LIST,
        line=re.compile(r"(?:list_(?:add|del)|hlist_\w+|plist_\w+|llist_\w+) corruption"),
        title="BUG: corrupted list",
        # Until v4.9 a WARNING came before its text.
        follows=frozenset({K.WARNING}),
        within=AFTER_WARNING,
        # The program counter is the checker's own.
        sources=TRACE_ONLY,
    ),
    Pattern(
        kind=K.REFCOUNT,
        line=re.compile(r"refcount_t: "),
        title="WARNING: refcount bug",
        follows=frozenset({K.WARNING}),
        within=AFTER_WARNING,
    ),
    Pattern(
        kind=K.REFCOUNT,
        line=re.compile(r"(?:\w+: )?percpu ref \((?P<release>\w+)\) <= 0"),
        title="WARNING: percpu ref ({release}) <= 0",
        sources=NOWHERE,
        follows=frozenset({K.REFCOUNT, K.WARNING}),
        within=AFTER_WARNING,
    ),
    Pattern(
        kind=K.REFCOUNT,
        line=re.compile(r"(?:\w+: )?percpu_ref_switch_to_atomic_rcu\(\): percpu_ref underflow"),
        title="WARNING: percpu_ref underflow",
        sources=NOWHERE,
        follows=frozenset({K.REFCOUNT, K.WARNING}),
        within=AFTER_WARNING,
    ),
    Pattern(
        kind=K.ODEBUG,
        line=re.compile(r"ODEBUG: (?!selftest|Out of memory)"),
        title="WARNING: ODEBUG bug",
        skip=(*GENERAL, OBJECT_USERS),
        follows=frozenset({K.WARNING}),
        within=AFTER_WARNING,
    ),
    Pattern(
        kind=K.SLUB,
        # KASAN reports through the same printer, in small letters, and has said it all before.
        # Until v5.8 a cache had the name of its cgroup behind its own: "dentry(33:system.slice)".
        line=re.compile(r"BUG (?P<cache>[\w:.-]+)(?:\(\S*\))? \(.*\): (?P<what>[A-Z][\w ]+)"),
        title="BUG: slab {cache}: {what}",
        sources=TRACE_ONLY,
    ),
    # Since v6.16 a report of SLUB's ends with a WARN(), below the bytes of the object.
    Pattern(
        kind=K.WARNING,
        line=re.compile(
            rf"WARNING: {OUTER}(?:CPU: \d+ PID: -?\d+ at |(?:\[.*\] )?)(?P<file>\S*mm/slub\.c):\d+ (?:at )?{FUNCTION}"
        ),
        title="WARNING",
        sources=(Source.LINE, Source.COUNTER, Source.TRACE),
        follows=frozenset({K.SLUB}),
        within=SLUB_REPORT,
    ),
    # Since v5.17 it is a WARN().
    Pattern(
        kind=K.SLUB,
        line=re.compile(r"kmem_cache_destroy (?P<cache>[\w:.-]+): (?P<what>Slab cache still has objects)$"),
        title="BUG: slab {cache}: {what}",
        sources=TRACE_ONLY,
    ),
    # The SLAB allocator, until v6.7.
    Pattern(
        kind=K.SLUB,
        line=re.compile(r"Slab corruption \(.*\): (?P<cache>\S+) start="),
        title="BUG: slab {cache}: corruption",
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.SLUB,
        line=re.compile(r"slab error in \w+\(\): cache `(?P<cache>[^']+)': (?P<what>\S.*)"),
        title="BUG: slab {cache}: {what}",
        sources=TRACE_ONLY,
        skip=(*GENERAL, FREEING),
    ),
    Pattern(
        kind=K.SLUB,
        line=re.compile(rf"INFO: (?P<what>Allocated|Freed) in (?:{ADDRESS})*(?P<owner>{NAME})(?:{OFFSET})? age="),
        title="INFO: {what} in {owner}",
        sources=NOWHERE,
        follows=frozenset({K.SLUB, K.KASAN}),
    ),
    Pattern(
        kind=K.MEMORY,
        line=re.compile(r"BUG: (?P<what>Bad (?:page (?:state|map|cache)|swap file entry))"),
        title="BUG: {what}",
        alone=True,
        # With page_owner=on, whose page it was comes first: who freed it last may be anybody.
        sources=(Source.EARLY, Source.TRACE),
        skip=(*GENERAL, PAGE_CACHE),
    ),
    Pattern(
        kind=K.MEMORY,
        line=re.compile(r"BUG: (?P<what>Bad rss-counter state|non-zero (?:pgtables_bytes|nr_p[tmu]\w+))"),
        title="BUG: {what}",
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.MEMORY,
        # A line for each entry, without a trace: "mm/pgtable-generic.c:54: bad pmd 00000000f7f1d68a(80000002e03009e2)".
        line=re.compile(r"\S+\.[ch]:\d+: (?P<what>bad p(?:[mgu4]d|te)) [(0-9a-f]"),
        title="BUG: {what}",
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.MEMORY,
        line=re.compile(r"(?P<what>corrupted stack end detected|BUG: Bad page\b)"),
        title="{what}",
        sources=TRACE_ONLY,
    ),
    Pattern(
        kind=K.MEMORY,
        # One line without a trace: a trace that the same task prints next is of the fault that it retries.
        line=re.compile(r"(?P<what>Huh VM_FAULT_OOM leaked)"),
        title="{what}",
        sources=NOWHERE,
    ),
    # A BUG() or WARN() that dumps its page first.
    Pattern(
        kind=K.BUG,
        line=re.compile(r"page dumped because: (?P<what>VM_BUG_ON\w*)"),
        title="{what}",
        follows=frozenset({K.MEMORY, K.KASAN}),
        skip=(*GENERAL, BUFFERS),
    ),
    Pattern(
        kind=K.MEMORY,
        given=K.WARNING,
        line=re.compile(r"page dumped because: (?P<what>VM_WARN_ON\w*)"),
        title="{what}",
        follows=frozenset({K.MEMORY, K.KASAN}),
    ),
    Pattern(
        kind=K.MEMORY,
        line=re.compile(r"(?P<what>pagealloc: (?:memory corruption|single bit error))"),
        title="{what}",
        sources=TRACE_ONLY,
        skip=(*GENERAL, PAGE_CACHE),
    ),
    Pattern(
        kind=K.MEMORY,
        # Until v5.16 also a WARN()'s text.
        line=re.compile(
            r"(?:usercopy:|Bad or missing usercopy whitelist\?) [Kk]ernel memory (?:over\w+|exposure) attempt"
        ),
        title="BUG: bad usercopy",
    ),
    Pattern(
        kind=K.SWAP,
        line=re.compile(rf"(?:{NAME}: )?(?P<what>(?:Bad|Unused) swap (?:file|offset) entry) [0-9a-f]"),
        title="{what}",
        sources=(Source.LINE,),
    ),
    Pattern(
        kind=K.SWAP,
        line=re.compile(
            r"(?:zswap: )?(?P<what>(?:Read|Write)-error on swap-device|Decompression error from zswap"
            r"|zram: Decompression failed)"
        ),
        title="{what}",
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.LEAK,
        line=re.compile(r"BUG: memory leak *$"),
        title="memory leak",
        sources=TRACE_ONLY,
        skip=(*GENERAL, CONSTRUCTORS),
    ),
    # What /sys/kernel/debug/kmemleak has of an object; the console with kmemleak.verbose=1.
    Pattern(
        kind=K.LEAK,
        line=re.compile(r"(?:kmemleak: )?unreferenced object (?:\(percpu\) )?0x[0-9a-f]+ \(size \d+\):"),
        title="memory leak",
        sources=TRACE_ONLY,
        skip=(*GENERAL, CONSTRUCTORS),
        follows=frozenset({K.LEAK}),
        within=AFTER_WARNING,
    ),
    Pattern(
        kind=K.LEAK,
        line=re.compile(r"kmemleak: \d+ new suspected memory leaks"),
        title="memory leak",
        sources=NOWHERE,
        # With kmemleak.verbose the objects come first.
        follows=frozenset({K.LEAK}),
        within=LEAK_REPORT,
    ),
)

LOCKING = (
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(LOCK_REPORT + r"possible circular locking"),
        title="possible deadlock",
        sources=LOCK_PLACES,
        named=AT_FUNCTION,
        names=2,
        skip=GENERAL,
        named_skip=LOCKERS,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(LOCK_REPORT + r"possible (?:recursive locking|irq lock inversion)"),
        title="possible deadlock",
        sources=LOCK_PLACES,
        named=AT_FUNCTION,
        skip=CHECKED,
        named_skip=AS_IT_SAYS,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(LOCK_REPORT + r"\S+-safe -> \S+-unsafe lock order"),
        title="possible deadlock",
        # What interrupts do with the lock comes first; that is the half of the bug that is always the same.
        sources=(Source.EARLY, Source.TRACE),
        skip=GENERAL,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(LOCK_REPORT + r"[Nn]ested lock was not taken"),
        title="WARNING: nested lock was not taken",
        sources=NAMED_FIRST,
        named=AT_FUNCTION,
        skip=CHECKED,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(r"(?:\[ )?BUG: held lock freed"),  # until v4.18
        title="BUG: held lock freed",
        sources=NAMED_FIRST,
        named=AT_FUNCTION,
        skip=CHECKED,
        named_skip=AS_IT_SAYS,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(LOCK_REPORT + r"inconsistent lock state"),
        title="inconsistent lock state",
        sources=(Source.TRACE, Source.NAMED),
        named=AT_FUNCTION,
        skip=GENERAL,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(LOCK_REPORT + r"(?P<what>bad (?:unlock balance|contention)) detected"),
        title="WARNING: {what}",
        sources=NAMED_FIRST,
        named=AT_FUNCTION,
        skip=GENERAL,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(LOCK_REPORT + r"(?P<what>held lock freed|[Ii]nvalid wait context)"),
        title="WARNING: {what}",
        sources=NAMED_FIRST,
        named=AT_FUNCTION,
        skip=CHECKED,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(
            LOCK_REPORT
            + r"(?:\S+/\d+ )?(?P<what>(?:still has )locks held|lock held (?:when returning to user space|at task exit))"
        ),
        title="WARNING: {what}",
        sources=(Source.NAMED,),
        named=AT_FUNCTION,
        skip=CHECKED,
        named_skip=AS_IT_SAYS,
    ),
    Pattern(
        kind=K.RCU,
        line=re.compile(LOCK_REPORT + r"suspicious RCU usage[.!]?(?: \]|$)"),
        title="WARNING: suspicious RCU usage",
        sources=TRACE_ONLY,
        skip=(*GENERAL, RCU),
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(r"(?:INFO: )?trying to register non-static key"),
        title="INFO: trying to register non-static key",
        sources=TRACE_ONLY,
        skip=(*CHECKED, KEYED),
    ),
    Pattern(
        kind=K.LOCKDEP,
        # A lock in memory that lockdep does not know; DEBUG_LOCKS_WARN_ON(1) comes next.
        line=re.compile(r"BUG: key \S+ (?P<what>has not been registered|not in \.data)"),
        title="BUG: key {what}",
        skip=(*CHECKED, SYSFS),
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(r"BUG: (?P<what>looking up invalid subclass)"),
        title="BUG: {what}",
        sources=TRACE_ONLY,
        skip=(*CHECKED, LOCKISH),
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(r"DEBUG_LOCKS_WARN_ON\("),
        title="WARNING: locking bug",
        follows=frozenset({K.WARNING, K.LOCKDEP}),
        within=AFTER_WARNING,
        skip=CHECKED,
    ),
    # Checks that switch themselves off: what comes later was not looked for.
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(r"(?P<what>BUG: MAX_\w+ too low!)"),
        title="{what} (lockdep is off)",
        severity=COVERAGE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(r"turning off the locking correctness validator"),
        title="lockdep is off",
        severity=COVERAGE,
        sources=NOWHERE,
        follows=frozenset({K.LOCKDEP}),
    ),
    Pattern(
        kind=K.LEAK,
        line=re.compile(r"kmemleak: (?:Kernel memory leak detector disabled|Automatic memory scanning thread ended)"),
        title="kmemleak is off",
        severity=COVERAGE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.ODEBUG,
        line=re.compile(r"ODEBUG: Out of memory\. ODEBUG disabled"),
        title="debugobjects is off",
        severity=COVERAGE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.ATOMIC,
        line=re.compile(
            r"BUG: (?P<what>sleeping function called from invalid context|scheduling while atomic)(?:[,:.]| at|$)"
        ),
        title="BUG: {what}",
        sources=TRACE_ONLY,
        skip=(*GENERAL, SCHEDULING),
    ),
    Pattern(
        kind=K.ATOMIC,
        line=re.compile(r"BUG: (?P<what>assuming (?:atomic|non migratable) context) at "),
        title="BUG: {what}",
        sources=TRACE_ONLY,
    ),
    Pattern(
        kind=K.ATOMIC,
        line=re.compile(r"(?:BUG: )?using (?P<what>[\w]+\(?\)?) in preemptible \["),
        title="BUG: using {what} in preemptible code",
        sources=TRACE_ONLY,
        skip=(*GENERAL, PREEMPTION),
    ),
    Pattern(
        kind=K.ATOMIC,
        line=re.compile(r"BUG: workqueue leaked (?:lock or atomic|atomic)"),
        title="BUG: workqueue leaked lock or atomic",
        sources=NAMED_FIRST,
        named=re.compile(rf"\s*(?:last function: |preempt=.* workfn=)(?P<function>{NAME})"),
    ),
    Pattern(
        kind=K.ATOMIC,
        line=re.compile(
            r"bad: scheduling from the idle thread|(?:Voluntary context|Illegal context) switch within RCU"
        ),
        title="BUG: scheduling where it is not allowed",
        sources=TRACE_ONLY,
        skip=(*GENERAL, SCHEDULING),
    ),
    Pattern(
        kind=K.LOCKDEP,
        line=re.compile(r"BUG: (?P<what>(?:spinlock|rwlock|rtmutex|mutex) (?!lockup)[A-Za-z -]+?),? on CPU#"),
        title="BUG: {what}",
        sources=TRACE_ONLY,
        skip=(*CHECKED, LOCKISH),
    ),
)

STALLS = (
    Pattern(
        kind=K.HANG,
        line=re.compile(r"INFO: task .{0,64}:\d+ blocked (?:in I/O wait )?for more than \d+ seconds"),
        title="INFO: task hung",
        sources=HUNG_AT,
        skip=ASLEEP,
    ),
    Pattern(
        kind=K.HANG,
        line=re.compile(r"INFO: task .{0,64}:\d+ can't die for more than \d+ seconds"),
        title="INFO: task can't die",
        sources=TRACE_ONLY,
        skip=(*GENERAL, SCHEDULING),
    ),
    # A name with line breaks in it tears the line apart.
    Pattern(
        kind=K.HANG,
        line=re.compile(r".{0,15}:\d+ blocked for more than \d+ seconds\.$"),
        behind=re.compile(r"INFO: task (?!.*\bblocked\b)"),
        title="INFO: task hung",
        sources=HUNG_AT,
        skip=ASLEEP,
        follows=frozenset({K.HANG}),
    ),
    Pattern(
        kind=K.STALL,
        line=re.compile(
            WATCHDOG + r"INFO: rcu\w*(?: self-detected stall| detected (?:expedited )?stalls?)(?:[,:.]| on| \{|$)"
            # A mail breaks the line.
            r"|(?:rcu: )?INFO: rcu_\w+(?: self-detected| detected(?: expedited)?)?=?$"
        ),
        title="INFO: rcu detected stall",
        sources=STALLED_AT,
        named=WORK,
        skip=STALLED,
        dispatchers=(DISPATCHERS, MULTIPLEXERS),
        follows=frozenset({K.STALL}),
        all_callers=True,
    ),
    Pattern(
        kind=K.STALL,
        line=re.compile(r"(?:rcu: )?rcu_\w+ kthread (?:starved|timer wakeup didn't happen) for"),
        title="rcu kthread starved",
        sources=STALLED_AT,
        named=WORK,
        skip=STALLED,
        dispatchers=(DISPATCHERS, MULTIPLEXERS),
        follows=frozenset({K.STALL}),
        all_callers=True,
    ),
    Pattern(
        kind=K.LOCKUP,
        line=re.compile(WATCHDOG + r"BUG ?: soft lockup(?:[,:.]| -|$)"),
        title="BUG: soft lockup",
        sources=STALLED_AT,
        named=WORK,
        skip=STALLED,
        dispatchers=(DISPATCHERS, MULTIPLEXERS),
        all_callers=True,
    ),
    # Who waits for the lock is told by the trace, as for any other splat about a lock.
    Pattern(
        kind=K.LOCKUP,
        line=re.compile(r"BUG: (?P<what>(?:spin|rw)lock lockup)"),
        title="BUG: {what}",
        sources=TRACE_ONLY,
        skip=(*GENERAL, LOCKISH),
    ),
    Pattern(
        kind=K.LOCKUP,
        # CONFIG_CSD_LOCK_WAIT_DEBUG: a CPU does not take what another one sent it.
        line=re.compile(r"(?:smp: )?csd: (?:Detected|Continued) non-responsive CSD lock"),
        title="non-responsive CSD lock",
        sources=STALLED_AT,
        named=WORK,
        skip=STALLED,
        follows=frozenset({K.LOCKUP}),
        all_callers=True,
    ),
    Pattern(kind=K.LOCKUP, line=re.compile(r"BUG: workqueue lockup"), title="BUG: workqueue lockup", sources=NOWHERE),
    Pattern(
        kind=K.LOCKUP,
        line=re.compile(
            WATCHDOG
            + r"(?:(?:Watchdog )?CPU[ :]?\d+:? )?(?:Watchdog detected hard|(?:self-)?detected [Hh]ard|Hard) LOCKUP"
        ),
        title="hard lockup",
        sources=STALLED_AT,
        named=WORK,
        skip=STALLED,
        all_callers=True,
    ),
)

ENDINGS = (
    Pattern(
        kind=K.PANIC,
        # Whose stack it is the line says, whatever that function does for others; without symbols the trace tells.
        line=re.compile(
            rf"Kernel panic - not syncing: (?:stack-protector: )?Kernel stack is corrupted in: {FUNCTION}\+"
        ),
        title="kernel panic: stack is corrupted",
        sources=(Source.LINE,),
        skip=AS_IT_SAYS,
    ),
    Pattern(
        kind=K.PANIC,
        line=re.compile(r"Kernel panic - not syncing: (?:stack-protector: )?Kernel stack is corrupted in: "),
        title="kernel panic: stack is corrupted",
        sources=TRACE_ONLY,
    ),
    Pattern(
        kind=K.PANIC,
        line=re.compile(r"Kernel panic - not syncing: corrupted stack end"),
        title="kernel panic: corrupted stack end",
        sources=(Source.BELOW_DISPATCHER, Source.TRACE),
    ),
    Pattern(
        kind=K.BUG,
        line=re.compile(r"kernel BUG at (?P<file>\S+):\d+"),
        title="kernel BUG",
        skip=(*GENERAL, BUFFERS),
        # A panic of Rust's ends in a BUG().
        follows=BUGGY,
    ),
    Pattern(
        kind=K.BUG,
        # Without CONFIG_DEBUG_BUGVERBOSE; the function that it names may be the next one.
        line=re.compile(rf"Kernel BUG at (?:{NAME}{OFFSET}|\[?<?[0-9a-f]{{8,16}})"),
        title="kernel BUG",
        skip=(*GENERAL, BUFFERS),
        follows=BUGGY,
    ),
    Pattern(
        kind=K.PANIC,
        line=re.compile(r"Kernel panic - not syncing: (?P<why>.*?)(?:,? exitcode=.*|: \S+\+0x.*| in: .*| \.\.\.)?$"),
        title="kernel panic: {why}",
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.WARNING,
        # Since v6.19 the condition and the file come first, and then " at " and the function.
        line=re.compile(
            rf"WARNING: {OUTER}(?:CPU: \d+ PID: -?\d+ at (?P<file>\S+?):\d+ {FUNCTION}"
            rf"|(?:\[.*\] )?(?:(?P<path>[\w./+-]+):\d+ )?at"
            rf" (?:0x0|(?:{ADDRESS})*(?P<place>{NAME})(?:{OFFSET}|{DECODED})))"
        ),
        title="WARNING",
        sources=(Source.LINE, Source.COUNTER, Source.TRACE),
        follows=WARNED,
        skip=(*GENERAL, TRANSFERS),
    ),
    # Of a kernel or a trap that knows no file: a CFI failure where those are only warned of.
    Pattern(
        kind=K.WARNING,
        line=re.compile(
            rf"WARNING: {OUTER}CPU: \d+ PID: -?\d+ at (?P<function>{NAME}){OFFSET}(?: \[[\w-]+\])?(?:\(\))?$"
        ),
        title="WARNING",
        sources=(Source.LINE, Source.COUNTER, Source.TRACE),
        follows=WARNED | {K.OOPS, K.UBSAN},
        within=AFTER_WARNING,
        skip=(*GENERAL, TRANSFERS),
    ),
    Pattern(
        kind=K.WARNING,
        # A log may end in the middle of the place, and a mail may break the line before it.
        line=re.compile(
            rf"WARNING: {OUTER}(?:CPU: \d+ PID: -?\d+ at (?P<file>\S+?)(?::\d+|:?$)"
            r"|(?:\[.*\] )?(?P<path>[\w./+-]+\.[chS]):\d+ at *$)"
        ),
        title="WARNING",
        follows=WARNED,
        skip=(*GENERAL, TRANSFERS),
    ),
    Pattern(
        kind=K.WARNING,
        line=re.compile(r"WARNING: (?P<what>kernel stack (?:regs|frame pointer)) at .* has bad (?:'\w+' )?value"),
        title="WARNING: {what} has bad value",
        sources=NOWHERE,
    ),
)

OTHERS = (
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"BUG: Dentry .* still in use .*\[unmount"),
        title="BUG: Dentry still in use in unmount",
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"proc_dir_entry '.*' already registered"),
        title="WARNING: proc registration bug",
        skip=(*GENERAL, PROC),
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"(?P<what>sysfs: cannot create duplicate filename)"),
        title="{what}",
        sources=TRACE_ONLY,
        skip=(*GENERAL, SYSFS),
        follows=frozenset({K.WARNING}),
        within=AFTER_WARNING,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"kobject_add_internal failed for .* (?:with -EEXIST|don't try)"),
        title="WARNING: kobject bug",
        follows=frozenset({K.OTHER}),
        within=60,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"unregister_netdevice: waiting for \S+ to become free"),
        title="unregister_netdevice: waiting for DEV to become free",
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(
            r"(?P<what>VFS: (?:Close: file count is (?:zero|0)(?: \([a-z -]+\))?|Busy inodes after unmount))"
        ),
        title="{what}",
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.BUG,
        line=re.compile(r"rust_kernel: panicked at "),
        title="rust panic:",
        sources=TRACE_ONLY,
        detail=re.compile(r"(?P<detail>(?!-+\[)\S.*)"),
    ),
    # ZFS stops a thread for ever at what it did not expect.
    Pattern(
        kind=K.BUG,
        line=re.compile(
            rf"PANIC at \S+:\d+:{FUNCTION}\(\)|SPLError: [\d:]+\(\S+:\d+:(?P<place>{NAME})\(\)\) SPL PANIC"
        ),
        title="SPL panic",
        sources=LINE_FIRST,
    ),
    Pattern(kind=K.BUG, line=re.compile(r"PANIC: (?P<why>\S.*)"), title="PANIC: {why}", sources=TRACE_ONLY, prose=True),
    Pattern(
        kind=K.PANIC,
        line=re.compile(r"(?:trusty|trusty_\w+): *(?:.* )?(?P<why>(?:panic|ASSERT FAILED)\b.*)"),
        title="trusty: {why}",
        sources=NOWHERE,
    ),
    Pattern(kind=K.BUG, line=re.compile(rf"BUG: {OUTER}(?P<what>\S.*)"), title="BUG: {what}", common=True),
    Pattern(
        kind=K.OTHER,
        # A kernel's own word for something odd. Boot has its share of harmless ones.
        line=re.compile(rf"WARNING: {OUTER}(?P<what>\S.*)"),
        title="WARNING: {what}",
        severity=NOTE,
        sources=TRACE_ONLY,
        prose=True,
    ),
    Pattern(
        kind=K.OTHER,
        # What a driver says of a device: "usb 5-1: WARNING: ...".
        line=re.compile(r"[\w-]+ (?=[\w.:-]*\d)[\w.:-]+: (?P<what>(?:WARNING|BUG): \S.*)"),
        title="{what}",
        severity=NOTE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"(?P<what>BUG|INFO|WARNING): *$"),
        title="{what}: cut short",
        severity=NOTE,
        sources=NOWHERE,
    ),
)

NOTES = (
    Pattern(
        kind=K.OTHER,
        # Asked for. It has a stack of its own, which must not become that of a report.
        line=re.compile(r"FAULT_INJECTION: forcing a failure"),
        title="injected failure",
        severity=NOTE,
        sources=NOWHERE,
        silent=True,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"(?P<what>Memory cgroup out of memory|Out of memory)(?: \(oom_kill_allocating_task\))?: Kill"),
        title="{what}",
        severity=NOTE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r".{1,40}: page allocation failure[:.] order:(?P<order>\d+)"),
        title="page allocation failure of order {order}",
        severity=NOTE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r".{1,40}: (?P<what>vmalloc: allocation failure|vmalloc error|page allocation stalls)\b"),
        title="{what}",
        severity=NOTE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"irq \d+: nobody cared"),
        title="an interrupt that no handler took",
        severity=NOTE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"workqueue: \w+ hogged CPU"),
        title="workqueue hogged a CPU",
        severity=NOTE,
        sources=NOWHERE,
    ),
    Pattern(
        kind=K.OTHER,
        line=re.compile(r"fatal error: \S|runtime: out of memory: |panic: runtime error|SYZFAIL: "),
        title="a user program's runtime gave up",
        severity=NOTE,
        sources=NOWHERE,
    ),
)

# The first that matches names the splat.
PATTERNS = (*OOPSES, *OBJECTS, *LOCKING, *STALLS, *ENDINGS, *OTHERS, *NOTES)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckPlace:
    """A file whose WARN_ON()s and BUG_ON()s are checks made for others: the bug has a better name than theirs."""

    file: re.Pattern[str]
    kind: CrashKind
    title: str
    function: re.Pattern[str] = re.compile("")  # what the first line names; some files hold checks of many sorts
    skip: tuple[Family, ...] = ()  # who else calls the check for others


CHECK_TITLES = ("WARNING", "kernel BUG")
CHECK_PLACES = (
    CheckPlace(
        file=re.compile(r".*lib/refcount\.c|.*linux/refcount\.h"), kind=K.REFCOUNT, title="WARNING: refcount bug"
    ),
    CheckPlace(file=re.compile(r".*lib/percpu-refcount\.c"), kind=K.REFCOUNT, title="WARNING: percpu ref bug"),
    CheckPlace(
        file=re.compile(r".*lib/debugobjects\.c"), kind=K.ODEBUG, title="WARNING: ODEBUG bug", skip=(OBJECT_USERS,)
    ),
    CheckPlace(file=re.compile(r".*lib/(?:list_debug|plist)\.c"), kind=K.LIST, title="BUG: corrupted list"),
    CheckPlace(
        file=re.compile(r".*kernel/locking/"), kind=K.LOCKDEP, title="WARNING: locking bug", skip=(SOCKET_LOCKS,)
    ),
    CheckPlace(file=re.compile(r".*lib/kobject\.c"), kind=K.WARNING, title="WARNING: kobject bug"),
    CheckPlace(file=re.compile(r".*mm/usercopy\.c"), kind=K.MEMORY, title="BUG: bad usercopy"),
    CheckPlace(
        file=re.compile(r".*mm/(?:slab_common|util)\.c"),
        kind=K.WARNING,
        title="WARNING: kmalloc bug",
        function=re.compile(r"_*k(?:v|z)?m?alloc\w*$"),
    ),
    CheckPlace(
        file=re.compile(r".*mm/vmalloc\.c"),
        kind=K.WARNING,
        title="WARNING: zero-size vmalloc",
        function=re.compile(r"__vmalloc_node_range"),
    ),
    CheckPlace(file=re.compile(r".*kernel/rcu/tree_plugin\.h"), kind=K.RCU, title="WARNING"),
)

# Each line that begins a report has one of these in it: plain words are what makes much text quick to search.
WORDS = (
    "BUG", "WARNING", "INFO:", "KASAN:", "UBSAN:", "nable to handle kernel", "Insufficient stack space",
    "ernel stack overflow", "PANIC: ", "PANIC at", "SPL PANIC", "general protection fault", "divide error",
    "stack segment", "segment not present", "invalid TSS", "alignment check", "int3", "control protection exception",
    "coprocessor segment overrun", "Unhandled fault", "Unhandled prefetch", "SError Interrupt on CPU", "Bad mode in",
    "Internal error",
    "Missing ENDBR", "CFI failure", "invalid opcode", "Oops", "stack guard page", "unchecked MSR access",
    " corruption", "refcount_t:", "percpu ref (", "percpu_ref underflow", "corrupted stack end",
    "VM_FAULT_OOM leaked", "page dumped because: VM_", "usercopy: ", "usercopy whitelist", "swap file entry",
    "swap offset entry", "error on swap-device", "Decompression ", "non-static key", "DEBUG_LOCKS_WARN_ON",
    "in preemptible", "bad: scheduling", "switch within RCU", "blocked for more than", "in I/O wait for more than",
    "die for more than",
    "kthread starved", "kthread timer wakeup", "CSD lock", "ard LOCKUP", "[#", "Kernel panic", "already registered",
    "kobject_add_internal", "unregister_netdevice: waiting", "duplicate filename", "unreferenced object",
    "slab error in", "VFS: Close", "VFS: Busy inodes", "panicked at",
    "trusty", "FAULT_INJECTION", "ut of memory", "page allocation failure", "page allocation stalls",
    "vmalloc: allocation failure", "vmalloc error", "pagealloc: ", "nobody cared", "hogged CPU",
    "fatal error: ", "panic: runtime", "SYZFAIL", "Linux version ", "Booting Linux on physical", "ODEBUG: ",
    "turning off the lock", "kmemleak: ", ": bad p", "still has objects",
    "Alignment trap", "divide_error", "SeaBIOS (version", "UEFI firmware (version", "U-Boot 20",
)  # fmt: skip

# The beginning of a boot: a splat where something ran before, which only its reader knows.
BOOT = re.compile(r"(?:Linux version |Booting Linux on physical CPU )")
FIRMWARE_BANNER = re.compile(r"SeaBIOS \(version |UEFI firmware \(version |U-Boot 20\d\d\.")
REBOOT = Pattern(kind=CrashKind.REBOOT, line=BOOT, title="unexpected kernel reboot", sources=())
# What a daemon keeps goes over many boots, most of which were asked for.
NEXT_BOOT = Pattern(
    kind=CrashKind.REBOOT, line=BOOT, title="the next boot in a daemon's log", severity=Severity.NOTE, sources=()
)
# The kernel's last words where user space asked for another boot.
RESTART = re.compile(r"reboot: (?:Restarting system|Power down|System halted)")
ASKED_BOOT = Pattern(
    kind=CrashKind.REBOOT, line=BOOT, title="a reboot that was asked for", severity=Severity.NOTE, sources=()
)
# Something ran before: a kernel without time stamps, perhaps, or just another program on the same line.
FIRMWARE = Pattern(
    kind=CrashKind.REBOOT, line=FIRMWARE_BANNER, title="unexpected kernel reboot", severity=Severity.NOTE, sources=()
)
