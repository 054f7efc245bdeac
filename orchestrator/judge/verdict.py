# SPDX-License-Identifier: GPL-2.0-or-later
"""What was seen of one guest -> the cell's verdict. Pure and pessimistic: silence is never a pass."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from orchestrator.judge.accounting import Drift, drifts
from orchestrator.judge.crash import is_ghost
from orchestrator.judge.exercised import of_absent_sites, series_not_reached, shortfalls, substitutes
from orchestrator.judge.hang import (
    LEAK,
    is_busy,
    is_starved,
    meaning,
    place_text,
    standstill_text,
    waits_for_reference,
)
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Allowed
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.guests import Ending, Mismatch, Observation, StuckTask, UnexpectedError
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.probes import SiteState
from orchestrator.model.subtests import SubtestStatus, SuiteResult

# Splats about waiting. They are evidence of a hang, while any other splat says what went wrong before it.
WAITING = frozenset({CrashKind.HANG, CrashKind.LOCKUP, CrashKind.STALL})

HANGS = {
    Ending.SWAPOFF_STUCK: "a swapoff never returned",
    Ending.NO_PROGRESS: "the workload made no progress",
    Ending.TIMED_OUT: "the workload did not end in time",
    Ending.SSH_LOST: "the guest stopped answering over SSH",
}
LIVELOCK = "livelock: the guest ran, and the workload made no progress"
MOST_COUNTERS = 6
MOST_BAD = 10
# What is above says how the suite's process ended.
_SUITES_OWN = 125
# The endings of a guest that was given too little of this machine.
_MAY_BE_STARVED = (Ending.NEVER_READY, Ending.NO_PROGRESS, Ending.TIMED_OUT, Ending.SSH_LOST)
# The share of the time that QEMU wanted a CPU in which it had none: from here on a splat of WAITING is worthless.
STARVED = 0.5

# Counters that say that the load ran, and not where.
PROVE_NO_PLACE = frozenset({"swapoffs", "operations", "verified"})

_ERRNO = re.compile(r"E[A-Z0-9]+")

# Observation.accelerator of a guest without KVM.
EMULATED = "tcg"

Rule = Callable[[Cell, Observation, tuple[Crash, ...]], Verdict | None]


def judge(
    cell: Cell, run: Observation, crashes: Iterable[Crash], allow: Iterable[Allowed]
) -> tuple[Verdict, tuple[Crash, ...]]:
    """The verdict, and the crashes by line, marked where the matrix or the workload allows them.

    The first rule that speaks decides.
    """
    marked = mark_allowed(sorted(crashes, key=lambda crash: crash.line), (*allow, *cell.workload.allow))
    verdict = next(verdict for rule in RULES if (verdict := rule(cell, run, marked)))
    return replace(verdict, reasons=(*verdict.reasons, *_context(verdict, run, marked))), marked


def mark_allowed(crashes: Iterable[Crash], allow: Iterable[Allowed]) -> tuple[Crash, ...]:
    """Give each crash whose title is allowed the reason; the next fatal one is then the first of the guest."""
    reasons = {allowed.title: allowed.reason for allowed in allow}
    marked = []
    fatal_seen = False
    for crash in crashes:
        allowed = reasons.get(crash.title, "")
        marked.append(replace(crash, allowed=allowed, follow_up=fatal_seen))
        fatal_seen = fatal_seen or (crash.severity is Severity.FATAL and not allowed)
    return tuple(marked)


def _fatal(crashes: Iterable[Crash]) -> tuple[Crash, ...]:
    return tuple(crash for crash in crashes if crash.fails)


def _starved(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    """A guest that hardly ran because this machine did other things: its silence says nothing of the kernel."""
    del cell
    standstill = run.standstill
    # A task that waits for what another one must do is no matter of speed.
    if run.ending not in _MAY_BE_STARVED or _sleeping(run) or _fatal(crashes) or standstill is None:
        return None
    if not is_starved(standstill):
        return None
    title = f"this machine was too busy: the guest had {standstill.ran:.0f} CPU seconds in {standstill.seconds:.0f} s"
    return Verdict(outcome=Outcome.LOST, title=title, reasons=(run.detail,) if run.detail else ())


def _ghost(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    """A breakpoint that memory does not hold: QEMU's doing, which kept the translation of code that had been patched.

    Seen with QEMU 7.2, x86_64, several CPUs: within seconds where probes come and go in functions that all of them run.
    """
    del cell
    first = next(iter(_fatal(crashes)), None)
    if first is None or run.accelerator != EMULATED or not is_ghost(first):
        return None
    return Verdict(
        outcome=Outcome.LOST,
        title=f"QEMU ran a breakpoint that the kernel's code does not hold ({first.title})",
        reasons=(f"console line {first.line}",),
    )


def _boot(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del cell
    if run.ending is not Ending.NEVER_READY:
        return None
    fatal = _fatal(crashes)
    # A panic of the boot is the reason even where something was reported before it.
    panics = [crash for crash in fatal if crash.kind is CrashKind.PANIC]
    for crash in (*panics, *fatal):
        reasons = (f"console line {crash.line}", *((run.detail,) if run.detail else ()))
        return Verdict(outcome=Outcome.BOOT_FAILED, title=crash.title, reasons=reasons)
    title = run.detail or "the guest never became ready, and its console does not say why"
    return Verdict(outcome=Outcome.BOOT_FAILED, title=title)


def _crashed(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del cell, run
    for crash in _fatal(crashes):
        if crash.kind not in WAITING:
            return Verdict(outcome=Outcome.CRASHED, title=crash.title, reasons=(f"console line {crash.line}",))
    return None


def _corrupted(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del cell, crashes
    result = run.result
    if result is None or not (result.mismatch_count or result.mismatches):
        return None
    count = max(result.mismatch_count, len(result.mismatches))
    kinds = sorted({mismatch.kind for mismatch in result.mismatches})
    title = f"{count} {'page has' if count == 1 else 'pages have'} the wrong data"
    return Verdict(
        outcome=Outcome.CORRUPTED,
        title=f"{title} ({', '.join(kinds)})" if kinds else title,
        reasons=(
            *(f"page {bad.page}: {bad.kind}: expected {bad.expected}, saw {bad.seen}" for bad in result.mismatches),
            *_promises(result.mismatches),
        ),
    )


def _promises(broken: Iterable[Mismatch | UnexpectedError | Drift]) -> list[str]:
    return _once(f"promised: {one.promise}" for one in broken if one.promise)


def _our_trouble(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del cell
    # A guest that prints too much is stopped, too; else it was for a splat that is none.
    stopped = run.ending is Ending.STOPPED and not run.broken
    # A hang that the kernel had already reported stands, whatever happened to us afterwards.
    if _fatal(crashes) or not (stopped or run.ending in (Ending.LOST, Ending.INTERRUPTED)):
        return None
    if run.ending is Ending.INTERRUPTED:
        return Verdict(outcome=Outcome.SKIPPED, title=run.detail or "interrupted before it ended")
    reasons = (run.hint,) if run.hint else ()
    return Verdict(outcome=Outcome.LOST, title=run.detail or "we lost this cell and cannot say why", reasons=reasons)


def _stalled_by_host(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    """The workload came to its end, and all that the kernel has to say is that it could not run, or waited for long."""
    del cell
    fatal = _fatal(crashes)
    if run.ending is not Ending.REPORTED or run.starved is None or run.starved < STARVED or not fatal:
        return None
    # A task that hung before the load's end: the load would not have ended, had it not gone on.
    if any(crash.kind not in WAITING for crash in fatal) or (run.result is not None and run.result.swapoff_stuck):
        return None
    return Verdict(
        outcome=Outcome.LOST,
        title=_starved_text(run.starved),
        reasons=(f"console line {fatal[0].line}: {fatal[0].title}",),
    )


def _starved_text(share: float) -> str:
    return f"this machine starved the guest: QEMU waited for a CPU {share:.0%} of the time that it wanted one"


def _hung(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del cell
    waiting = [crash for crash in _fatal(crashes) if crash.kind in WAITING]
    what = HANGS.get(run.ending, "")
    if run.ending is Ending.NO_PROGRESS and is_busy(run.standstill) and not _sleeping(run):
        what = LIVELOCK
    if not what and run.result is not None and run.result.swapoff_stuck:
        what = HANGS[Ending.SWAPOFF_STUCK]
    if not what and not waiting:
        return None
    reasons = [run.detail] if run.detail and what else []
    first = {crash.title: crash for crash in reversed(waiting)}
    reasons += [f"console line {crash.line}: {crash.title}" for crash in reversed(first.values())]
    return Verdict(outcome=Outcome.HUNG, title=what or waiting[0].title, reasons=tuple(reasons))


def _gone(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del cell, crashes
    if run.ending is not Ending.GUEST_GONE:
        return None
    reasons = (run.detail,) if run.detail else ()
    return Verdict(outcome=Outcome.CRASHED, title="the guest is gone without a word", reasons=reasons)


def _failed(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del cell, crashes
    result = run.result
    if result is not None and result.errors:
        texts = tuple(map(_error_text, result.errors))
        return Verdict(outcome=Outcome.FAILED, title=texts[0], reasons=(*texts[1:], *_promises(result.errors)))
    if run.ending is Ending.PROGRAM_DIED:
        return Verdict(outcome=Outcome.FAILED, title=run.detail or "the workload died")
    if run.broken:
        return Verdict(outcome=Outcome.FAILED, title=run.broken)
    if run.suite is not None and run.suite.unreadable:
        return Verdict(outcome=Outcome.FAILED, title=f"the suite's results can't be read: {run.suite.unreadable}")
    # What could not be prepared ends with a status too; `missing` says it better.
    if _bad_status(run) and not (result is not None and result.missing):
        return Verdict(outcome=Outcome.FAILED, title=f"the workload ended with status {run.exit_status}")
    if run.exit_status is None or result is None:
        return Verdict(outcome=Outcome.FAILED, title="the workload ended without a result")
    return None


def _error_text(error: UnexpectedError) -> str:
    """A workload may say what went wrong in words, or with the name of a signal, in place of the errno."""
    what = (
        f"{error.call} failed with {error.errno}" if _ERRNO.fullmatch(error.errno) else f"{error.call}: {error.errno}"
    )
    return f"{what}{f', {error.count} times' if error.count > 1 else ''}"


def _unbalanced(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    """All of the load has gone, and what the kernel counts of its memory has not come back."""
    del crashes
    found = drifts(cell, run.result.accounting if run.result is not None else None)
    if not found:
        return None
    texts = [text for drift in found for text in (drift.text, *drift.details)]
    return Verdict(outcome=Outcome.FAILED, title=texts[0], reasons=(*texts[1:], *_promises(found)))


def _bad_status(run: Observation) -> bool:
    """A suite may end with a status of its own when subtests were bad; not by a signal, and not for want of a shell."""
    if run.suite is not None:
        return run.exit_status is not None and run.exit_status > _SUITES_OWN
    return bool(run.exit_status)


def _not_exercised(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del crashes
    if run.result is None:
        return None
    unreached = series_not_reached(cell, run)
    short = (*shortfalls(cell, run, run.result), *unreached)
    if run.suite is not None and not run.suite.ran:
        short = (f"no subtest ran ({len(run.suite.subtests)} were skipped or have no result)", *short)
    if run.result.missing:
        short = (f"the guest could not provide: {run.result.missing}", *short)
    if not short:
        return None
    return Verdict(outcome=Outcome.NOT_EXERCISED, title=short[0], reasons=short[1:], unreached=short == unreached)


def _unproved(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    """Nothing went wrong, and all that would prove that the workload did its work is not in this kernel."""
    del crashes
    dropped = of_absent_sites(cell, run)
    if run.ending is not Ending.REPORTED or not dropped:
        return None
    left = cell.workload.exercised.keys() - dropped - PROVE_NO_PLACE
    if left or (run.changed is not None and run.changed.ran):
        return None
    absent = [site for site in run.sites if site.state is SiteState.ABSENT]
    texts = tuple(f"site {site.name}: this kernel does not have it ({site.detail})" for site in absent)
    return Verdict(outcome=Outcome.SKIPPED, title=f"nothing proves this cell: {texts[0]}", reasons=texts[1:])


def _passed(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict | None:
    del crashes
    if run.ending is not Ending.REPORTED or run.result is None or _bad_status(run) or run.exit_status is None:
        return None
    if run.suite is not None:
        return _suite_verdict(run.suite)
    result = run.result
    title = f"{result.operations} operations, {result.verified} pages verified, {result.swapoffs} swapoffs"
    return Verdict(outcome=Outcome.PASSED, title=title, reasons=substitutes(cell, result))


def _suite_verdict(suite: SuiteResult) -> Verdict:
    """Bad subtests alone are no fault of this kernel's: some are bad on every kernel. The comparison tells."""
    bad = [one for one in suite.subtests if one.status.bad]
    skipped = sum(one.status is SubtestStatus.SKIPPED for one in suite.subtests)
    title = f"{suite.ran - len(bad)} subtests ok, {len(bad)} bad, {skipped} skipped"
    reasons = [f"bad: {one.path}{f': {one.reason}' if one.reason else ''}" for one in bad[:MOST_BAD]]
    reasons += [f"and {len(bad) - MOST_BAD} more"] if len(bad) > MOST_BAD else []
    reasons += [f"not built: {', '.join(suite.not_built)}"] if suite.not_built else []
    return Verdict(outcome=Outcome.SUBTESTS_FAILED if bad else Outcome.PASSED, title=title, reasons=tuple(reasons))


