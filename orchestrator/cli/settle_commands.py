# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig settle`: its options. What does the work is imported when it is to be done."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import AS_JSON, JOBS, MATRIX, REFUSED_SUITE, RESULTS, Output, with_build_choice
from orchestrator.host.errors import ExitCode
from orchestrator.model.arch import ARCHES


@click.command()
@click.argument("claim")
@click.argument("matrix", type=MATRIX, required=False)
@with_build_choice(
    arch=click.option("--arch", type=click.Choice(sorted(ARCHES)), default="x86_64", show_default=True,
                      help="The architecture."),
    flavour=click.option("--flavour", default="widened", show_default=True, metavar="F",
                         help="The flavour: widened, or widened and others as in widened+kasan."),
    suite=REFUSED_SUITE,
)  # fmt: skip
@click.option("--schedules", type=click.IntRange(1, 10_000), default=20, show_default=True,
              help="Run at most so many cells, each with another seed.")  # fmt: skip
@click.option("--seconds", type=click.IntRange(1), default=10, show_default=True, help="Load seconds of each cell.")
@JOBS
@RESULTS
@AS_JSON
def settle(  # noqa: PLR0913  # click gives each option as an argument
    claim: str, matrix: Path | None, schedules: int, seconds: int, jobs: int | None, results: Path,
    as_json_text: bool, **choice: Any,
) -> ExitCode:  # fmt: skip
    """Decide whether two places of the kernel race, as a CLAIM says.

    CLAIM is '[FILE:]FUNCTION[:LINE] | [FILE:]FUNCTION[:LINE]'. A widened kernel
    holds a task at one of the places until another task has come by at the
    other, or the other way round, as the seed decides for each hold. The guests
    are deterministic, each with another seed. Without LINE a task is held
    anywhere in the function.

    Without --workload, patchrig chooses those that run both functions by the
    reach map, else those that are meant for their files. The kernel is that of
    MATRIX, --kernel, --tree or --patch.

    Exit code 0: not shown; how often the places met is printed. 1: shown; the
    finding and the command that replays it are printed. 2: the command line is
    wrong. 3: a place is not reachable here, or nothing was decided; or the host
    failed.

    \b
    Examples:
      patchrig settle 'do_swap_page | mm/swapfile.c:swapoff' swapoff
      patchrig settle 'shmem_unuse | shmem_undo_range:1130' --kernel 6.19
    """
    from orchestrator.cli.settle_runs import settle_claim

    output = Output(results=results, junit=None, as_json=as_json_text)
    return settle_claim(claim, matrix, {**choice, "seconds": seconds}, output, schedules=schedules, jobs=jobs)
