# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig reach`: workloads that are in no map are run, and what the maps have is shown."""

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import Choice, Output, names_in
from orchestrator.cli.reach_text import map_json, map_lines, maps_with, of_json, of_lines
from orchestrator.cli.reported_runs import exit_code, run_request
from orchestrator.cli.request import request_of
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import json_text, printable
from orchestrator.model.events import Listener
from orchestrator.model.reach import DEFAULT_FOLDERS
from orchestrator.plan.expansion import builds_of
from orchestrator.report.store import Store
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.kernels import open_kernels
from orchestrator.run.matrix import run_matrix
from orchestrator.run.reach_maps import kept_maps, maps_of
from orchestrator.run.recording import NotRecorded, identities, keep_recorded, maps_at, not_in_maps

FLAVOUR = "reach"
# It becomes a pattern of a makefile.
_FOLDER = re.compile(r"(?!/|.*\.\.)[\w./+-]+")


def folders_of(text: str) -> tuple[str, ...]:
    """The folders of --in, each with a slash at its end. Raises UserError."""
    found = [f"{name.rstrip('/')}/" for name in names_in(text)]
    for folder in found:
        if not _FOLDER.fullmatch(folder):
            raise UserError(f"--in: {folder[:-1]!r} is no folder of a kernel tree", hint="--in mm/,fs/proc/")
    return tuple(dict.fromkeys(found)) or DEFAULT_FOLDERS


def record(matrix: Path, choice: Choice, output: Output, *, again: bool, **how: Any) -> ExitCode:
    """`how`: the fields of Request that this command has options for."""
    request = replace(request_of(matrix, choice), series=(), **how)
    with terminal(screen(beside_output=output.as_json)) as listener, open_kernels(request, listener) as kernels:
        known = identities(builds_of(request.cells), kernels)
    cells = request.cells if again else not_in_maps(request.cells, known, request.folders, request.cache)
    missing: list[NotRecorded] = []
    code = ExitCode.OK
    wanted = replace(request, cells=cells)

    def work(store: Store, listener: Listener) -> None:
        try:
            run_matrix(wanted, store, listener)
        finally:
            # Of a run that is interrupted, or stops because of this machine, what had finished is in the map.
            missing.extend(keep_recorded(store.report(), known, request.cache))

    if cells:
        code = exit_code(run_request(wanted, output, work))
    maps = maps_at(known, request.folders, request.cache)
    if output.as_json:
        click.echo(json_text([map_json(map_, missing) for map_ in maps], indent=2))
    else:
        for line in (line for map_ in maps for line in map_lines(map_)):
            click.echo(printable(line))
    for one in missing:
        click.echo(printable(f"nothing of {one.cell} is in the map: {one.why}"), err=True)
    if missing or not maps:
        return code if code is not ExitCode.OK else ExitCode.INFRA
    return ExitCode.OK


def show(asked: str, *, kernel: str, arches: Collection[str], as_json: bool) -> ExitCode:
    """Which workloads run a function, or each function of a file, by all maps of the cache."""
    maps = maps_of(kept_maps(paths.cache_root()), version=kernel, arches=arches)
    if not maps:
        of = f" of {' '.join([kernel, *arches]).strip()}" if kernel or arches else ""
        raise UserError(f"there is no reach map{of}", hint="patchrig reach  # makes one")
    maps = maps_with(asked, maps)
    if as_json:
        click.echo(json_text([of_json(asked, map_) for map_ in maps], indent=2))
    else:
        for line in (line for map_ in maps for line in of_lines(asked, map_)):
            click.echo(printable(line))
    return ExitCode.OK
