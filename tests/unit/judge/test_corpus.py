# SPDX-License-Identifier: GPL-2.0-or-later
"""What the judge reaches on real logs of other people's kernels, where they lie beside the project (`make corpus`)."""

import pytest

from tests.corpus import CORPUS, cases, misses, score
from tests.crossvalidate import left_out, splits

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is not here: make corpus CORPUS=DIR")

LEAST_RECALL = 0.99
LEAST_SAME_KIND = 0.97
LEAST_SAME_FUNCTION = 0.93
LEAST_WITHOUT_ITS_OWN_RULES = 0.9


def test_hardly_a_crash_is_missed() -> None:
    assert score(cases()).recall > LEAST_RECALL, misses()["not found"]


def test_no_crash_is_made_up() -> None:
    assert score(cases()).precision == 1.0, misses()["made up"]


def test_nearly_every_kind_is_right() -> None:
    assert score(cases()).kind >= LEAST_SAME_KIND, misses()["another kind"]


def test_nearly_every_function_is_the_same() -> None:
    """docs/judging.md has the reasons for the rest."""
    assert score(cases()).function >= LEAST_SAME_FUNCTION, misses()["another function"]


def test_the_rules_are_not_made_for_these_logs() -> None:
    """Without those that match in the measured half only; `make corpus` takes ten splits."""
    shares = [left_out(seen, unseen)[0] for seen, unseen in splits(2)]

    assert sum(shares) / len(shares) >= LEAST_WITHOUT_ITS_OWN_RULES
