# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig mutate`: its options."""

import re
from pathlib import Path
from typing import Any, ClassVar

import click

from orchestrator.cli.options import (
    AGAIN,
    AS_JSON,
    JOBS,
    JUNIT,
    MATRIX,
    REFUSED_SUITE,
    RESULTS,
    Output,
    names_in,
    with_build_choice,
)
from orchestrator.host.errors import ExitCode


class Budget(click.ParamType):  # type: ignore[type-arg]  # generic in some versions of click only
    """A time on the host: 90s, 10m or 1.5h."""

    name = "TIME"
    _UNITS: ClassVar = {"s": 1.0, "m": 60.0, "h": 3600.0}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smh])", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"{value!r} is no time: 90s, 10m or 1.5h", param, ctx)
        return float(found[1]) * self._UNITS[found[2]]


@click.command()
@click.argument("matrix", type=MATRIX, required=False)
@click.option("--list", "listed", is_flag=True, help="List the mutants. Nothing is built.")
@click.option(
    "--build",
    "built",
    is_flag=True,
    help="List them, build a kernel for each arch and flavour that has all of them, and say which do not compile. "
    "Not with --list.",
)
@click.option(
    "--patches",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="With --list or --build: write each mutant as a patch into a new folder, for patchrig sensitivity --bugs DIR.",
)
@click.option(
    "--operators",
    default="",
    metavar="O,...",
    help="Only mutants of these operators, such as negate,drop-release (default: all).",
)
@click.option("--only", multiple=True, metavar="FUNCTION", help=f"Only mutants in this function. {AGAIN}")
@click.option(
    "--seconds",
    type=click.IntRange(1),
    help="Load seconds of each cell, also of the control's (default: 5, or those of the matrix if it has less).",
)
@click.option(
    "--budget",
    type=Budget(),
    metavar="TIME",
    help="End the guests of all mutants after this time: 90s, 10m, 1.5h; builds do not count. Mutants are then tried "
    "in random order, and the score is an estimate from those that were tried.",
)
@click.option(
    "--tries",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="Run each mutant in at most N of the workloads that pass its place: first in those that are meant for its "
    "file.",
)
@click.option(
    "--repro",
    "again",
    metavar="MUTANT",
    help="Run a mutant of the last run in the results again, by its number; of another run: RUN/NUMBER.",
)
@with_build_choice(suite=REFUSED_SUITE)
@JOBS
@RESULTS
@JUNIT
@AS_JSON
def mutate(  # noqa: PLR0913  # one parameter an option
    matrix: Path | None, listed: bool, built: bool, patches: Path | None, operators: str, only: tuple[str, ...],
    seconds: int | None, budget: float | None, tries: int, again: str | None, jobs: int | None,
    results: Path, junit: Path | None, as_json_text: bool, **choice: Any,
) -> ExitCode:  # fmt: skip
    """Break what a series changes, and see what the workloads notice.

    MATRIX, --patch, --tree and --kernel say which series on which kernel, as
    for `patchrig run`. A mutant is one changed place that an operator breaks.
    One kernel has them all. Each workload runs once as a control; then each
    mutant in those that reach it, until one notices it: docs/mutation.md.

    Exit code 0: each mutant that was tried was noticed or has no effect, or
    there is no mutant. 1: a mutant survived or is not reached, a workload of
    the control shows a finding, or the kernel does not build. 2: the command
    line is wrong, or the series does not apply. 3: a mutant was lost, or none
    has the outcome noticed or no effect. 130: you interrupted it.

    With --list it is 0, with --build 1 if a kernel was not built, with --repro
    that of `patchrig repro`.

    \b
    Examples:
      patchrig mutate swapoff --arch x86_64
      patchrig mutate --patch series.mbox --budget 10m
      patchrig mutate --repro 17
      patchrig mutate swapoff --list --patches mutants/
    """
    output = Output(results=results, junit=junit, as_json=as_json_text)
    if (listed and built) or (patches and not listed and not built):
        raise click.UsageError("--list or --build: one of them; --patches: with one of them")
    if again is not None:
        from orchestrator.cli.mutant_runs import repro_mutant

        return repro_mutant(again, output, sandbox=choice["sandbox"])
    if listed or built:
        from orchestrator.cli.mutants_text import Shown, show_mutants

        shown = Shown(builds=results if built else None, patches=patches, as_json=as_json_text)
        return show_mutants(matrix, {"operators": names_in(operators), "only": only}, choice, shown)
    from orchestrator.cli.mutant_runs import MutantRunChoice, mutant_choice, run_mutants

    asked = MutantRunChoice(seconds=seconds, budget=budget, tries=tries, jobs=jobs)
    return run_mutants(matrix, mutant_choice(names_in(operators), only), asked, output, choice)
