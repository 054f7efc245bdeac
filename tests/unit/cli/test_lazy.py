# SPDX-License-Identifier: GPL-2.0-or-later
"""Help, completion and `list` are quick: they import no more than they need. And what the help texts look like."""

import os
import re
import shlex
import subprocess
import sys
from itertools import takewhile

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli.main import COMMANDS, cli
from orchestrator.cli.options import FLAVOURS, VARIANTS
from orchestrator.host.paths import CONFIGS
from orchestrator.model.configuration import Variant
from orchestrator.plan import flavours

# What takes most of a second to import, and what leads there.
HEAVY = (
    "paramiko",
    "cryptography",
    "jinja2",
    "rich",
    "elftools",
    "pexpect",
    "qemu",
    "junit_xml",
    "unidiff",
    "numpy",
    "scipy",
)
OURS = ("kernel", "vm", "guest", "judge", "report", "run")
LONGEST_LINE = 80

each_command = pytest.mark.parametrize("name", COMMANDS)


def imported_by(*arguments: str, **environment: str) -> set[str]:
    """The modules that a patchrig of its own has imported when it ends."""
    code = (
        "import sys\nfrom orchestrator.cli.main import cli\n"
        "try: cli(prog_name='patchrig')\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout
    return set(done.stderr.split())


def top_level(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def our_folders(modules: set[str]) -> set[str]:
    return {module.split(".")[1] for module in modules if module.startswith("orchestrator.")}


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def help_of(*words: str) -> str:
    done = CliRunner().invoke(cli, [*words, "--help"], prog_name="patchrig", terminal_width=LONGEST_LINE)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_a_help_text_imports_nothing_but_options(arguments: list[str]) -> None:
    modules = imported_by(*arguments)

    assert not top_level(modules) & {*HEAVY, "pydantic", "yaml"}
    assert not our_folders(modules) & {*OURS, "plan"}


@pytest.mark.parametrize("words", ["patchrig ", "patchrig run --fl", "patchrig sensitivity --variant "])
def test_completion_imports_nothing_but_options(words: str) -> None:
    number = str(words.count(" "))

    modules = imported_by(_PATCHRIG_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=number)

    assert not top_level(modules) & {*HEAVY, "pydantic", "yaml"}
    assert not our_folders(modules) & {*OURS, "plan"}


def test_a_list_of_cells_imports_what_reads_yaml_and_no_more() -> None:
    modules = imported_by("list", str(CONFIGS / "swapoff.yaml"))

    assert {"pydantic", "yaml"} <= top_level(modules)
    assert not top_level(modules) & set(HEAVY)
    assert not our_folders(modules) & set(OURS)


def test_completion_of_commands_tells_what_each_does() -> None:
    found = cli.shell_complete(click.Context(cli), "s")

    assert [(item.value, item.help) for item in found] == [
        (name, COMMANDS[name].summary) for name in ("schema", "sensitivity", "series", "settle", "shell")
    ]


def test_a_command_that_there_is_not_is_refused() -> None:
    done = CliRunner().invoke(cli, ["rum"])

    assert done.exit_code == 2
    assert "No such command 'rum', did you mean 'run'?" in done.output


def test_a_command_like_no_other_is_refused_without_a_guess() -> None:
    done = CliRunner().invoke(cli, ["zzzzzz"])

    assert done.exit_code == 2
    assert "No such command 'zzzzzz'.\n" in done.output


@each_command
def test_the_table_of_commands_says_what_the_commands_own_help_says(name: str) -> None:
    assert command(name).name == name
    assert (command(name).help or "").partition("\n\n")[0] == COMMANDS[name].summary


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_a_help_text_fits_80_columns_and_shows_an_example(words: list[str]) -> None:
    text = help_of(*words)

    assert [line for line in text.splitlines() if len(line) > LONGEST_LINE] == []
    assert re.search(rf"^  Examples?:\n(    patchrig .*\n)*    (.* \| )?patchrig {''.join(words)}", text, re.MULTILINE)


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_an_example_has_commands_and_options_that_there_are(words: list[str]) -> None:
    examples = re.findall(r"^    (?:\w+ \| )?patchrig (.*)$", help_of(*words), re.MULTILINE)

    assert examples
    for example in examples:
        lexer = shlex.shlex(example, posix=True, punctuation_chars="|>")
        lexer.whitespace_split = True
        name, *arguments = takewhile(lambda word: word not in ("|", ">"), lexer)
        found = command(name)
        found.make_parser(click.Context(found)).parse_args(list(arguments))


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_texts_have_the_words_of_kernel_developers(words: list[str]) -> None:
    assert not re.search(r"\b(complaint|complain|mend)", help_of(*words), re.IGNORECASE)


def test_the_variants_on_the_command_line_are_those_of_a_matrix() -> None:
    assert set(VARIANTS) == set(Variant)


def test_the_help_of_flavour_names_each_flavour() -> None:
    assert set(FLAVOURS) == set(flavours.FLAVOURS)
    text = " ".join(help_of("run").split())
    assert f"Flavour, in place of the default ones: {', '.join(FLAVOURS)}, or several" in text


@pytest.mark.parametrize(("name", "usage"), [("coverage", "[OPTIONS] [RUN]"), ("judge", "[OPTIONS] [CONSOLE.log]...")])
def test_an_argument_that_may_be_left_out_is_in_brackets(name: str, usage: str) -> None:
    assert help_of(name).splitlines()[0] == f"Usage: patchrig {name} {usage}"


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_each_option_has_a_help_text(words: list[str]) -> None:
    found = command(words[0]) if words else cli

    assert [option.name for option in found.params if isinstance(option, click.Option) and not option.help] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_takes_the_completion_script(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell], prog_name="patchrig")

    assert done.exit_code == 0
    assert f"_PATCHRIG_COMPLETE={shell}_complete" in done.output
