# SPDX-License-Identifier: GPL-2.0-or-later
"""`make man`: docs/man/patchrig.1, the manual page, from the help texts of all commands."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import click

from orchestrator.cli.main import cli
from orchestrator.host.errors import ExitCode

PAGE = Path(__file__).resolve().parent.parent / "docs" / "man" / "patchrig.1"
_AS_IT_IS = "\b"  # click's mark for a paragraph whose lines stay as they are
EXIT_CODES = {
    ExitCode.OK: "No cell is red or lost, and at least one passed.",
    ExitCode.BAD_KERNEL: "A kernel is bad: a red cell, or a subtest that the series made worse.",
    ExitCode.USAGE: "The command line or an input file is wrong.",
    ExitCode.INFRA: "The host failed, or no cell passed. The kernel is not at fault.",
    ExitCode.BUG: "A bug in patchrig.",
    ExitCode.INTERRUPTED: 'Interrupted. "patchrig resume RUN" runs the rest.',
}
ENVIRONMENT = {"PATCHRIG_CACHE": "The folder of the cache (default: ~/.cache/patchrig)."}
FILES = {
    "results/RUN/report.html": "The run as one page.",
    "results/RUN/summary.txt": "The run as plain text.",
    "results/RUN/junit.xml": "The run for CI servers.",
}


def page(group: click.Group) -> str:
    """The page in troff's man macros."""
    context = click.Context(group, info_name="patchrig")
    names = group.list_commands(context)
    commands = [(name, command) for name in names if (command := group.get_command(context, name))]
    purpose = (group.help or "").partition("\n")[0].rstrip("?.")
    lines = [
        '.\\" Written by tools/manual.py (make man); do not edit.',
        '.TH PATCHRIG 1 "" patchrig "User Commands"',
        *(".SH NAME", f"patchrig \\- {escaped(purpose[:1].lower() + purpose[1:])}"),
        *(".SH SYNOPSIS", ".B patchrig", "[OPTIONS] COMMAND [ARGUMENTS]..."),
        *(".SH DESCRIPTION", *paragraphs(group.help or "")),
        *(".SH OPTIONS", *options(group, context)),
        ".SH COMMANDS",
    ]
    for name, command in commands:
        own = click.Context(command, info_name=name, parent=context)
        usage = " ".join(command.collect_usage_pieces(own))
        lines += [f'.SS "patchrig {escaped(name)} {escaped(usage)}"', *paragraphs(command.help or "")]
        lines += options(command, own)
    for title, table in (("EXIT STATUS", EXIT_CODES), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines += [f".SH {title}"]
        for key, text in table.items():
            lines += [".TP", f".B {escaped(str(int(key) if isinstance(key, ExitCode) else key))}", escaped(text)]
    return "\n".join(lines) + "\n"


def paragraphs(text: str) -> Iterator[str]:
    """A help text: each paragraph filled, or as it is where click leaves it so."""
    for paragraph in text.strip().split("\n\n"):
        yield ".PP"
        if paragraph.lstrip(" \n").startswith(_AS_IT_IS):
            lines = dedent(paragraph.strip().removeprefix(_AS_IT_IS).strip("\n")).splitlines()
            yield from (".nf", *map(escaped, lines), ".fi")
        else:
            yield from (escaped(line.strip()) for line in paragraph.splitlines())


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.params:
        if record := parameter.get_help_record(context):
            names, text = record
            yield from (".TP", f".B {escaped(names)}", escaped(" ".join(text.split())))


def escaped(text: str) -> str:
    """Text that troff prints as it is, also where a line begins with one of its control characters."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


if __name__ == "__main__":
    text = page(cli)
    if sys.argv[1:] == ["--write"]:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
