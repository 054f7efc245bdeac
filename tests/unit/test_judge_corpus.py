"""What the judge reaches on real logs of other people's kernels, where they lie beside the project (`make corpus`)."""

import pytest
from corpus import CORPUS, cases, misses, score

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is not here: make corpus CORPUS=DIR")

LEAST_RECALL = 0.99
LEAST_SAME_KIND = 0.97
LEAST_SAME_FUNCTION = 0.93


def test_hardly_a_crash_is_missed() -> None:
    assert score(cases()).recall > LEAST_RECALL, misses()["not found"]


def test_no_crash_is_made_up() -> None:
    assert score(cases()).precision == 1.0, misses()["made up"]


def test_nearly_every_kind_is_right() -> None:
    assert score(cases()).kind >= LEAST_SAME_KIND, misses()["another kind"]


def test_nearly_every_function_is_the_same() -> None:
    """docs/judging.md has the reasons for the rest."""
    assert score(cases()).function >= LEAST_SAME_FUNCTION, misses()["another function"]
