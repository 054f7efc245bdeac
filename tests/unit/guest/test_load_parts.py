# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest says of its load becomes words of the next guest's command line: only what makes sense is taken."""

import json

import pytest

from orchestrator.guest.load_parts import parts_in
from orchestrator.model.minimised import Parts


def line(**changes: object) -> str:
    said = {"type": "progress", "seconds": 1.0, "operations": 1, "swapoffs": 0, "threads": 8, "options": {"pages": 64}}
    return json.dumps({**said, **changes})


def test_the_last_line_counts() -> None:
    assert parts_in(["text", line(threads=2), line()]) == Parts(threads=8, options={"pages": 64})


def test_a_workload_of_an_earlier_version_says_nothing() -> None:
    assert parts_in(['{"type": "progress", "seconds": 1.0, "operations": 1, "swapoffs": 0}', "{", ""]) == Parts()


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {"pages --seed": 1}},
        {"options": {'"': 1}},
        {"options": {"": 1}},
        {"options": ["pages"]},
        {"options": {"pages": -1}},
        {"options": {"pages": "1 2"}},
        {"options": {"pages": True}},
        {"threads": "8"},
        {"threads": -8},
    ],
)
def test_what_makes_no_sense_is_not_taken(changes: dict[str, object]) -> None:
    assert parts_in([line(**changes)]) == Parts()


def test_no_more_threads_than_can_be_left_out() -> None:
    assert parts_in([line(threads=10**9)]).threads == 64
