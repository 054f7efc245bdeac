# SPDX-License-Identifier: GPL-2.0-or-later
"""The subtests of both variants, over all repeats, compared: which the series made worse (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.judge.fisher import Runs, chance, more_than_chance
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.reports import CellReport
from orchestrator.model.subtests import (
    Change,
    Subtest,
    SubtestChange,
    SubtestStatus,
    SuiteComparison,
    SuiteResult,
    Tally,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Compared:
    """A subtest before it is known which differences are more than chance."""

    path: str
    baseline: Tally
    patched: Tally
    shown: Subtest | None  # the run that is worth a look


def comparisons(cells: Iterable[CellReport]) -> tuple[SuiteComparison, ...]:
    """One for each suite, flavour and arch, in the order in which they come."""
    groups: dict[tuple[str, str, str], dict[Variant, list[SuiteResult]]] = {}
    for cell in cells:
        if cell.run is not None and (suite := cell.run.suite) is not None:
            build: Build = cell.cell.build
            group = groups.setdefault((build.flavour, build.arch, cell.cell.workload.name), {})
            group.setdefault(build.variant, []).append(suite)
    return tuple(
        compared(
            baseline=group.get(Variant.BASELINE, ()),
            patched=group.get(Variant.PATCHED, ()),
            name=name,
        )
        for name, group in groups.items()
    )


def compared(
    *, baseline: Sequence[SuiteResult], patched: Sequence[SuiteResult], name: tuple[str, str, str]
) -> SuiteComparison:
    """The runs of one suite, by subtest; `name` is flavour, arch and suite."""
    before, after = _by_path(baseline), _by_path(patched)
    found = [
        _Compared(
            path=path,
            baseline=_tally(before.get(path, ())),
            patched=_tally(after.get(path, ())),
            shown=_shown(after.get(path) or before.get(path) or ()),
        )
        for path in sorted({*before, *after})
    ]
    both = {one.path: _runs(one) for one in found if one.baseline.ran and one.patched.ran}
    worse = more_than_chance(both)
    better = more_than_chance({path: runs.turned() for path, runs in both.items()})
    complete = (sum(run.complete for run in baseline), sum(run.complete for run in patched))
    flavour, arch, suite = name
    return SuiteComparison(
        flavour=flavour,
        arch=arch,
        suite=suite,
        baseline_runs=complete[0],
        patched_runs=complete[1],
        changes=tuple(
            SubtestChange(
                path=one.path,
                change=_change(one, worse=one.path in worse, better=one.path in better, complete=complete),
                baseline=one.baseline,
                patched=one.patched,
                chance=_chance(both.get(one.path)),
                reason=one.shown.reason if one.shown else "",
                diagnostics=one.shown.diagnostics if one.shown else (),
            )
            for one in found
        ),
    )


def _runs(one: _Compared) -> Runs:
    return Runs(these_bad=one.patched.bad, these=one.patched.ran, others_bad=one.baseline.bad, others=one.baseline.ran)


def _chance(runs: Runs | None) -> float | None:
    return min(chance(runs), chance(runs.turned())) if runs else None


def _change(one: _Compared, *, worse: bool, better: bool, complete: tuple[int, int]) -> Change:
    if worse:
        return Change.REGRESSED
    if better:
        return Change.FIXED
    if one_sided := _one_sided(one, complete):
        return one_sided
    runs = (one.baseline, one.patched)
    bad, ran = sum(tally.bad for tally in runs), sum(tally.ran for tally in runs)
    if not ran:
        return Change.SKIPPED
    if bad in (0, ran):
        return Change.FAILING if bad else Change.OK
    only_patched = one.baseline.ran and not one.baseline.bad
    return Change.SUSPECT if only_patched else Change.FLAKY


def _one_sided(one: _Compared, complete: tuple[int, int]) -> Change | None:
    """What only one variant has, or runs. A run that broke off says nothing of what it did not come to."""
    baseline_runs, patched_runs = complete
    if not one.patched.there:
        return Change.GONE if patched_runs else None
    if not one.baseline.there:
        return Change.NEW if baseline_runs else None
    if not one.patched.ran:
        return Change.SKIPPED
    return None if one.baseline.ran else Change.NEW


def _by_path(runs: Iterable[SuiteResult]) -> Mapping[str, list[Subtest]]:
    found: dict[str, list[Subtest]] = {}
    for run in runs:
        for subtest in run.subtests:
            found.setdefault(subtest.path, []).append(_settled(subtest, run))
    return found


def _settled(subtest: Subtest, run: SuiteResult) -> Subtest:
    """In a suite that went on to its end, what began and has no result is bad."""
    if not run.complete or subtest.status is not SubtestStatus.UNFINISHED:
        return subtest
    return replace(subtest, status=SubtestStatus.NOT_OK, reason=subtest.reason or "it began and has no result")


def _tally(subtests: Iterable[Subtest]) -> Tally:
    statuses = [one.status for one in subtests]
    return Tally(
        ok=statuses.count(SubtestStatus.OK),
        bad=sum(status.bad for status in statuses),
        skipped=statuses.count(SubtestStatus.SKIPPED),
    )


def _shown(subtests: Iterable[Subtest]) -> Subtest | None:
    """The first that is bad, else the first that gives a reason."""
    return next(iter(sorted(subtests, key=lambda one: (not one.status.bad, not one.reason))), None)
