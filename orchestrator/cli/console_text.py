# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig judge` prints: the splats on a console, wherever the text comes from."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path

import click

from orchestrator.cli.logfile import STANDARD_INPUT, shown, text_of
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


def print_crashes(logs: tuple[str, ...], *, as_json_text: bool) -> ExitCode:
    """Print every splat in the logs; "-", or none, is standard input. Raises UserError."""
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
        return "no splat"
    ended = f", {count[Severity.COVERAGE]} that end a check" if count[Severity.COVERAGE] else ""
    return f"{count[Severity.FATAL]} that fail a cell unless allowed, {count[Severity.NOTE]} noted{ended}"
