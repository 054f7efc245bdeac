# SPDX-License-Identifier: GPL-2.0-or-later
"""--widen as a value, and what each flavour needs of a guest."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.errors import UserError
from orchestrator.model.blocks import DelaySettings
from orchestrator.model.configuration import Matrix
from orchestrator.plan.checks import known_flavours
from orchestrator.plan.delays import DEFAULT, delays_text, parse_delays
from orchestrator.plan.expansion import Selection, expand
from orchestrator.plan.flavours import FLAVOURS, fitted, needs_of
from tests.unit.samples import cell

WORKLOADS = (cell().workload,)


def matrix(*, flavours: tuple[str, ...] = ("plain",), widen: str = "") -> Matrix:
    return Matrix(kernel="6.19", workloads=("mincore",), arches=("x86_64",), flavours=flavours, widen=widen)


def test_what_is_left_out_is_the_default() -> None:
    assert parse_delays("") == DEFAULT
    assert parse_delays("chance=2%, max=30ms") == DEFAULT
    assert parse_delays("chance=0.5%") == replace(DEFAULT, chance_ppm=5_000)


def test_partners_are_switched_off_with_a_number() -> None:
    assert parse_delays("partners=0").partner_percent == 0


def test_every_key_is_taken() -> None:
    widening = parse_delays("chance=2%,max=1.5ms,spin=0,hold=1s,rest=50%,partners=5%,only=do_swap_page+mincore_swap")

    assert widening == DelaySettings(
        chance_ppm=20_000,
        sleep_us=1_500,
        spin_us=0,
        hold_us=1_000_000,
        rest_percent=50,
        partner_percent=5,
        only=("do_swap_page", "mincore_swap"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "chanse=2%",
            "unknown key 'chanse', did you mean 'chance'?; allowed: chance, hold, max, only, partners, rest, spin",
        ),
        ("chance", "chance=: must be a share from 0.0001% to 100%, or 0%"),
        ("chance=2", "chance=2: must be a share from 0.0001% to 100%, or 0%"),
        ("chance=101%", "chance=101%: must be a share"),
        ("chance=0.00001%", "chance=0.00001%: must be a share"),
        ("max=30", "max=30: must be a time from 1us to 10s (us, ms, s), or 0"),
        ("max=0.1us", "max=0.1us: must be a time"),
        ("max=11s", "max=11s: must be a time"),
        ("spin=1s", "spin=1s: must be a time from 1us to 100ms, or 0"),
        ("rest=half", "rest=half: must be a share of the delay before it"),
        ("partners=101%", "partners=101%: must be a share of the chance elsewhere, from 0% to 100%, or 0"),
        ("only=do_swap_page++x", "only=do_swap_page++x: must be changed functions, joined by +"),
        ("max=1ms,max=2ms", "max is there twice"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        parse_delays(text)

    assert said in str(error.value)
    assert "chance=2%,max=30ms" in str(error.value)


@given(
    st.builds(
        DelaySettings,
        chance_ppm=st.integers(0, 1_000_000),
        sleep_us=st.integers(0, 10_000_000),
        spin_us=st.integers(0, 100_000),
        hold_us=st.integers(0, 10_000_000),
        rest_percent=st.integers(0, 9999),
        partner_percent=st.integers(0, 100),
        only=st.lists(st.from_regex(r"[a-z_]\w{0,20}", fullmatch=True).filter(str.isascii)).map(tuple),
    )
)
def test_the_text_of_a_value_gives_the_value_again(widening: DelaySettings) -> None:
    assert parse_delays(delays_text(widening)) == widening


@given(st.text())
def test_any_other_text_is_refused_in_our_words(text: str) -> None:
    said = ""
    try:
        parse_delays(text)
    except UserError as error:
        said = str(error)

    assert said.startswith("widen: ") or not said


def test_each_flavour_of_the_project_has_its_needs() -> None:
    assert set(FLAVOURS) == known_flavours()


def test_the_needs_of_several_parts_add_up() -> None:
    both = needs_of("widened+debug")

    assert both.overlay == "widened"
    assert both.memory_mib == FLAVOURS["widened"].memory_mib + FLAVOURS["debug"].memory_mib
    assert both.slower == FLAVOURS["widened"].slower * FLAVOURS["debug"].slower
    # A fragment of the user's own costs what nobody knows.
    assert needs_of("mine").slower == 1.0


def test_a_cell_has_the_memory_and_the_minimums_of_its_flavour() -> None:
    workload = WORKLOADS[0]

    fit = fitted(workload, "kasan")

    assert fit.memory_mib == workload.memory_mib + FLAVOURS["kasan"].memory_mib
    assert fit.exercised["site.mincore"] == 40  # 100 / 2.5, and never nothing
    assert fitted(workload, "plain") == workload


def test_only_widened_cells_are_widened() -> None:
    cells = expand(matrix(flavours=("plain", "widened"), widen="max=1ms"), WORKLOADS)

    assert [one.widening and one.widening.sleep_us for one in cells] == [None, 1000]


def test_widening_what_is_not_widened_is_a_mistake() -> None:
    with pytest.raises(UserError, match="no flavour of the matrix is widened"):
        expand(matrix(), WORKLOADS, Selection(widen="chance=1%"))


def test_what_is_left_out_can_be_that_of_other_settings() -> None:
    hunt = parse_delays("chance=0.2%,hold=1s")

    assert parse_delays("only=f", hunt) == replace(hunt, only=("f",))
