# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the workloads noticed a mutant, from its cells and the control's (pure)."""

from collections.abc import Mapping, Sequence

from orchestrator.judge.bug_verdict import attempt_of, is_finding
from orchestrator.judge.rates import interval
from orchestrator.model.guests import Ending
from orchestrator.model.mutants import Mutant
from orchestrator.model.mutation import MutantReport, MutantStatus, MutantTry, Score
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport

_NOTHING_KNOWN = frozenset({Outcome.LOST, Outcome.BOOT_FAILED})


def kind_of(report: CellReport) -> str:
    """What kind of finding a cell shows; "" for none. A crash's kind is that of the kernel's splat."""
    if not is_finding(report):
        return ""
    fatal = [crash for crash in report.crashes if crash.fails]
    splat = f" {fatal[0].kind}" if fatal else ""
    return f"{report.verdict.outcome}{splat}"


def try_of(report: CellReport, folder: str, noise: Mapping[str, str]) -> MutantTry:
    """What a cell tells of its mutant. `noise`: workload -> the kind that the control shows there."""
    run, kind = report.run, kind_of(report)
    passed = run.mutant_counts if run else None
    return MutantTry(
        attempt=attempt_of(report, folder),
        kind=kind,
        noise=bool(kind) and noise.get(report.cell.workload.name) == kind,
        passed=None if passed is None else passed.get(report.cell.mutant or 0, 0),
        fault=run.fault if run else None,
        interrupted=bool(run) and run.ending is Ending.INTERRUPTED if run else False,
    )


def status_of_tries(tries: Sequence[MutantTry], *, of: int = 0) -> tuple[MutantStatus, str]:
    """What the cells of one mutant add up to, and why in one line. `of`: how many workloads pass its place."""
    if noticed := [one for one in tries if one.noticed]:
        attempt = noticed[0].attempt
        return MutantStatus.NOTICED, f"{attempt.workload}: {attempt.outcome}: {attempt.title}"
    if any(one.interrupted for one in tries):
        return MutantStatus.NOT_TRIED, "ended in the middle of its cells"
    # One cell that is lost leaves open whether it would have noticed.
    if lost := [one.attempt for one in tries if one.attempt.outcome in _NOTHING_KNOWN]:
        return MutantStatus.LOST, f"{lost[0].workload}: {lost[0].title}"
    judged = [one for one in tries if not one.noise]
    if not judged:
        return MutantStatus.NOT_TRIED, "each workload that reaches it shows the same without any mutant"
    if all(one.passed == 0 for one in judged):
        return MutantStatus.NOT_REACHED, "only the control passed its place"
    cells = ", ".join(f"{one.attempt.workload} {one.attempt.outcome}" for one in tries)
    return MutantStatus.SURVIVED, cells + (f" ({len(tries)} of {of} workloads)" if len(tries) < of else "")


# What decides about a mutant that several builds have; the first that any of them says.
_AUTHORITY = (
    MutantStatus.NOTICED,
    MutantStatus.LOST,
    MutantStatus.SURVIVED,
    MutantStatus.NOT_TRIED,
    MutantStatus.NOT_REACHED,
    MutantStatus.NO_EFFECT,
    MutantStatus.BUILD_FAILED,
)


def whole_verdicts(mutants: Sequence[Mutant], reports: Sequence[MutantReport]) -> tuple[MutantReport, ...]:
    """Each mutant's report by number, the one that decides where several builds have it."""
    by_number: dict[int, list[MutantReport]] = {}
    for report in reports:
        by_number.setdefault(report.mutant.number, []).append(report)
    return tuple(
        min(by_number[mutant.number], key=lambda report: _AUTHORITY.index(report.status))
        for mutant in mutants
        if mutant.number in by_number
    )


def score_of(reports: Sequence[MutantReport]) -> Score:
    """The score of these mutants, each of which has one report."""
    statuses = [report.status for report in reports]
    counts = {status: statuses.count(status) for status in MutantStatus if status in statuses}
    noticed = counts.get(MutantStatus.NOTICED, 0)
    tried = noticed + counts.get(MutantStatus.SURVIVED, 0)
    low, high = interval(noticed, tried) if tried else (0.0, 1.0)
    return Score(counts=counts, noticed=noticed, tried=tried, low=low, high=high)
