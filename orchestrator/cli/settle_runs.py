# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig settle` does: a run of cells for a claimed race, and what came of it in words."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.hunt_runs import default_workloads
from orchestrator.cli.options import Choice, Output
from orchestrator.cli.replay_text import key_lines
from orchestrator.cli.reported_runs import new_run
from orchestrator.cli.request import request_of
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import json_text, printable
from orchestrator.model.claims import SIDES, Decision, Meetings, Place, PlaceCounts, Settled
from orchestrator.model.configuration import Variant
from orchestrator.plan.claimed_cells import parse_claim
from orchestrator.plan.flavours import is_widened
from orchestrator.report.kept_replay import load_replay
from orchestrator.report.run_files import write_whole
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.kernels import Request
from orchestrator.run.settling import ClaimTask, settle

TEXT_FILE = "settled.txt"
_CODES = {Decision.SHOWN: ExitCode.BAD_KERNEL, Decision.NOT_SHOWN: ExitCode.OK}


def settle_claim(
    claim: str, matrix: Path | None, choice: Mapping[str, Any], output: Output, *, schedules: int, jobs: int | None
) -> ExitCode:
    """Run the cells of a claim, and print the decision. `choice`: the fields of Choice that the command has."""
    places = parse_claim(claim)
    request = replace(_request(matrix, choice), jobs=jobs)
    task = ClaimTask(places=places, schedules=schedules, choose=not choice["workload"])
    with (
        new_run(request, output.results) as store,
        terminal(screen(beside_output=True)) as listener,
    ):
        done = settle(request, task, store, listener)
    record = load_replay(store.cell_folder(done.cell)) if done.cell else None
    key = record.key if record else ""
    lines = [*settled_lines(done, places, store.report().id, output.results), *key_lines(key)]
    write_whole(store.folder / TEXT_FILE, "\n".join([*lines, ""]))
    said = {**settled_json(done, places, store.folder), "key": key or None}
    click.echo(json_text(said, indent=2) if output.as_json else "\n".join(lines))
    return _CODES.get(done.decision, ExitCode.INFRA)


def _request(matrix: Path | None, choice: Mapping[str, Any]) -> Request:
    """The request of one build: a widened kernel of one arch, with the series where there is one."""
    if choice["suite"]:
        raise UserError("a test suite has no swapoff beside it: settle takes workloads", hint="--workload swapin")
    if not is_widened(choice["flavour"]):
        raise UserError("settle needs a flavour with widened in it: no other holds tasks", hint="--flavour widened")
    # Without a series there is only one variant, which a command line without a matrix chooses by itself.
    filled = {
        "flavour": (choice["flavour"],),
        "arch": (choice["arch"],),
        "workload": choice["workload"] or default_workloads(),
        "variant": (),
        "repeat": 1,
    }
    request = request_of(matrix, Choice(**{**choice, **filled}, deterministic=True))
    variant = Variant.PATCHED if request.series else Variant.BASELINE
    plan = replace(request.plan, matrix=request.plan.matrix.model_copy(update={"variants": (variant,)}))
    cells = tuple(cell for cell in request.cells if cell.build.variant is variant)
    if not cells:
        raise UserError(f"{plan.path}: no cell is left", hint="patchrig list ... --flavour widened")
    return replace(request, plan=plan, cells=cells)


def settled_lines(done: Settled, places: tuple[Place, Place], run: str, results: Path) -> Iterator[str]:
    """For a person. `run` is the id of the run that has the cells, in the folder `results`."""
    yield str(done.decision)
    if done.why:
        yield f"because   {printable(done.why)}"
    if done.finding and done.cell:
        yield f"finding   {done.finding.kind}: {printable(done.finding.title)}"
        yield f"replay    {_replay(done, run, results)}"
        alone = {None: "not known", True: "the same finding", False: "no such finding"}[done.alone]
        yield f"without   delays, the same cell: {alone}"
        yield from _met("cell", done.in_cell, places)
    if done.cells:
        yield f"schedules {done.cells}"
        yield from _met("", done.meetings, places)


def _met(what: str, meetings: Meetings | None, places: tuple[Place, Place]) -> Iterator[str]:
    """Two lines, one for each place; in `what` they met: a cell, or all cells for ""."""
    if meetings is None:
        yield f"{what:9} its guest did not say how often the places met"
        return
    names = [place.text for place in places]
    for side, own, other, count in zip(SIDES, names, reversed(names), (meetings.a, meetings.b), strict=True):
        yield f"{what or 'all':4} {side}    {own} ran {count.hits} times; {_holds(count, other)}"


def _holds(count: PlaceCounts, other: str) -> str:
    if not count.holds:
        return "no task was held there"
    return f"a task was held there {count.holds} times, and in {count.met} of them {other} ran ({count.passes} times)"


def _replay(done: Settled, run: str, results: Path) -> str:
    elsewhere = () if results == paths.RESULTS else ("--results", str(results))
    return shlex.join(["patchrig", "replay", run, done.cell.name if done.cell else "", *elsewhere])


def settled_json(done: Settled, places: tuple[Place, Place], folder: Path) -> dict[str, object]:
    """For a script."""
    return {
        "decision": str(done.decision),
        "why": done.why,
        "places": [place.text for place in places],
        "cells": done.cells,
        "meetings": _meetings_json(done.meetings),
        "kind": done.finding.kind if done.finding else None,
        "title": done.finding.title if done.finding else None,
        "cell": done.cell.name if done.cell else None,
        "meetings_of_cell": _meetings_json(done.in_cell) if done.in_cell else None,
        "without_delays": done.alone,
        "folder": str(folder),
    }


def _meetings_json(meetings: Meetings) -> list[dict[str, int]]:
    return [
        {"hits": one.hits, "holds": one.holds, "met": one.met, "passes": one.passes} for one in (meetings.a, meetings.b)
    ]
