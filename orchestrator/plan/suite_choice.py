# SPDX-License-Identifier: GPL-2.0-or-later
"""Which suites run with a series, and what reach maps tell of the others. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.model.matrix_choices import ChosenSuite
from orchestrator.model.reach import DID_ALL, ReachMap, SourceFunction
from orchestrator.plan.reach_order import Changes, changed_reach

MOST_SECONDS = 600.0
"""A suite that took longer when it was recorded is not run unasked, in guest seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteChoice:
    """The suites that run with a series, and those that the run only names."""

    chosen: tuple[ChosenSuite, ...] = ()
    proposed: tuple[ChosenSuite, ...] = ()
    reached: frozenset[str] = frozenset()  # files of changed functions that the chosen ones run


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recorded:
    """A suite of the maps."""

    runs: str  # "12 of 19 changed functions"
    some: bool
    alone: frozenset[SourceFunction]  # that no workload of the run runs, as far as the maps have these
    sure: bool  # they have all
    seconds: float
    whole: bool  # it came to its end

    @property
    def reason(self) -> str:
        by = "workload" if self.sure else "recorded workload"
        return f"runs {self.runs}" + (f", {len(self.alone)} of which no {by} of this run runs" * bool(self.alone))

    @property
    def in_full(self) -> str:
        """The reason, and what a suite costs that adds something."""
        end = "" if self.whole else ", and did not come to its end"
        return self.reason + f"; took {_time(self.seconds)}{end} when it was recorded" * bool(self.alone)


def choose_suites(
    proposed: Sequence[ChosenSuite],
    workloads: Collection[str],
    changes: Changes,
    maps: Sequence[ReachMap],
    *,
    kinds: Collection[str],
) -> SuiteChoice:
    """Choose the suites that run changed functions which no workload of the run runs, by the maps; name all others.

    One that took long, or did not come to its end, is only named. So is any suite of a kind that is not in `kinds`, and
    all of them where the maps lack a workload of the run, which may run the same.
    """
    recorded = _recorded(list(dict.fromkeys(workloads)), changes, maps)
    fit = {name: one for name, one in recorded.items() if one.sure and one.whole and one.seconds <= MOST_SECONDS}
    chosen = list(_chosen({name: one for name, one in fit.items() if name.partition(":")[0] in kinds}))
    others = (ChosenSuite(name=name, reason="") for name, one in recorded.items() if one.some)
    by_name = {one.name: one for one in (*others, *proposed)}
    order = dict.fromkeys((*(one.name for one in proposed), *by_name))
    return SuiteChoice(
        chosen=tuple(ChosenSuite(name=name, reason=recorded[name].reason) for name in chosen),
        proposed=tuple(_with_reach(by_name[name], recorded.get(name)) for name in order if name not in chosen),
        reached=frozenset(function.file for name in chosen for function in recorded[name].alone),
    )


def _recorded(workloads: Sequence[str], changes: Changes, maps: Sequence[ReachMap]) -> Mapping[str, _Recorded]:
    suites = {one.workload: one.suite for map_ in maps for one in map_.workloads if one.suite}
    of_run = changed_reach(workloads, changes, maps)
    mapped = [one.mapped for one in of_run.ranked]
    alone = of_run.elsewhere if any(mapped) else ()
    found = {}
    for one in changed_reach(sorted(suites), changes, maps).ranked:
        name = suites[one.workload]
        runs = [run for map_ in maps for run in map_.workloads if run.suite == name]
        found[name] = _Recorded(
            runs=one.reason,
            some=bool(one.reached),
            alone=frozenset(function for function, names in alone if name in names),
            sure=all(mapped),
            seconds=max(run.guest_seconds for run in runs),
            whole=all(run.outcome in DID_ALL for run in runs),
        )
    return found


def _chosen(recorded: Mapping[str, _Recorded]) -> Iterator[str]:
    """Next is the suite with most functions that none before it runs, the quickest of several."""
    left = {function for one in recorded.values() for function in one.alone}
    while left:
        name = max(recorded, key=lambda name: (len(recorded[name].alone & left), -recorded[name].seconds))
        left -= recorded[name].alone
        yield name


def _with_reach(suite: ChosenSuite, known: _Recorded | None) -> ChosenSuite:
    return replace(suite, reason="; ".join(filter(None, (suite.reason, known.in_full if known else ""))))


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
