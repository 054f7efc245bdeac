# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig replay KEY`: a run of one cell that is built from a key, and what came of it in words."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.reported_runs import new_run
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import json_text, printable
from orchestrator.model.replay_keys import ReplayKey, is_key, parse_key
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.keyed_replay import Given, KeyReplayed, replay_key, request_of_key, summary_of

_UNKNOWN = "none of what the key has differs: the guest has an input that docs/replay.md does not know"


def replay_of_key(text: str, given: Mapping[str, Any], results: Path, *, sandbox: bool, as_json_text: bool) -> ExitCode:
    """Build and run the cell of a key, and print whether its console is that of the key. `given`: fields of Given."""
    key = _parsed(text)
    request = request_of_key(key, Given(**given), sandbox=sandbox)
    with new_run(request, results) as store, terminal(screen(beside_output=True)) as listener:
        done = replay_key(key, request, store, listener)
    run = store.report().id
    if as_json_text:
        click.echo(json_text({**summary_of(done), "run": run}, indent=2))
    else:
        click.echo("\n".join(key_replay_lines(done, key, run, results)))
    return ExitCode.OK if done.identical else ExitCode.BAD_KERNEL


def _parsed(text: str) -> ReplayKey:
    if not is_key(text):
        raise click.UsageError("Missing argument 'CELL': a run alone names no cell, and this is no key")
    try:
        return parse_key(text)
    except ValueError as why:
        raise UserError(f"this is no whole key: {why}", hint="patchrig replay 'KEY', between quotation marks") from why


def key_replay_lines(done: KeyReplayed, key: ReplayKey, run: str, results: Path) -> Iterator[str]:
    """For a person. `run` is the id of the run that has the cell, in the folder `results`."""
    console = done.record.console
    yield "identical" if done.identical else "different"
    yield f"console       SHA-256 {console.sha256}, {console.lines} lines"
    if not done.identical:
        yield f"then          {key.console}..."
    word = "although" if done.identical else "because"
    why = done.why if done.identical else (done.why or (_UNKNOWN,))
    yield from (f"{word:13} {text}" for text in why)
    verdict = done.report.verdict
    yield f"outcome       {verdict.outcome}: {printable(verdict.title)}"
    elsewhere = () if results == paths.RESULTS else ("--results", str(results))
    yield f"look          {shlex.join(['patchrig', 'replay', run, done.report.cell.name, '--gdb', *elsewhere])}"
