# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig b4-check`: its options."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import (
    AGAIN,
    RESULTS,
    Choice,
    kernel_option,
    patch_option,
    suite_option,
    tree_option,
    with_choice,
)
from orchestrator.host.errors import ExitCode
from orchestrator.model.arch import ARCHES


@click.command("b4-check")
@with_choice(
    patch=patch_option("The series, instead of the mail on standard input"),
    tree=tree_option("Apply the series to this kernel tree, which is copied and never touched."),
    kernel=kernel_option("Apply the series to kernels/NAME.yaml, or to a version such as 6.12.100."),
    arch=click.option("--arch", multiple=True, type=click.Choice(sorted(ARCHES)),
                      help=f"This architecture (default: the first that this host can build). {AGAIN}"),
    suite=suite_option("A test suite instead of the workloads that patchrig chooses"),
)  # fmt: skip
@click.option("--prep", is_flag=True,
              help="For prep-perpatch-check-cmd: the series up to the patch on standard input, as lines.")  # fmt: skip
@click.option("--build/--no-build", default=True, help="Whether the kernels are built (default: yes).")
@click.option("--run", "runs", is_flag=True, help="Also run the cells, with 10 s of load each; see --seconds.")
@RESULTS
def b4_check(prep: bool, build: bool, runs: bool, results: Path, **choice: Any) -> ExitCode:
    """Check a series for `b4 review` or `b4 prep --check`.

    Reads the mail that b4 pipes in, and takes the other patches from b4's
    branch or the thread; with --patch it reads no mail. Checks which kernel the
    series applies to, which workloads run what it changes, and whether it
    builds. Runs no guest without --run, and downloads no kernel. Prints JSON
    for b4 review, and with --prep a line for each warning and error.

    Exit code 0: each check is pass or warn. 1: one is fail. 2: the command line
    is wrong. 130: you interrupted it.

    \b
    Examples:
      patchrig b4-check --tree .         # b4.review-series-check-cmd
      patchrig b4-check --prep --tree .  # b4.prep-perpatch-check-cmd
      patchrig b4-check --patch series.mbox --no-build
    """
    from orchestrator.cli.b4_checks import Asked, check_for_b4

    asked = Asked(choice=Choice(**choice), prep=prep, build=build, runs=runs, results=results)
    return check_for_b4(asked)
