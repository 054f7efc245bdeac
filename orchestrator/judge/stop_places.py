# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the kernel is just before it prints a splat (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.model.crashes import Crash, CrashKind
from orchestrator.model.stops import Stop

# WARN() and BUG() are an instruction that traps, and that nothing else executes: the splat names it.
_TRAPS = (CrashKind.WARNING, CrashKind.BUG, CrashKind.REFCOUNT, CrashKind.LIST, CrashKind.ODEBUG)
# Kind -> functions that print its splats, and that nobody calls for another reason.
_REPORTERS: Mapping[CrashKind, tuple[str, ...]] = {
    CrashKind.KASAN: ("kasan_report", "kasan_report_invalid_free", "kasan_report_async"),
    CrashKind.KFENCE: ("kfence_report_error",),
    CrashKind.KCSAN: ("kcsan_report_known_origin", "kcsan_report_unknown_origin"),
    CrashKind.OOPS: ("oops_enter",),
    CrashKind.BUG: ("oops_enter",),
    CrashKind.WARNING: ("__warn", "warn_slowpath_fmt"),
    CrashKind.REFCOUNT: ("refcount_warn_saturate",),
    CrashKind.ODEBUG: ("debug_print_object",),
    CrashKind.SLUB: ("slab_err", "object_err"),
    CrashKind.PANIC: ("panic", "vpanic"),
    CrashKind.UBSAN: ("ubsan_prologue",),
    CrashKind.RCU: ("lockdep_rcu_suspicious",),
}


def stop_before(crash: Crash, crashes: Sequence[Crash]) -> Stop | None:
    """Where to stop for a crash, one of those of its console in their order; None where no such place is known."""
    stop = _place(crash)
    if stop is None:
        return None
    earlier = (other for other in crashes if other.line < crash.line)
    passes = sum(_place(other) == stop for other in earlier)
    return replace(stop, passes=passes)


def _place(crash: Crash) -> Stop | None:
    if crash.kind in _TRAPS and crash.stack and crash.stack[0].exact and not crash.stack[0].module:
        first = crash.stack[0]
        return Stop(frame=replace(first, places=()))
    reporters = _REPORTERS.get(crash.kind, ())
    return Stop(functions=reporters) if reporters else None
