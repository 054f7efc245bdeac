# SPDX-License-Identifier: GPL-2.0-or-later
"""How often something happens, when it was seen in k of n cells: exact intervals (pure)."""

from collections.abc import Callable
from math import exp, lgamma, log, log1p

LEVEL = 0.95
_HALVINGS = 60


def interval(seen: int, cells: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of Clopper and Pearson: whatever the rate is, it lies in there in `level` of all experiments.

    Source: C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
    """
    tail = (1 - level) / 2
    low = _root(lambda rate: _at_least(seen, cells, rate), tail) if seen else 0.0
    # At most k seen is at least n - k not seen.
    high = 1 - _root(lambda rate: _at_least(cells - seen, cells, rate), tail) if seen < cells else 1.0
    return low, high


def most_missed(cells: int, level: float = LEVEL) -> float:
    """The highest rate at which something still goes unseen in so many cells, with a probability of 1 - level."""
    return 1 - (1 - level) ** (1 / cells) if cells else 1.0


def _root(chance_of: Callable[[float], float], chance: float) -> float:
    """The rate at which a chance that grows with it has a value."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if chance_of(middle) < chance else (low, middle)
    return (low + high) / 2


def _at_least(least: int, cells: int, rate: float) -> float:
    """How likely a rate shows something in `least` or more cells."""
    if rate <= 0 or rate >= 1:
        return float(rate >= 1 or least == 0)
    return sum(exp(_log_chance(seen, cells, rate)) for seen in range(least, cells + 1))


def _log_chance(seen: int, cells: int, rate: float) -> float:
    ways = lgamma(cells + 1) - lgamma(seen + 1) - lgamma(cells - seen + 1)
    return ways + seen * log(rate) + (cells - seen) * log1p(-rate)
