# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments, what kconfig made of them, and why."""

from collections.abc import Mapping

import pytest

from orchestrator.host.errors import UserError
from orchestrator.host.paths import KCONFIG
from orchestrator.kernel.compile.kconfig import (
    asked_for_too,
    config_text,
    merge,
    not_granted,
    parse_config,
    parse_fragment,
)
from orchestrator.kernel.compile.kconfig_dependencies import (
    definitions,
    is_on,
    missing_symbols,
    split_terms,
    unmet_terms,
    why_not,
)
from orchestrator.kernel.compile.refused_options import refused_by_hand

CONFIG = 'CONFIG_SWAP=y\nCONFIG_HZ=1000\nCONFIG_NAME="patchrig"\n# CONFIG_ZSWAP is not set\nCONFIG_OLD=m\n'

# Tabs, as in the kernel.
TOP = """\
mainmenu "Test"

config SWAP
	bool "Swap"
	help
		Swap to a device.
		depends on nothing of this text

config ZSWAP
	bool "Compressed swap"
	depends on SWAP && (CRYPTO || !SLOW)
	select ZSMALLOC

config ZSMALLOC
	tristate

if NET
source "net/Kconfig"
endif

menu "Sound"
	depends on SOUND != n

config BEEP
	bool "Beep" if EXPERT
	depends on ARCH_HAS_BEEP

endmenu

config TWICE
	bool "in one way"
	depends on SWAP && NET && SOUND

config TWICE
	bool "in another"
	depends on CRYPTO
"""
FILES: Mapping[str, list[str]] = {
    "Kconfig": [TOP],
    "net/Kconfig": ['config INET\n\tbool "TCP" \\\n\t\tif EXPERT\n\tdepends on SWAP\n'],
}


def because(symbol: str, config: str) -> str:
    found = list(definitions(lambda path: FILES.get(path, []), "Kconfig"))
    return why_not(symbol, found, parse_config(config))


def test_a_fragment_is_symbols_and_values() -> None:
    text = '# A reason.\nCONFIG_SWAP=y\n\n# CONFIG_ZSWAP is not set\nCONFIG_NAME="a b"\n'

    assert parse_fragment(text, "x.config") == {"SWAP": "y", "ZSWAP": "n", "NAME": '"a b"'}


def test_a_line_that_is_no_setting_is_named_with_its_place() -> None:
    with pytest.raises(UserError, match=r"x\.config:2: 'SWAP=y' is no kconfig line"):
        parse_fragment("# ok\nSWAP=y\n", "x.config")


def test_one_fragment_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(UserError, match=r"x\.config:2: CONFIG_A=n, but it is y further up"):
        parse_fragment("CONFIG_A=y\nCONFIG_A=n\n", "x.config")


def test_the_later_fragment_wins() -> None:
    assert merge([{"A": "y", "B": "y"}, {"B": "n"}]) == {"A": "y", "B": "n"}


def test_a_request_reads_back_as_itself() -> None:
    asked = {"B": "n", "A": "y", "HZ": "1000"}

    assert parse_config(config_text(asked)) == asked
    assert config_text(asked) == config_text(dict(sorted(asked.items())))


def test_what_is_not_granted_has_what_was_asked_and_what_it_became() -> None:
    asked = {"SWAP": "y", "ZSWAP": "y", "OLD": "y", "HZ": "250", "GONE": "n", "NAME": '"patchrig"', "NONE": "m"}

    refused = not_granted(asked, parse_config(CONFIG))

    assert [symbol.title for symbol in refused] == [
        "CONFIG_HZ: asked for 250, became 1000",
        "CONFIG_NONE: asked for m, became n",
        "CONFIG_OLD: asked for y, became m",
        "CONFIG_ZSWAP: asked for y, became n",
    ]


def test_an_older_kernel_is_asked_for_what_its_kprobes_depend_on() -> None:
    asked = {"KPROBES": "y", "SWAP": "y"}

    assert asked_for_too(not_granted(asked, {"SWAP": "y"})) == {"MODULES": "y", "BASE_FULL": "y"}
    assert asked_for_too(not_granted(asked, {"KPROBES": "y"})) == {}


def test_the_same_number_in_another_spelling_is_granted() -> None:
    assert not_granted({"BASE": "0x0100"}, {"BASE": "0x100"}) == ()


