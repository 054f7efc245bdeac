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
    breaks="one change of the series is not there; all others are",
    detector="whatever the series is for",
    example="`put_swap_entry(entry, si);` is again `if (shmem) put_swap_device(si);`",
)
RESTORE_GUARD = Operator(
    name="restore-guard",
    breaks="a condition that the series took away still decides over the code that it applied to",
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
    _rule(statements.release_dropped, "drop-release", "a release on one exit is not there",
          "swapoff or unmount that hangs, kmemleak, lockdep", example="`folio_put(folio);` goes"),
    _rule(exits.exit_without_release, "leak-on-exit", "one goto leaves without the release that its label has",
          "swapoff or unmount that hangs, kmemleak, lockdep", example="`goto out;` runs all behind out: but the put"),
    _rule(statements.pair_dropped, "drop-pair", "nothing is held between an acquire and its releases",
          "KASAN, KCSAN, crash: when a race is won", example="`if (!get(x)) return;` is followed by `put(x);` at once"),
    _rule(statements.acquire_dropped, "drop-acquire", "an acquire is not there, its release is",
          "lockdep, refcount warning, KASAN", example="`spin_lock(&lock);` goes"),
    _rule(statements.release_early, "release-early", "a release comes before the last use",
          "KASAN, crash: when a race is won", example="`use(x); put(x);` becomes `put(x); use(x);`"),
    _rule(statements.release_doubled, "double-release", "a release is there twice",
          "refcount warning, KASAN, crash", example="`put(x);` becomes `put(x); put(x);`"),
    _rule(statements.locks_swapped, "swap-locks", "two locks are taken in the other order",
          "lockdep, hang", example="`lock(a); lock(b);` becomes `lock(b); lock(a);`"),
    _rule(statements.interrupts_on, "irq-plain", "a lock that interrupts take is held with interrupts on",
          "lockdep, hang", example="`spin_lock_irqsave(&l, f);` becomes `spin_lock(&l);`, its unlock as well"),
    _rule(statements.order_weakened, "weaken-order", "a barrier is weaker, or an access may be torn",
          "KCSAN", example="`smp_store_release(&x, 1);` becomes `WRITE_ONCE(*(&x), 1);`", invisible=_TCG),
    _rule(conditions.sleeping_allocation, "sleeping-gfp", "an allocation that must not sleep may",
          "might_sleep(), lockdep", example="`GFP_ATOMIC` becomes `GFP_KERNEL`"),
    _rule(conditions.recheck_dropped, "drop-recheck", "what is checked again under a lock is not",
          "KASAN, wrong data: when a race is won", example="`lock(l); if (gone) goto out;` never goes out"),
    _rule(conditions.failure_ignored, "ignore-failure", "the failure of an acquire is ignored",
          "KASAN, crash: when it fails", example="`if (!tryget(x)) return;` never returns"),
    _rule(conditions.negated, "negate", "a condition is the other way round",
          "wrong result, hang, crash", example="`if (x)` becomes `if (!(x))`"),
    _rule(conditions.forced_false, "never", "a branch is never taken, a loop never run",
          "wrong result, crash: when the branch is due", example="`if (x)` becomes `if (0)`"),
    _rule(conditions.forced_true, "always", "a branch is taken always",
          "wrong result, crash", example="`if (x)` becomes `if (1)`"),
    _rule(conditions.off_by_one, "off-by-one", "a bound is off by one",
          "KASAN, wrong data at the bound", example="`i < n` becomes `i <= n`"),
    _rule(conditions.wrong_error, "wrong-errno", "another error, or success, is returned",
          "the workload's own check of errno", example="`return -EAGAIN;` becomes `return -EBUSY;`, and `return 0;`"),
    _rule(conditions.flipped_result, "flip-bool", "true is returned or stored for false",
          "wrong result, double release", example="`pinned = false;` becomes `pinned = true;`"),
    _rule(exits.goto_swapped, "swap-goto", "a goto leads to the next label",
          "hang after a leak, double release", example="`goto out_unlock;` becomes `goto out_put;`"),
    _rule(exits.retry_dropped, "drop-retry", "what should be tried again, or skipped, goes on",
          "wrong result, crash", example="`goto retry;` goes"),
    _rule(statements.reschedule_dropped, "drop-resched", "a long loop does not let others run",
          "soft lockup, RCU stall", example="`cond_resched();` goes"),
    _rule(statements.assignment_dropped, "drop-assignment", "a variable keeps its old value",
          "wrong result, wrong data", example="`pinned = false;` goes"),
    _rule(statements.call_dropped, "drop-call", "a call that neither acquires nor releases is not there",
          "wrong result, wrong data", example="`folio_mark_dirty(folio);` goes"),
)  # fmt: skip
OPERATORS = (*(rule.operator for rule in RULES), RESTORE_GUARD, OMIT_HUNK)
