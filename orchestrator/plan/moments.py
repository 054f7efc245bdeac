# SPDX-License-Identifier: GPL-2.0-or-later
"""At which moment before a splat the next trial parts from its schedule (pure): a binary search."""

from collections.abc import Sequence
from math import sqrt

from orchestrator.model.parted import Moment

_FIRST = 0.1
_STEP = 4.0
# Two moments that are so near to each other are one, and nothing is nearer to the splat than a few timer ticks.
_NEAR_ENOUGH = 0.010
_NEAREST = 0.004


def next_before(moments: Sequence[Moment], *, longest: float, each: int) -> float:
    """Seconds before the splat. `longest`: to the start of the workload.

    `each`: so many trials that all crashed are taken for "each trial crashes". One that did not crash says enough.
    """
    ordered = sorted(moments, key=lambda moment: moment.before)
    for moment in ordered:
        if moment.unavoidable and moment.trials < each:
            return moment.asked
    near, far = _bounds(ordered)
    if near is None and far is None:
        return min(_FIRST, longest)
    if far is None and near and near.before < longest:
        return min(near.before * _STEP, longest)
    if near is None and far and far.before > _NEAREST:
        return max(far.before / _STEP, _NEAREST)
    if near and far and far.before - near.before > _NEAR_ENOUGH:
        return sqrt(near.before * far.before)
    # Nothing is left to search: more trials where the share changes.
    return min((moment for moment in (near, far) if moment), key=lambda moment: moment.trials).asked


def _bounds(ordered: Sequence[Moment]) -> tuple[Moment | None, Moment | None]:
    near = None
    for moment in ordered:
        if not moment.unavoidable:
            return near, moment
        near = moment
    return near, None
