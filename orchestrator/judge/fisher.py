# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether k bad of n runs are more than k bad of n others, or chance: exact, for any number of subtests (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb, exp, fsum, lgamma
from typing import TypeVar

# Of the subtests that are called regressed, so many may be so by chance.
LEVEL = 0.05

K = TypeVar("K")


@dataclass(frozen=True, kw_only=True, slots=True)
class Runs:
    """How often something was bad in two samples; the question is whether it was in `these` more than in `others`."""

    these_bad: int
    these: int
    others_bad: int
    others: int

    @property
    def bad(self) -> int:
        return self.these_bad + self.others_bad

    @property
    def all(self) -> int:
        return self.these + self.others

    def turned(self) -> "Runs":
        """The question the other way round."""
        return Runs(these_bad=self.others_bad, these=self.others, others_bad=self.these_bad, others=self.these)


def chance(runs: Runs) -> float:
    """Fisher's exact test, one-sided: how likely chance puts that many or more of the bad runs into `these`.

    Source: R. A. Fisher, Statistical Methods for Research Workers, 1925, section 21.02.
    """
    return _tail(runs, runs.these_bad)


def least_chance(runs: Runs) -> float:
    """What chance() would be if as many of the bad runs as possible were among `these`."""
    return _tail(runs, min(runs.bad, runs.these))


def more_than_chance(samples: Mapping[K, Runs], level: float = LEVEL) -> frozenset[K]:
    """Those that were bad more often than chance explains; at most `level` of them wrongly, on average.

    Many subtests are compared at once, so the chances are held against Benjamini and Hochberg's bounds (1995). What
    could not come below the level however its bad runs were spread is no comparison and does not count (Tarone, 1990).
    """
    chances = sorted((chance(runs), at) for at, runs in enumerate(samples.values()) if least_chance(runs) <= level)
    keys = list(samples)
    last = max((rank for rank, (p, _) in enumerate(chances, 1) if p <= level * rank / len(chances)), default=0)
    return frozenset(keys[at] for _, at in chances[:last])


# With more runs than this the numbers of ways have thousands of digits, and their logarithms are exact enough.
_COUNTED = 2000


def _tail(runs: Runs, least: int) -> float:
    most = min(runs.bad, runs.these)
    if runs.all > _COUNTED:
        first = max(least, runs.bad - runs.others)
        every = _log_ways(runs.all, runs.these)
        return min(1.0, fsum(exp(_log_split(runs, k) - every) for k in range(first, most + 1)))
    ways = sum(comb(runs.bad, k) * comb(runs.all - runs.bad, runs.these - k) for k in range(least, most + 1))
    return ways / comb(runs.all, runs.these)


def _log_split(runs: Runs, k: int) -> float:
    return _log_ways(runs.bad, k) + _log_ways(runs.all - runs.bad, runs.these - k)


def _log_ways(of: int, chosen: int) -> float:
    return lgamma(of + 1) - lgamma(chosen + 1) - lgamma(of - chosen + 1)
