# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run`, `list`, `build` and `repro`: their options. What does the work is imported when it is to be done."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import (
    AS_JSON,
    DETERMINISTIC,
    DUMP_MEMORY,
    FAIL_FAST,
    GUESTS_WITHOUT_SANDBOX,
    JOBS,
    JUNIT,
    MATRIX,
    RESTORE,
    RESULTS,
    SHARD,
    SINCE,
    WHERE,
    Choice,
    Output,
    cluster_options,
    with_choice,
    with_cluster,
)
from orchestrator.host.errors import ExitCode

_GIT_ALONE = click.option("--no-sandbox", "sandbox", flag_value=False, default=True, type=bool,
                          help="Let git, which reads the series, run without bubblewrap. Nothing is built or "
                          "booted.")  # fmt: skip


@click.command()
@click.argument("matrix", type=MATRIX, required=False)
@with_choice()
@JOBS
@FAIL_FAST
@RESULTS
@JUNIT
@DUMP_MEMORY
@RESTORE
@DETERMINISTIC
@SINCE
@SHARD
@with_cluster
@click.option("--mutate", is_flag=True, help="Then also score the series as `patchrig mutate` does; see there.")
@AS_JSON
def run(  # noqa: PLR0913  # click gives each option as an argument
    matrix: Path | None,
    jobs: int | None,
    fail_fast: bool,
    results: Path,
    junit: Path | None,
    dump_memory: bool,
    restore: bool,
    deterministic: bool,
    since: str,
    shard: str,
    mutate: bool,
    as_json_text: bool,
    **choice: Any,
) -> ExitCode:
    """Patch, build, boot and judge a series or a matrix.

    Without MATRIX, patchrig chooses for the series of --patch: the kernel that
    it is for, the workloads that reach what it changes, and the arches that
    this host can build. MATRIX is a YAML file, or the name of one that patchrig
    comes with: swapoff is configs/swapoff.yaml. That one runs if you give no
    matrix, series, tree or kernel.

    Exit code 0: no cell is red or lost, and at least one passed (or a suite
    ended). 1: a red cell, or a subtest that the series made worse. 2: the
    command line or a file is wrong. 3: no cell is red, but one is lost, or all
    are skipped; or the host failed. 130: you interrupted the run.
    Red is any outcome except passed, skipped, subtests-failed and lost. With
    --since a red cell counts only if its failure is new.

    \b
    Examples:
      patchrig run --patch series.mbox --tree ~/linux
      patchrig run swapoff --arch x86_64 --workload swapin --repeat 5
      patchrig run swapoff --since last       # each night
      patchrig run swapoff --cluster tcp://scheduler:8786
    """
    from orchestrator.cli import reported_runs

    if mutate and shard:
        raise click.UsageError("--mutate: a shard has no score: patchrig mutate")
    output = Output(results=results, junit=junit, as_json=as_json_text, since=since)
    how: dict[str, Any] = {"jobs": jobs, "fail_fast": fail_fast, "dump_memory": dump_memory, "restore": restore}
    how |= cluster_options(**{name: choice.pop(name) for name in WHERE})
    code = reported_runs.run(matrix, Choice(**choice, deterministic=deterministic), output, shard=shard, **how)
    if mutate:
        from orchestrator.cli.mutant_runs import score_beside_run

        score_beside_run(matrix, choice, output, jobs=jobs)
    return code


@click.command("list")
@click.argument("matrix", type=MATRIX, required=False)
@with_choice(no_sandbox=_GIT_ALONE)
@AS_JSON
def list_cells(matrix: Path | None, as_json_text: bool, **choice: Any) -> ExitCode:
    """Show the cells of a run and what each would do.

    Without MATRIX: those that `patchrig run` would choose for --patch, --tree
    or --kernel; else those of swapoff.

    \b
    Examples:
      patchrig list swapoff
      patchrig list --patch series.mbox
      patchrig list swapoff --json | jq '.[].name'
    """
    from orchestrator.cli.cell_list import print_cells

    return print_cells(matrix, Choice(**choice), as_json_text=as_json_text)


@click.command()
@click.argument("matrix", type=MATRIX, required=False)
@with_choice()
@RESULTS
@AS_JSON
def build(matrix: Path | None, results: Path, as_json_text: bool, **choice: Any) -> ExitCode:
    """Build the kernels of a run and print where they are; run nothing.

    Without MATRIX: those that `patchrig run` would choose for --patch, --tree
    or --kernel; else those of swapoff. The other options are those of `patchrig
    run` that select its cells.

    \b
    Examples:
      patchrig build swapoff --arch arm64 --flavour debug
      patchrig build --variant baseline --json | jq -r '.[].image'
    """
    from orchestrator.cli.kernel_builds import build_kernels

    return build_kernels(matrix, Choice(**choice), results, as_json_text=as_json_text)


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("cell")
@click.option("--repeat", type=click.IntRange(1), help="Run it this many times (default: once).")
@click.option("--until-fail", is_flag=True, help="Repeat until it fails, at most --repeat times (default: 1000).")
@click.option("--seconds", type=click.IntRange(1), help="Load seconds instead of the run's.")
@click.option("--seed", type=click.IntRange(0), help="Seed instead of the cell's.")
@DUMP_MEMORY
@click.option(
    "--widen", metavar="K=V,...", help="Other delays of a widened cell: chance=2%,max=30ms. What you leave out stays."
)
@RESTORE
@GUESTS_WITHOUT_SANDBOX
@JOBS
@RESULTS
@AS_JSON
def repro(  # noqa: PLR0913  # click gives each option as an argument
    name: str, cell: str, repeat: int | None, until_fail: bool, seconds: int | None, seed: int | None,
    dump_memory: bool, widen: str | None, restore: bool, sandbox: bool,
    jobs: int | None, results: Path, as_json_text: bool,
) -> ExitCode:  # fmt: skip
    """Run a CELL of an earlier RUN again.

    Kernel, guest files, seed and command line are the same. RUN is an id, the
    start of one, a path, or "latest". CELL is a cell's name, its end, or else a
    part that no other cell has.

    \b
    Examples:
      patchrig repro latest x86_64.swapin
      patchrig repro latest x86_64.swapin --until-fail --jobs 2
    """
    from orchestrator.cli import reported_runs

    again = reported_runs.Again(repeat=repeat, until_fail=until_fail, seconds=seconds, seed=seed, widen=widen)
    output = Output(results=results, junit=None, as_json=as_json_text)
    how = {"jobs": jobs, "dump_memory": dump_memory, "restore": restore, "sandbox": sandbox}
    return reported_runs.repro(name, cell, again, output, **how)