def _unknown(cell: Cell, run: Observation, crashes: tuple[Crash, ...]) -> Verdict:
    del cell, crashes
    return Verdict(outcome=Outcome.LOST, title=f"nothing tells how this cell went ({run.ending})")


# In order of authority: what the kernel said of itself outranks what the workload measured, and that outranks what
# we conclude from silence. Our own trouble excuses a cell only where neither has spoken.
# The numbers are those of the table in docs/judging.md.
RULES: tuple[Rule, ...] = (
    _starved,  # 1
    _ghost,  # 2
    _boot,  # 3
    _crashed,  # 4
    _corrupted,  # 5
    _our_trouble,  # 6 and 7
    _stalled_by_host,  # 8
    _hung,  # 9
    _gone,  # 10
    _failed,  # 11
    _unbalanced,  # 12
    _not_exercised,  # 13
    _unproved,  # 14
    _passed,  # 15 and 16
    _unknown,  # 17
)


def _context(verdict: Verdict, run: Observation, crashes: tuple[Crash, ...]) -> list[str]:
    lines = list(_hang(run, crashes) if verdict.outcome is Outcome.HUNG else _waiting(run))
    # The minimums scale with the speed that the guest had while it booted.
    if verdict.outcome is Outcome.NOT_EXERCISED and run.starved is not None and run.starved >= STARVED:
        lines.append(_starved_text(run.starved))
    lines += [f"then, console line {crash.line}: {crash.title}" for crash in _later(verdict, crashes)]
    lines += _once(f"allowed: {crash.title} ({crash.allowed})" for crash in crashes if crash.allowed)
    # Green without a check that was asked for is less than green: the reader has to know.
    lines += _once(
        f"a checker of the kernel is off from console line {crash.line} on: {crash.title}"
        for crash in crashes
        if crash.severity is Severity.COVERAGE and not crash.allowed
    )
    lines += _once(
        f"noted: {crash.title}{f' ({crash.noted})' if crash.noted else ''}"
        for crash in crashes
        if crash.severity is Severity.NOTE and not crash.allowed
    )
    return lines


