# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig hunt`: its options. What does the work is imported when it is to be done."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import (
    AS_JSON,
    DETERMINISTIC,
    DUMP_MEMORY,
    JOBS,
    REFUSED_SUITE,
    RESTORE,
    RESULTS,
    Output,
    kernel_option,
    patch_option,
    tree_option,
    widen_option,
    with_build_choice,
)
from orchestrator.host.errors import ExitCode


@click.command()
@with_build_choice(
    patch=patch_option("Hunt in the kernel with this series"),
    tree=tree_option("Hunt in this kernel tree, which is copied and never touched."),
    kernel=kernel_option("Hunt in kernels/NAME.yaml, or in a version such as 6.12.100."),
    suite=REFUSED_SUITE,
    widen=widen_option("0.2%", partners=False),
)
@click.option("--seconds", type=click.IntRange(1), help="Load seconds of each cell (default: 20).")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    help="End after this time, builds included (default: 8). With --resume: run for this much longer (default: what "
    "was left of the hunt's time).",
)
@click.option("--rounds", type=click.IntRange(1), help="Also end after this many rounds.")
@click.option("--passes", type=click.IntRange(1), hidden=True, help="--rounds, until the next release.")
@click.option(
    "--in",
    "files",
    default="",
    metavar="FILE,...",
    help="Widened kernels delay in all functions of these C files: 'mm/swap*.c,mm/zswap.c'; a folder stands for the C "
    "files in it (default: mm/swap*.c and the files that the workloads and the series are about).",
)
@click.option("--resume", metavar="HUNT", help='Go on with a hunt: an id, the start of one, a path, or "latest".')
@JOBS
@RESULTS
@DUMP_MEMORY
@RESTORE
@DETERMINISTIC
@AS_JSON
def hunt(  # noqa: PLR0913  # click gives each option as an argument
    seconds: int | None, hours: float | None, rounds: int | None, passes: int | None, files: str, resume: str | None,
    jobs: int | None, results: Path, dump_memory: bool, restore: bool, deterministic: bool, as_json_text: bool,
    **choice: Any,
) -> ExitCode:  # fmt: skip
    """Look for bugs that nobody knows, for hours.

    A hunt takes no matrix: give --kernel, --tree or --patch. In each round, each
    workload runs once on all arches, on plain and on widened kernels; the next
    round has other seeds. Widened kernels delay in all functions of the files
    of --in. The hunt goes on after a finding, and reports each once: with its
    rate, its first seed and the command that runs that cell again.

    All seeds are derived from --seed. Without it each hunt draws a new one, and
    reports it. With --resume, a hunt keeps its seed and all else that it runs.

    Exit code 0: nothing was found. 1: something was, or a kernel was not
    built. 2: the command line is wrong. 3: the host failed, no cell passed, or
    all cells of a workload on a build were lost. 130: you interrupted it.

    \b
    Examples:
      patchrig hunt --kernel 7.1 --hours 8
      patchrig hunt --tree ~/linux --patch my.mbox --in 'mm/swap*.c,mm/zswap.c'
      patchrig hunt --kernel 7.1 --deterministic  # each finding has a replay
      patchrig hunt --resume latest
    """
    from orchestrator.cli.hunt_runs import HuntChoice, go_on, run_hunt_of

    if passes is not None:
        click.echo("NOTE: --passes is now --rounds, and goes with the next release", err=True)
    asked = HuntChoice(hours=hours, rounds=rounds or passes, files=files, deterministic=deterministic)
    output = Output(results=results, junit=None, as_json=as_json_text)
    how = {"jobs": jobs, "dump_memory": dump_memory, "restore": restore}
    if resume is not None:
        return go_on(resume, asked, {**choice, "seconds": seconds}, output, **how)
    return run_hunt_of(asked, {**choice, "seconds": seconds}, output, **how)
