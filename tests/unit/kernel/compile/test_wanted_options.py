# SPDX-License-Identifier: GPL-2.0-or-later
"""Which options a series brings with it for the code that it changes."""

from collections.abc import Mapping

import pytest

from orchestrator.kernel.compile.kconfig_dependencies import missing_symbols, with_consequences
from orchestrator.kernel.compile.wanted_options import Chooser, kconfig_files, options_of, read_kconfig
from orchestrator.model.series_diff import ChangedFile, ChangedFunction, DiffLine, SeriesDiff

MM = """\
config FAILURE
	depends on ARCH_SUPPORTS
	bool "Failure"
config ARCH_SUPPORTS
	bool
config HUGE
	def_bool HUGEFS
config HUGEFS
	bool "Huge"
choice
	prompt "One"
config ONE
	bool "One"
endchoice
config MODULE
	tristate "Module"
	depends on m
config OWN
	bool "Of a flavour"
config TEST_ALL
	bool "Test"
config BEHIND
	bool "Behind the flavour"
	depends on OWN
"""
X86 = """\
config X86_MCE
	bool "MCE"
config X86_SUPPORTS
	def_bool y
	depends on X86_MCE
	select ARCH_SUPPORTS
"""
TEXTS = {"mm/Kconfig": MM, "arch/x86/Kconfig": X86, "mm/Kconfig.debug": 'config POISON\n\tbool "Poison"\n'}


def chosen(
    option: str, *, path: str = "mm/x.c", arch: str = "x86_64", asked: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    text = f"#ifdef CONFIG_{option}\nint f(void)\n{{\nx\n}}\n#endif\n"
    lines = (DiffLine(kind="+", old=0, new=4, text="x"),)
    diff = SeriesDiff(
        files=(ChangedFile(path=path, hunks=(lines,)),),
        functions=(ChangedFunction(file=path, name="f", first=2, last=5),),
        texts={path: text},
    )
    chooser = Chooser(kconfig=read_kconfig(TEXTS, arch), asked=asked or {}, not_ours={"OWN"})
    return chooser.options_for(diff, {}, arch)


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("FAILURE", ("X86_MCE", "FAILURE")),  # by what selects what it depends on
        ("HUGE", ("HUGEFS",)),
        ("ONE", ()),  # another one would be off
        ("MODULE", ()),
        ("OWN", ()),
        ("BEHIND", ()),
        ("TEST_ALL", ()),
        ("POISON", ()),
        ("NOWHERE", ()),
    ],
)
def test_an_option_is_wanted_if_it_is_cheap(option: str, wanted: tuple[str, ...]) -> None:
    assert chosen(option) == wanted


def test_an_option_of_a_driver_brings_no_others() -> None:
    assert chosen("FAILURE", path="drivers/x.c") == ()
    assert chosen("FAILURE", path="drivers/x.c", asked={"X86_MCE": "y"}) == ("FAILURE",)


def test_an_option_that_is_off_by_hand_is_not_wanted() -> None:
    assert chosen("HUGEFS", asked={"HUGEFS": "n"}) == ()


def test_another_arch_brings_nothing() -> None:
    assert chosen("FAILURE", arch="arm64") == ("FAILURE",)


@pytest.mark.parametrize(
    ("why", "options"),
    [
        ("CONFIG_A is not set", (False, ("A",))),
        ("CONFIG_A and CONFIG_B are not set", (False, ("A", "B"))),
        ("defined(CONFIG_A) && IS_ENABLED(CONFIG_B) is false", (True, ("A", "B"))),
        ("defined(CONFIG_A) && !defined(CONFIG_B) is false", (True, ())),
        ("CONFIG_A is set", (True, ())),
        ("arch/x86/ is of another arch", (True, ())),
    ],
)
def test_the_reason_says_which_options_help(why: str, options: tuple[bool, tuple[str, ...]]) -> None:
    assert options_of(why) == options


def test_what_an_option_selects_is_on_with_it() -> None:
    found = read_kconfig(TEXTS, "x86_64").found

    assert with_consequences(found, {"X86_MCE": "y"})["ARCH_SUPPORTS"] == "y"
    assert "ARCH_SUPPORTS" not in with_consequences(found, {})
    assert missing_symbols("FAILURE", found, {}) == ("X86_MCE",)


def test_kconfig_files_lie_beside_the_code_and_above() -> None:
    assert {"mm/Kconfig", "mm/damon/Kconfig", "mm/Kconfig.debug"} <= set(kconfig_files(["mm/damon/core.c"]))


def test_an_option_of_the_series_brings_what_it_needs_if_that_is_cheap() -> None:
    texts = {
        "mm/Kconfig": MM + 'config NEW\n\tbool "New"\n\tdepends on FAILURE\nconfig LATE\n\tbool "L"\n\tdepends on OWN\n'
    }
    kconfig = read_kconfig(TEXTS | texts, "x86_64")
    chooser = Chooser(kconfig=kconfig, asked={"NEW": "y", "LATE": "y"}, not_ours={"OWN"})
    nothing = SeriesDiff(files=(), functions=(), texts={})

    assert chooser.options_for(nothing, {}, "x86_64", ["NEW"]) == ("X86_MCE", "FAILURE")
    assert chooser.options_for(nothing, {}, "x86_64", ["LATE"]) == ()
