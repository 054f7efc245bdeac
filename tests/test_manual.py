# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/man/patchrig.1: it is what the help texts say now, and a page that man can show."""

import subprocess

import click
import pytest

from orchestrator.cli.main import COMMANDS, cli
from orchestrator.host.process import find_tool
from tools.manual import PAGE, escaped, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(cli), "make man"


@pytest.mark.skipif(find_tool("groff") is None, reason="groff is not installed")
def test_troff_has_nothing_to_warn_of_and_shows_all_commands_and_options() -> None:
    argv = ["groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-ww", str(PAGE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)

    assert done.stderr == ""
    shown = " ".join(done.stdout.split())
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert f"patchrig {name} [OPTIONS]" in shown
        shown_ones = [one for one in command.params if not getattr(one, "hidden", False)]
        options = [one for parameter in shown_ones for one in parameter.opts if one.startswith("--")]
        assert [one for one in options if one not in shown] == []


@pytest.mark.parametrize(("text", "troff"), [
    (".nf is no macro here", "\\&.nf is no macro here"),
    ("'quoted'", "\\&'quoted'"),
    ("a\\b --long", "a\\eb \\-\\-long"),
])  # fmt: skip
def test_text_is_never_a_macro(text: str, troff: str) -> None:
    assert escaped(text) == troff