def _sleeping(run: Observation) -> list[StuckTask]:
    return [task for task in run.stuck if not task.running]


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def _later(verdict: Verdict, crashes: tuple[Crash, ...]) -> tuple[Crash, ...]:
    text = "\n".join((verdict.title, *verdict.reasons))
    later: dict[str, Crash] = {}
    for crash in _fatal(crashes):
        if crash.title not in text:
            later.setdefault(crash.title, crash)
    return tuple(later.values())[:5]


def _hang(run: Observation, crashes: tuple[Crash, ...]) -> Iterable[str]:
    """Who waits for what, who runs, and what that means; the most telling first."""
    # The kernel's own report of a hung task counts where nobody could look.
    reported = [crash.frames for crash in crashes if crash.kind is CrashKind.HANG]
    sentences = list(meaning(run.stuck))
    if LEAK not in sentences and any(waits_for_reference(frames) for frames in reported):
        sentences.insert(0, LEAK)
    yield from sentences
    yield from _waiting(run)
    yield from (f"running: {place_text(task)}" for task in run.stuck if task.running)
    if text := standstill_text(run.standstill):
        yield text
    if run.moved and run.ending is Ending.NO_PROGRESS:
        grown = list(run.moved.items())[:MOST_COUNTERS]
        yield f"counters that still grew: {', '.join(f'{name} +{growth}' for name, growth in grown)}"


def _waiting(run: Observation) -> Iterable[str]:
    times = Counter(map(place_text, _sleeping(run)))
    return (f"waiting in {place}{f' ({count} tasks)' if count > 1 else ''}" for place, count in times.items())
