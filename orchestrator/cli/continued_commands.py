# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig resume` and `patchrig merge`: their options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import (
    AS_JSON,
    IN_RESULTS,
    JOBS,
    JUNIT,
    RESULTS,
    SINCE,
    Output,
    cluster_options,
    with_cluster,
)
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="RUN")
@JOBS
@with_cluster
@click.option("--local", is_flag=True, help="Run the guests of a run that was on a cluster on this machine.")
@IN_RESULTS
@JUNIT
@AS_JSON
def resume(  # click gives each option as an argument
    name: str, jobs: int | None, local: bool, results: Path, junit: Path | None, as_json_text: bool, **where: str
) -> ExitCode:  # fmt: skip
    """Run what is left of a RUN that was killed or interrupted.

    After a kill, a power cut or a full disk: the cells that have ended stay as
    they are, and all others are run, with the options of the run. Its report
    and the exit code are then those of one run. RUN is an id, the start of one,
    a path, or "latest".

    A run on a cluster goes on there, unless you name another one, or --local.

    A run is resumed only with the series, kernel source, matrix, workloads and
    patchrig that it began with. Exit codes are those of `patchrig run`.

    \b
    Examples:
      patchrig resume latest
      patchrig resume 2026-11-29T0 --jobs 1
    """
    from orchestrator.cli import resumed_runs

    if local and any(where.values()):
        raise click.UsageError("--local: the guests run either here or on a cluster")
    how = cluster_options(**where) if local or any(where.values()) else {}
    how |= {"jobs": jobs} if jobs else {}
    return resumed_runs.resume(name, Output(results=results, junit=junit, as_json=as_json_text), **how)


@click.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--output", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder of the merged run (default: a new one in results/).")  # fmt: skip
@RESULTS
@JUNIT
@SINCE
@AS_JSON
def merge(  # click gives each option as an argument
    names: tuple[str, ...], folder: Path | None, results: Path, junit: Path | None, since: str, as_json_text: bool
) -> ExitCode:
    """Put the shards of a run together: one run, one report.

    Each RUN is an id, the start of one, or a path: what `patchrig run --shard`
    made on one of several machines. The merged run is a run as any other, and
    its exit code is that of `patchrig run`. A cell that no RUN has is lost.

    Runs of different series, kernels, matrices, workloads or versions of
    patchrig are refused, and so is a cell that ended twice in different ways.

    \b
    Examples:
      patchrig run swapoff --shard 1/2            # on one machine
      patchrig run swapoff --shard 2/2            # on another
      patchrig merge one/2026-11-29T* two/2026-11-29T*
    """
    from orchestrator.cli import merged_runs

    output = Output(results=results, junit=junit, as_json=as_json_text, since=since)
    return merged_runs.merge_runs(names, folder, output)
