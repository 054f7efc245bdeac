# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch of a series a failure comes with, by cells of the beginnings of the series (pure).

The beginning with k patches has the failure if the patch that it comes with is among those k. How often a kernel with
the failure shows it is not known; that a kernel without it shows the same title is not impossible, and rare.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, log

from git_bayesect import Bisector

from orchestrator.judge.hunted import what_of
from orchestrator.model.bisections import Bisection, BisectTask, Seen, Suspects, Tally
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport

BISECTED = frozenset({Outcome.FAILED, Outcome.HUNG, Outcome.CORRUPTED, Outcome.CRASHED, Outcome.BOOT_FAILED})
"""What a cell that is bisected may have come to."""
# Of the rate at which a kernel without the failure shows its title: 1 % on average, as if seen in five cells. Less
# certain, a failure in 5 % of the cells takes half as many cells again; more certain, the wrong patch is found more
# often than the limit says.
_RARE = {"alpha_old": 0.05, "beta_old": 5.0}
# So many cells of a kernel in a row that tell nothing: more of them would not, either.
_MOST_USELESS = 6


def seen_in(report: CellReport, task: BisectTask) -> Seen:
    """What a cell tells: only the same outcome with the same title is bad."""
    outcome = report.verdict.outcome
    if outcome is task.outcome and what_of(report) == task.what:
        return Seen.BAD
    if outcome is Outcome.PASSED:
        return Seen.GOOD
    return Seen.OTHER if outcome in BISECTED else Seen.NOTHING


def with_report(tally: Tally, report: CellReport, task: BisectTask) -> Tally:
    """The tally of a kernel with one more cell."""
    outcome, title = report.verdict.outcome, report.verdict.title
    if outcome in (Outcome.BUILD_FAILED, Outcome.NOT_APPLIED):
        return replace(tally, why_closed=f"{outcome}: {title}")
    seen = seen_in(report, task)
    tally = replace(
        tally,
        bad=tally.bad + (seen is Seen.BAD),
        good=tally.good + (seen is Seen.GOOD),
        other=tally.other + (seen is Seen.OTHER),
        nothing=tally.nothing + (seen is Seen.NOTHING),
    )
    if not tally.observations and (outcome is Outcome.SKIPPED or tally.cells >= _MOST_USELESS):
        return replace(tally, why_closed=f"it tells nothing: {outcome}: {title}")
    return tally


def with_other(others: Mapping[str, int], report: CellReport, task: BisectTask) -> Mapping[str, int]:
    """The other failures that were seen, each with its number of cells, and that of one more cell."""
    if seen_in(report, task) is not Seen.OTHER:
        return others
    what = f"{report.verdict.outcome}: {what_of(report)}"
    return {**others, what: others.get(what, 0) + 1}


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What is known of the patches of a series, by the cells of its beginnings."""

    patches: int
    kernels: Mapping[int, Tally]  # number of patches, from the first one on -> its cells

    @cached_property
    def open(self) -> tuple[int, ...]:
        """The beginnings that tell something, the whole series first; each is given by its number of patches."""
        counts = range(self.patches, -1, -1)
        return tuple(count for count in counts if not self.kernels.get(count, Tally()).why_closed)

    @cached_property
    def suspects(self) -> tuple[Suspects, ...]:
        """All patches, and number 0, in groups that no beginning tells apart; in their order."""
        chances = [float(chance) for chance in self._bisector.distribution]
        groups = (
            Suspects(first=first, last=last, chance=chance)
            for (first, last), chance in zip(self._groups, chances, strict=True)
        )
        return tuple(sorted(groups, key=lambda one: one.first))

    @property
    def likeliest(self) -> Suspects:
        return max(self.suspects, key=lambda one: one.chance)

    @property
    def next_count(self) -> int:
        """The beginning whose cells tell most."""
        return self.open[int(self._bisector.select())]

    @property
    def bad(self) -> int:
        return sum(tally.bad for tally in self.kernels.values())

    def rate(self, patch: int) -> float:
        """How often kernels show the failure, if it comes with this patch: the mean of what the cells leave open."""
        tallies = [tally for count, tally in self.kernels.items() if count >= patch]
        bad, all_ = (sum(tally.bad for tally in tallies), sum(tally.observations for tally in tallies))
        return (bad + 0.5) / (all_ + 1)

    @cached_property
    def _groups(self) -> tuple[tuple[int, int], ...]:
        """For each open beginning the patches that it has, and the next smaller one that is open has not."""
        below = (*self.open[1:], -1)
        return tuple((smaller + 1, count) for count, smaller in zip(self.open, below, strict=True))

    @cached_property
    def _bisector(self) -> Bisector:
        bisector = Bisector([float(last - first + 1) for first, last in self._groups], **_RARE)
        for index, count in enumerate(self.open):
            tally = self.kernels.get(count, Tally())
            for observation, times in ((True, tally.bad), (False, tally.good)):
                for _ in range(times):
                    bisector.record(index, observation)
        return bisector


def posterior_of(bisection: Bisection) -> Posterior:
    """What the cells of a bisection tell so far."""
    return Posterior(patches=len(bisection.task.patches), kernels=bisection.kernels)


def why_undecidable(posterior: Posterior) -> str:
    """Why no more cells of the beginnings would help; "" where they would."""
    whole = posterior.kernels.get(posterior.patches, Tally())
    if whole.why_closed:
        return f"with the whole series: {whole.why_closed}"
    if len(posterior.open) == 1:
        return "no beginning of the series tells anything"
    return ""


def cells_to_confirm(rate: float, level: float) -> int:
    """So many cells show what happens at this rate at least once, with a probability of `level`."""
    return max(1, ceil(log(1 - level) / log(1 - rate))) if rate < 1 else 1
