# SPDX-License-Identifier: GPL-2.0-or-later
"""The operators: a table. The first of two that make the same mutant has it, so the more telling ones come first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.kernel.mutants import conditions, exits, statements
from orchestrator.kernel.mutants.c_tree import Body
from orchestrator.kernel.mutants.changes import Change
from orchestrator.model.mutants import Operator

_TCG = "QEMU's TCG runs each CPU in order: stores and loads of a guest on x86_64 are seen as they are written"
# Of the hunks: see kernel/mutants/hunks.py. They need the source without the series as well.
OMIT_HUNK = Operator(
    name="omit-hunk",
    breaks="takes back one change of the series, and keeps the others",
    detector="whatever the series is for",
    example="`put_swap_entry(entry, si);` is again `if (shmem) put_swap_device(si);`",
)
RESTORE_GUARD = Operator(
    name="restore-guard",
    breaks="puts back a condition that the series removed",
    detector="hang after a leak; wrong data",
    example="`put(x);` becomes `if (shared) put(x);`",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """An operator, and what finds its places in a function."""

    operator: Operator
    changes: Callable[[Body], Iterator[Change]]


def _rule(changes: Callable[[Body], Iterator[Change]], name: str, breaks: str, detector: str, **more: str) -> Rule:
    example, invisible = more["example"], more.get("invisible", "")
    operator = Operator(name=name, breaks=breaks, detector=detector, example=example, invisible=invisible)
    return Rule(operator=operator, changes=changes)


RULES = (
    _rule(statements.release_dropped, "drop-release", "removes one release",
          "swapoff or unmount that hangs, kmemleak, lockdep", example="`folio_put(folio);` is removed"),
    _rule(exits.exit_without_release, "leak-on-exit", "makes one goto skip the release behind its label",
          "swapoff or unmount that hangs, kmemleak, lockdep", example="`goto out;` skips the put behind `out:`"),
    _rule(statements.pair_dropped, "drop-pair", "removes the protection between an acquire and its releases",
          "KASAN, KCSAN, crash: when a race is won",
          example="`if (!get(x)) return; use(x); put(x);` becomes `if (!get(x)) return; put(x); use(x);`"),
    _rule(statements.acquire_dropped, "drop-acquire", "removes an acquire, and keeps its release",
          "lockdep, refcount warning, KASAN", example="`spin_lock(&lock);` is removed"),
    _rule(statements.release_early, "release-early", "moves a release before the last use",
          "KASAN, crash: when a race is won", example="`use(x); put(x);` becomes `put(x); use(x);`"),
    _rule(statements.release_doubled, "double-release", "repeats a release",
          "refcount warning, KASAN, crash", example="`put(x);` becomes `put(x); put(x);`"),
    _rule(statements.locks_swapped, "swap-locks", "takes two locks in the other order",
          "lockdep, hang", example="`lock(a); lock(b);` becomes `lock(b); lock(a);`"),
    _rule(statements.interrupts_on, "irq-plain", "leaves interrupts on under a lock that interrupt handlers take",
          "lockdep, hang", example="`spin_lock_irqsave(&l, f);` becomes `spin_lock(&l);`, its unlock as well"),
    _rule(statements.order_weakened, "weaken-order", "removes or weakens a barrier, an atomic or a marked access",
          "KCSAN", example="`smp_store_release(&x, 1);` becomes `WRITE_ONCE(*(&x), 1);`", invisible=_TCG),
    _rule(conditions.sleeping_allocation, "sleeping-gfp", "lets an allocation sleep that must not",
          "might_sleep(), lockdep", example="`GFP_ATOMIC` becomes `GFP_KERNEL`"),
    _rule(conditions.recheck_dropped, "drop-recheck", "removes the first check under a lock",
          "KASAN, wrong data: when a race is won", example="`lock(l); if (gone) goto out;` never goes to `out`"),
    _rule(conditions.failure_ignored, "ignore-failure", "ignores that an acquire failed",
          "KASAN, crash: when it fails", example="`if (!tryget(x)) return;` never returns"),
    _rule(conditions.negated, "negate", "negates a condition",
          "wrong result, hang, crash", example="`if (x)` becomes `if (!(x))`"),
    _rule(conditions.forced_false, "never", "never takes a branch, or never runs a loop",
          "wrong result, crash: when the branch is due", example="`if (x)` becomes `if (0)`"),
    _rule(conditions.forced_true, "always", "always takes a branch",
          "wrong result, crash", example="`if (x)` becomes `if (1)`"),
    _rule(conditions.off_by_one, "off-by-one", "moves a bound by one",
          "KASAN, wrong data at the bound", example="`i < n` becomes `i <= n`"),
    _rule(conditions.wrong_error, "wrong-errno", "returns another error, or success",
          "the workload's own check of errno", example="`return -EAGAIN;` becomes `return -EBUSY;`, or `return 0;`"),
    _rule(conditions.flipped_result, "flip-bool", "returns or stores true for false, or false for true",
          "wrong result, double release", example="`pinned = false;` becomes `pinned = true;`"),
    _rule(exits.goto_swapped, "swap-goto", "makes a goto lead to a neighbouring label",
          "hang after a leak, double release", example="`goto out_unlock;` becomes `goto out_put;`"),
    _rule(exits.retry_dropped, "drop-retry", "removes a goto that retries, or a continue",
          "wrong result, crash", example="`goto retry;` is removed"),
    _rule(statements.reschedule_dropped, "drop-resched", "removes a cond_resched()",
          "soft lockup, RCU stall", example="`cond_resched();` is removed"),
    _rule(statements.assignment_dropped, "drop-assignment", "removes an assignment",
          "wrong result, wrong data", example="`pinned = false;` is removed"),
    _rule(statements.call_dropped, "drop-call", "removes a call that neither acquires nor releases",
          "wrong result, wrong data", example="`folio_mark_dirty(folio);` is removed"),
)  # fmt: skip
OPERATORS = (*(rule.operator for rule in RULES), RESTORE_GUARD, OMIT_HUNK)
