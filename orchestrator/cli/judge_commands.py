# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig judge`: what a kernel complained of on a console, wherever the text comes from."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path

import click

from orchestrator.cli.logfile import STANDARD_INPUT, shown, text_of
from orchestrator.cli.options import AS_JSON
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import json_text, printable
from orchestrator.judge.scan import crashes_in
from orchestrator.model.crashes import Crash, Severity

_MOST_FRAMES = 6
_MEANINGS = {
    Severity.FATAL: "fails a cell unless allowed",
    Severity.NOTE: "noted only",
    Severity.COVERAGE: "noted only, and ends a check of the kernel's",
}


@click.command()
@click.argument(
    "logs", metavar="CONSOLE.log...", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@AS_JSON
def judge(logs: tuple[str, ...], as_json_text: bool) -> ExitCode:
    """Find every kernel complaint in console logs of any kernel, any machine, any size.

    Without a file, or with "-", standard input is read. A log may come in any form: a serial console, dmesg, journalctl
    or syslog with any options and in any language, netconsole, /dev/kmsg, a CI's log, a quoted mail; in UTF-8 or
    UTF-16; packed with gzip, xz or bzip2 (2 GiB of text at most). What a log daemon has from programs is left out.

    Exit code 1 means that something was found that fails a cell (severity "fatal") unless its matrix or workload allows
    it by its title, which is not known here. What is only noted ("note": an OOM kill, a driver's own WARNING), and what
    ends a check of the kernel's ("coverage": lockdep that has no room left), is shown and leaves it at 0; so does an
    empty log, which is called empty. Exit code 2: a file can't be read, is damaged, or is no text (a memory dump, a
    picture, systemd's own journal); the message says what it is.

    With --json, an object maps each file name to its complaints, in the order of their first lines. A title is given
    ten times at most.

    \b
    patchrig judge results/latest/cells/*/console.log
    dmesg | patchrig judge --json | jq -r '.["-"][] | [.line, .severity, .title] | @tsv'
    """
    if not logs and sys.stdin.isatty():
        raise UserError("no console log, and nothing is piped in", hint="patchrig judge CONSOLE.log...")
    found: dict[str, list[Crash]] = {}
    empty = []
    for log in logs or (STANDARD_INPUT,):
        found[log] = []
        text = _text(log)
        first = next(text, b"")
        if not first:
            empty.append(log)
            click.echo(f"{shown(log)}: empty", err=as_json_text)
        for crash in crashes_in(chain([first], text)):
            found[log].append(crash)
            if not as_json_text:
                click.echo(printable(_shown(log, crash)))
    if as_json_text:
        click.echo(json_text({log: [_as_json(crash) for crash in crashes] for log, crashes in found.items()}, indent=2))
    elif len(empty) < len(found):
        click.echo(_sum(found))
    fatal = any(crash.severity is Severity.FATAL for crashes in found.values() for crash in crashes)
    return ExitCode.BAD_KERNEL if fatal else ExitCode.OK


def _text(log: str) -> Iterator[bytes]:
    """Raises UserError."""
    try:
        with nullcontext(sys.stdin.buffer) if log == STANDARD_INPUT else Path(log).open("rb") as file:
            yield from text_of(log, file)
    except OSError as e:
        raise UserError(f"{shown(log)}: {e.strerror or e}") from e


def _as_json(crash: Crash) -> dict[str, object]:
    return {
        "kind": str(crash.kind),
        "title": crash.title,
        "function": crash.function,
        "line": crash.line,
        "severity": str(crash.severity),
        "frames": list(crash.frames),
        "corrupted": crash.corrupted,
        "follow_up": crash.follow_up,
        "task": crash.task,
    }


def _shown(log: str, crash: Crash) -> str:
    marks = [_MEANINGS[crash.severity], str(crash.kind)]
    marks += [f"task {crash.task}"] * bool(crash.task)
    marks += ["came after a first one"] * crash.follow_up
    marks += ["its report is torn or cut"] * crash.corrupted
    name = "" if log == STANDARD_INPUT else f"{log}:"
    lines = [f"{name}{crash.line}: {crash.title}", f"    {', '.join(marks)}"]
    if crash.frames:
        more = " <- ..." if len(crash.frames) > _MOST_FRAMES else ""
        lines.append(f"    {' <- '.join(crash.frames[:_MOST_FRAMES])}{more}")
    return "\n".join(map(printable, lines))


def _sum(found: dict[str, list[Crash]]) -> str:
    count = Counter(crash.severity for crashes in found.values() for crash in crashes)
    if not count:
        return "no complaint"
    ended = f", {count[Severity.COVERAGE]} that end a check" if count[Severity.COVERAGE] else ""
    return f"{count[Severity.FATAL]} that fail a cell unless allowed, {count[Severity.NOTE]} noted{ended}"
