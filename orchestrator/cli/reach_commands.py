# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig reach`: its options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import (
    ALL_WORKLOADS,
    ARCH,
    AS_JSON,
    CONFIG,
    JOBS,
    MATRIX,
    NO_SANDBOX,
    RESTORE,
    RESULTS,
    WORKLOAD,
    Choice,
    Output,
    kernel_option,
    suite_option,
    tree_option,
)
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("matrix", type=MATRIX, default=ALL_WORKLOADS)
@tree_option("Map this kernel tree instead of the matrix's kernel.")
@kernel_option("Map kernels/NAME.yaml, or a version such as 6.12.100, instead of the matrix's kernel.")
@ARCH
@WORKLOAD
@CONFIG
@suite_option("A test suite instead of the matrix's workloads")
@click.option("--seconds", type=click.IntRange(1), help="Load seconds of each workload instead of the matrix's.")
@click.option(
    "--in", "folders", default="", metavar="DIR,...", help="Folders of the kernel that are recorded (default: mm/)."
)
@click.option("--of", "asked", default="", metavar="NAME", help="Only show which workloads run this function or file.")
@click.option("--again", is_flag=True, help="Also run workloads that are in the map already.")
@NO_SANDBOX
@RESTORE
@JOBS
@RESULTS
@AS_JSON
def reach(  # noqa: PLR0913  # click gives each option as an argument
    matrix: Path, tree: Path | None, kernel: str | None, arch: tuple[str, ...], workload: tuple[str, ...],
    config: tuple[str, ...], suite: tuple[str, ...], seconds: int | None, folders: str, asked: str, again: bool,
    sandbox: bool, restore: bool, jobs: int | None, results: Path, as_json_text: bool,
) -> ExitCode:  # fmt: skip
    """Record which kernel functions each workload of MATRIX, or each suite, runs.

    Each of them runs once on the kernel without the series, with all of mm/
    instrumented. What it ran is kept in the cache; `patchrig run` then begins
    with the workloads that run most of what the series changes, and lists the
    changed functions that nothing runs. Without MATRIX, configs/mm.yaml is used:
    it has all workloads that a run without a matrix chooses from.

    Exit code 0: each of them is in the map. 1: one is not, and a cell is red,
    or a kernel was not built. 2: the command line or a file is wrong. 3: one is
    not, and no cell is red (a guest was lost); or the host failed. 130: you
    interrupted the run.

    \b
    Examples:
      patchrig reach --kernel 7.1 --arch x86_64
      patchrig reach --kernel 7.1 --suite kselftest:mm
      patchrig reach --of do_swap_page
      patchrig reach --of mm/zswap.c --json
    """
    from orchestrator.cli import reach_runs

    if asked:
        return reach_runs.show(asked, kernel=kernel or "", arches=arch, as_json=as_json_text)
    choice = Choice(
        patch=(),
        series_version="",
        tree=tree,
        kernel=kernel,
        arch=arch,
        flavour=(reach_runs.FLAVOUR,),
        workload=workload,
        suite=suite,
        variant=("baseline",),
        seconds=seconds,
        seed=None,
        repeat=1,
        widen=None,
        sandbox=sandbox,
        config=config,
    )
    output = Output(results=results, junit=None, as_json=as_json_text)
    how = {"folders": reach_runs.folders_of(folders), "jobs": jobs, "restore": restore}
    return reach_runs.record(matrix, choice, output, again=again, **how)
