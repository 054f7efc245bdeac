# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig replay` prints."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from orchestrator.host.errors import ExitCode
from orchestrator.host.text import json_text, printable
from orchestrator.model.traced import Call
from orchestrator.report.next_command import wrapped_key
from orchestrator.report.store import find_cell, find_run, load_run
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.replaying import REPLAY_FOLDER, Replayed, replay
from orchestrator.run.sandboxing import guests_in_sandbox
from orchestrator.run.tracing import trace, traced_function

_UNKNOWN = "none of what is stored differs: the guest has an input that docs/replay.md does not know"


def replay_cell(
    name: str, cell: str, results: Path, traced: tuple[str, ...] = (), *, sandbox: bool, as_json_text: bool
) -> ExitCode:
    """Replay a cell, and print what came of it."""
    report = load_run(find_run(results, name))
    found = find_cell(report, cell)
    asked = tuple(map(traced_function, traced))
    with terminal(screen(beside_output=True)) as listener:
        in_sandbox = guests_in_sandbox(sandbox, listener)
        if asked:
            done, seen = trace(report, found, asked, listener, sandbox=in_sandbox)
        else:
            done, seen = replay(report, found, listener, sandbox=in_sandbox), ()
    folder = report.folder / found.folder
    if as_json_text:
        calls = {"calls": list(map(call_json, seen))} if asked else {}
        click.echo(json_text(replay_json(done) | calls, indent=2))
    else:
        click.echo("\n".join((*call_lines(seen), *replay_lines(done, folder))))
    return ExitCode.OK if done.identical else ExitCode.BAD_KERNEL


def replay_lines(done: Replayed, folder: Path) -> Iterator[str]:
    """For a person. `folder` is the cell's."""
    console = done.now.console
    if done.identical:
        yield "identical"
        yield f"console       SHA-256 {console.sha256}, {console.lines} lines"
        counted = f"about {done.now.instructions:,}".replace(",", " ")
        yield f"instructions  {counted} at {console.guest_seconds:.6f} s of guest time, the last line's stamp"
        yield from (f"although      {text}" for text in done.why)
        yield from key_lines(done.before.key)
        return
    yield f"different from line {done.line} of the console on"
    yield f"then          {printable(done.said_before) or '(no such line)'}"
    yield f"now           {printable(done.says_now) or '(no such line)'}"
    yield from (f"because       {text}" for text in done.why or (_UNKNOWN,))
    yield f"compare       diff {folder / 'console.log'} {folder / REPLAY_FOLDER / 'console.log'}"


def key_lines(key: str) -> Iterator[str]:
    """The key of a cell in lines that a mail does not break; it may be given back in the same form."""
    if key:
        yield "key           for `patchrig replay '...'` on another machine:"
        yield from wrapped_key(key)


def call_lines(calls: Sequence[Call]) -> Iterator[str]:
    """A table of calls, for a person."""
    if calls:
        yield "clock (s)     CPU  task              call"
    for call in calls:
        clock = "-" if call.seconds is None else f"{call.seconds:.6f}"
        task = "-" if call.task is None else f"{call.task:016x}"
        yield f"{clock:>12}  {call.cpu:3}  {task:16}  {call.function.name}({_arguments(call)})"


def _arguments(call: Call) -> str:
    names = call.function.arguments or tuple(f"{number}" for number in range(1, len(call.arguments) + 1))
    return ", ".join(f"{name}={value:#x}" for name, value in zip(names, call.arguments, strict=False))


def call_json(call: Call) -> dict[str, object]:
    """A call, for a script."""
    return {
        "function": call.function.name,
        "cpu": call.cpu,
        "seconds": call.seconds,
        "task": None if call.task is None else f"{call.task:#x}",
        "arguments": [f"{value:#x}" for value in call.arguments],
        "names": list(call.function.arguments),
    }


def replay_json(done: Replayed) -> dict[str, object]:
    """For a script."""
    return {
        "identical": done.identical,
        "sha256": done.now.console.sha256,
        "sha256_before": done.before.console.sha256,
        "guest_seconds": done.now.console.guest_seconds,
        "instructions": done.now.instructions,
        "line": done.line or None,
        "then": done.said_before,
        "now": done.says_now,
        "why": list(done.why),
        "key": done.before.key or None,
    }
