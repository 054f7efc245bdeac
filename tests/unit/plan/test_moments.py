# SPDX-License-Identifier: GPL-2.0-or-later
"""Which moment the next trial parts at."""

import pytest

from orchestrator.model.parted import Moment
from orchestrator.plan.moments import next_before


def moment(before: float, crashed: int, trials: int) -> Moment:
    return Moment(asked=before, crashed=crashed, trials=trials, seconds=before * trials)


def search(decided: float, *, longest: float, trials: int, each: int = 2) -> list[Moment]:
    """Each trial that parts earlier than `decided` seconds before the splat avoids it."""
    moments: dict[float, Moment] = {}
    for _ in range(trials):
        before = next_before(list(moments.values()), longest=longest, each=each)
        known = moments.get(before, Moment(asked=before))
        moments[before] = known.with_trial(before=before, crashed=before <= decided, unmoved=False)
    return sorted(moments.values(), key=lambda one: one.before)


@pytest.mark.parametrize("decided", [0.006, 0.049, 0.31, 1.7])
def test_the_moment_is_found_within_ten_milliseconds(decided: float) -> None:
    moments = search(decided, longest=3.0, trials=40)

    near = max(one.before for one in moments if one.unavoidable)
    far = min(one.before for one in moments if not one.unavoidable)
    assert near <= decided < far
    assert far - near <= 0.010


def test_no_trial_parts_before_the_workload_starts() -> None:
    moments = search(9.0, longest=2.0, trials=20)

    assert max(one.before for one in moments) == 2.0
    assert all(one.unavoidable for one in moments)


def test_the_rest_of_the_trials_go_where_the_share_changes() -> None:
    known = [moment(0.1, 4, 4), moment(0.105, 3, 5), moment(0.4, 0, 4)]

    assert next_before(known, longest=1.0, each=4) == 0.1


def test_a_moment_at_which_all_crashed_needs_some_trials_before_it_is_judged() -> None:
    assert next_before([moment(0.1, 1, 1)], longest=1.0, each=2) == 0.1


def test_one_trial_that_did_not_crash_decides_its_moment() -> None:
    assert next_before([moment(0.1, 0, 1)], longest=1.0, each=4) < 0.1
    assert next_before([moment(0.1, 4, 4), moment(0.4, 2, 3)], longest=1.0, each=4) == pytest.approx(0.2)


@pytest.mark.parametrize("decided", [0.006, 0.031, 0.27, 0.9])
def test_twenty_eight_trials_are_enough_for_most(decided: float) -> None:
    moments = search(decided, longest=3.0, trials=28, each=4)

    near = max(one.before for one in moments if one.unavoidable)
    far = min(one.before for one in moments if not one.unavoidable)
    assert far - near <= 0.010