@pytest.mark.parametrize(
    ("symbol", "config", "reason"),
    [
        ("NOSUCH", "", "this kernel has no such symbol"),
        ("ZSWAP", "CONFIG_SLOW=y\n", "unmet: SWAP (SWAP=n); (CRYPTO || !SLOW) (CRYPTO=n, SLOW=y)"),
        ("ZSWAP", "CONFIG_SLOW=y\nCONFIG_SWAP=y\n", "unmet: (CRYPTO || !SLOW) (CRYPTO=n, SLOW=y)"),
        ("INET", "CONFIG_SWAP=y\nCONFIG_EXPERT=y\n", "unmet: NET (NET=n)"),
        ("INET", "CONFIG_SWAP=y\nCONFIG_NET=y\n", "unmet: EXPERT (EXPERT=n)"),
        ("BEEP", "CONFIG_EXPERT=y\nCONFIG_ARCH_HAS_BEEP=y\n", "unmet: SOUND != n (SOUND=n)"),
        ("ZSMALLOC", "", "it can't be asked for: only other symbols select it"),
        ("ZSMALLOC", "CONFIG_ZSMALLOC=y\nCONFIG_ZSWAP=y\n", "selected by ZSWAP=y"),
        ("TWICE", "CONFIG_SWAP=y\n", "unmet: CRYPTO (CRYPTO=n)"),
        ("SWAP", "", "its dependencies are met: a choice, a range or a default of another symbol decides it"),
    ],
)
def test_the_reason_names_what_is_off(symbol: str, config: str, reason: str) -> None:
    assert because(symbol, config) == reason


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("A", True),
        ("!A", False),
        ("B", False),
        ("M", True),
        ("A && B || A", True),
        ("A && (B || !B)", True),
        ("M = y", False),
        ("M != y", True),
        ('NAME = "x"', True),
        ("$(cc-option,-fno-x)", True),
        ("A && GCC_VERSION >= 110000", True),
        ("A &&", True),
    ],
)
def test_expressions_are_evaluated_as_kconfig_does(expression: str, expected: bool) -> None:
    assert is_on(expression, {"A": "y", "M": "m", "NAME": '"x"'}) is expected


def test_terms_are_split_at_the_top_level_only() -> None:
    assert list(split_terms("A && (B && C) && !D")) == ["A", "(B && C)", "!D"]
    assert list(split_terms("A && B || C")) == ["A && B || C"]


def test_a_term_that_is_required_twice_is_named_once() -> None:
    assert unmet_terms(["A", "A && B"], {"B": "y"}) == ("A (A=n)",)


@pytest.mark.parametrize("name", ["base", "x86_64", "arm64", "plain", "debug"])
def test_our_fragments_can_be_read(name: str) -> None:
    parse_fragment((KCONFIG / f"{name}.config").read_text(), name)


NEEDS = """\
config HOTPLUG
	bool "Hotplug"
config DEVICE
	bool "Device"
	depends on HOTPLUG && ARCH_HAS_IT
config FAR
	bool "Far"
	depends on DEVICE && !SLOW
config FOLLOWS
	def_bool DEVICE
config DRIVER
	tristate "Driver"
	depends on m
"""


@pytest.mark.parametrize(
    ("symbol", "config", "missing"),
    [
        ("FAR", {}, ("DEVICE", "HOTPLUG")),
        ("FAR", {"DEVICE": "y"}, ()),
        ("DEVICE", {"HOTPLUG": "y"}, ()),  # nobody can ask for what the arch has
        ("FOLLOWS", {}, ("DEVICE", "HOTPLUG")),
        ("NOSUCH", {}, ()),
    ],
)
def test_what_a_symbol_needs_first_is_named_where_it_can_be_set(
    symbol: str, config: Mapping[str, str], missing: tuple[str, ...]
) -> None:
    assert missing_symbols(symbol, list(definitions(lambda _: [NEEDS], "Kconfig")), config) == missing


def test_an_option_that_was_asked_for_by_hand_and_refused_is_an_error_with_the_next_command() -> None:
    found = list(definitions(lambda _: [NEEDS], "Kconfig"))

    error = refused_by_hand(not_granted({"FAR": "y"}, {}), found, {}, "patched.plain.x86_64")
    unknown = refused_by_hand(not_granted({"DEVISE": "y"}, {}), found, {}, "patched.plain.x86_64")
    module = refused_by_hand(not_granted({"DRIVER": "y"}, {}), found, {}, "patched.plain.x86_64")

    assert str(error) == (
        "--config: CONFIG_FAR: asked for y, became n in patched.plain.x86_64: unmet: DEVICE (DEVICE=n)"
    )
    assert error.hint == "the same with --config CONFIG_DEVICE=y --config CONFIG_HOTPLUG=y"
    assert "no such symbol" in str(unknown)
    assert unknown.hint == "--config CONFIG_DEVICE=y"
    assert "only be a module" in str(module)
