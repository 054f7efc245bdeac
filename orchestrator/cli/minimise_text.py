# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig minimise` prints, and keeps in the run's folder."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from orchestrator.cli.request import versions
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode
from orchestrator.host.text import json_text, printable
from orchestrator.model.minimised import Minimised
from orchestrator.report.run_files import write_whole
from orchestrator.report.store import find_cell, find_run, load_run, open_run_at
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.minimising import MINIMISED_FOLDER, TrialBudget, minimise, minimised_name, target_of
from orchestrator.run.sandboxing import guests_in_sandbox

TEXT_FILE = "minimised.txt"


def minimise_cell(
    name: str, cell: str, results: Path, budget: TrialBudget, *, sandbox: bool, as_json_text: bool
) -> ExitCode:
    """Minimise a cell, and print what came of it."""
    report = load_run(find_run(results, name))
    found = find_cell(report, cell)
    target_of(report, found)
    below = minimised_name(report, found)
    with (
        open_run_at(
            report.folder / below,
            f"{report.id}/{below}",
            argv=["patchrig", *sys.argv[1:]],
            matrix_path=report.matrix_path,
            matrix=report.matrix,
            versions=versions((found.cell.build.arch,)),
        ) as store,
        terminal(screen(beside_output=True)) as listener,
    ):
        in_sandbox = guests_in_sandbox(sandbox, listener)
        done = minimise(report, found, budget, store, listener, sandbox=in_sandbox)
    lines = list(minimised_lines(done, store.report().id, results))
    write_whole(store.folder / TEXT_FILE, "\n".join([*lines, ""]))
    click.echo(json_text(minimised_json(done, store.folder), indent=2) if as_json_text else "\n".join(lines))
    return ExitCode.OK if done.cell else ExitCode.BAD_KERNEL


def minimised_lines(done: Minimised, run: str, results: Path) -> Iterator[str]:
    """For a person. `run` is the id of the run that the trials are cells of, in the folder `results`."""
    yield f"finding   {done.finding.kind}: {printable(done.finding.title)}"
    if done.cell is None:
        yield "trials    1: the cell as it was, which did not show it again"
        yield f"compare   {_command('replay', run, done, results)}"
        return
    yield f"trials    {done.trials}, {done.shown} of them showed it; the end: {done.why_ended}"
    width = max((len(one.what) for one in done.reductions), default=0)
    yield from (f"smaller   {one.what:{width}}  {one.before} -> {one.after}" for one in done.reductions)
    if not done.reductions:
        yield "smaller   nothing: each part is needed, or no trial with less of it showed the finding"
    yield f"cell      {done.cell.name}"
    yield f"replay    {_command('replay', run, done, results)}"


def _command(command: str, run: str, done: Minimised, results: Path) -> str:
    cell = done.cell.name if done.cell else ""
    if not cell:
        # The cell as it was is one of the run above.
        run, _, cell = run.partition(f"/{MINIMISED_FOLDER}/")
    elsewhere = () if results == paths.RESULTS else ("--results", str(results))
    return shlex.join(["patchrig", command, run, cell, *elsewhere])


def minimised_json(done: Minimised, folder: Path) -> dict[str, object]:
    """For a script."""
    return {
        "kind": done.finding.kind,
        "title": done.finding.title,
        "shown_again": done.cell is not None,
        "cell": done.cell.name if done.cell else None,
        "folder": str(folder),
        "trials": done.trials,
        "trials_shown": done.shown,
        "complete": done.complete,
        "smaller": [{"what": one.what, "before": one.before, "after": one.after} for one in done.reductions],
    }
