"""`patchrig judge`: what a kernel complained of on a console, wherever the text comes from."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import click

from orchestrator.cli.options import AS_JSON
from orchestrator.errors import ExitCode, UserError
from orchestrator.judge.scan import crashes_in
from orchestrator.model import Crash, Severity
from orchestrator.text import json_text, printable

STANDARD_INPUT = "-"
_CHUNK = 1 << 18
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

    Without a file, or with "-", standard input is read. Exit code 1 means that something was found that fails a cell
    (severity "fatal") unless its matrix or workload allows it by its title, which is not known here. What is only
    noted ("note": an OOM kill, a driver's own WARNING), and what ends a check of the kernel's ("coverage": lockdep that
    has no room left), is shown and leaves it at 0. With --json, an object maps each file name to its complaints, in
    the order of their first lines. A title is given ten times at most.

    \b
    patchrig judge results/latest/cells/*/console.log
    dmesg | patchrig judge --json | jq -r '.["-"][] | [.line, .severity, .title] | @tsv'
    """
    if not logs and sys.stdin.isatty():
        raise UserError("no console log, and nothing is piped in", hint="patchrig judge CONSOLE.log...")
    found: dict[str, list[Crash]] = {}
    for log in logs or (STANDARD_INPUT,):
        found[log] = []
        for crash in _crashes_of(log):
            found[log].append(crash)
            if not as_json_text:
                click.echo(printable(_shown(log, crash)))
    if as_json_text:
        click.echo(json_text({log: [_as_json(crash) for crash in crashes] for log, crashes in found.items()}, indent=2))
    else:
        click.echo(_sum(found))
    fatal = any(crash.severity is Severity.FATAL for crashes in found.values() for crash in crashes)
    return ExitCode.BAD_KERNEL if fatal else ExitCode.OK


def _crashes_of(log: str) -> Iterator[Crash]:
    """Raises UserError."""
    try:
        with nullcontext(sys.stdin.buffer) if log == STANDARD_INPUT else Path(log).open("rb") as file:
            yield from crashes_in(_chunks(file))
    except OSError as e:
        raise UserError(f"{log}: {e.strerror or e}") from e


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    # What is there of a pipe, and not a full chunk: a complaint is shown when it is complete.
    read = getattr(file, "read1", file.read)
    while chunk := read(_CHUNK):
        yield chunk


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
    return "\n".join(lines)


def _sum(found: dict[str, list[Crash]]) -> str:
    count = Counter(crash.severity for crashes in found.values() for crash in crashes)
    if not count:
        return "no complaint"
    ended = f", {count[Severity.COVERAGE]} that end a check" if count[Severity.COVERAGE] else ""
    return f"{count[Severity.FATAL]} that fail a cell unless allowed, {count[Severity.NOTE]} noted{ended}"
