# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells a name means."""

import pytest

from orchestrator.model.cells import names_meant

TEN = tuple(f"patched.plain.x86_64.swapin.{number}" for number in range(1, 11))
BOTH = ("patched.plain.x86_64.large", "patched.plain.arm64.large", "patched.plain.x86_64.large-zero")


@pytest.mark.parametrize(
    ("names", "wanted", "meant"),
    [
        (TEN, "patched.plain.x86_64.swapin.10", TEN[9:]),
        (TEN, "swapin.1", TEN[:1]),
        (TEN, "swapin", TEN),
        (BOTH, "x86_64.large", BOTH[:1]),
        (BOTH, "large", BOTH[:2]),
        (BOTH, "large-z", BOTH[2:]),
        (BOTH, "zswap", ()),
    ],
)
def test_the_end_of_a_name_goes_before_a_part_of_it(
    names: tuple[str, ...], wanted: str, meant: tuple[str, ...]
) -> None:
    assert names_meant(names, wanted) == meant
