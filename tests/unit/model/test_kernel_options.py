# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel options as a user gives them."""

import pytest

from orchestrator.model.kernel_options import joined_options, option_of, option_problem


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("CONFIG_CMA=y", ("CMA", "y")),
        ("CMA=n", ("CMA", "n")),
        ("CONFIG_CMA_AREAS=7", ("CMA_AREAS", "7")),
        ("CONFIG_BASE=0x100", ("BASE", "0x100")),
        ('CONFIG_CMDLINE="quiet x=y"', ("CMDLINE", '"quiet x=y"')),
    ],
)
def test_an_option_is_a_name_and_a_value(text: str, option: tuple[str, str]) -> None:
    assert option_of(text) == option


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("CONFIG_CMA", "must be like"),
        ("CONFIG_CMA=m", "load no modules"),
        ("CONFIG_CMA=yes", "must be y, n, a number"),
        ("CONFIG_X=y\nCONFIG_Y=y", "must be y, n, a number"),
        ('CONFIG_X="a\nb"', "must be y, n, a number"),
        ("=y", "must be like"),
    ],
)
def test_what_is_no_option_is_refused_with_the_reason(text: str, problem: str) -> None:
    assert problem in option_problem(text)


def test_the_later_value_of_an_option_counts() -> None:
    assert joined_options(("CONFIG_A=y", "CONFIG_B=y"), ("A=n",)) == ("CONFIG_A=n", "CONFIG_B=y")
