# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig mutate`: its options."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import AS_JSON, MATRIX, RESULTS, with_build_choice
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("matrix", type=MATRIX, required=False)
@click.option("--list", "listed", is_flag=True, help="List the mutants. Nothing is built.")
@click.option(
    "--build",
    "built",
    is_flag=True,
    help="Also build a kernel for each arch and flavour that has all of them, and say which do not compile.",
)
@click.option(
    "--patches",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also write each mutant as a patch into a new folder, for patchrig sensitivity --bugs DIR.",
)
@click.option(
    "--operators",
    default="",
    metavar="O,...",
    help="Only mutants of these operators: negate,drop-release (default: all).",
)
@click.option("--only", multiple=True, metavar="FUNCTION", help="Only mutants in this function.")
@with_build_choice
@RESULTS
@AS_JSON
def mutate(  # noqa: PLR0913  # one parameter an option
    matrix: Path | None,
    listed: bool,
    built: bool,
    patches: Path | None,
    operators: str,
    only: tuple[str, ...],
    results: Path,
    as_json_text: bool,
    **choice: Any,
) -> ExitCode:
    """Break what a series changes, one place at a time, by rule.

    MATRIX, --patch, --tree and --kernel say which series on which kernel, as
    for `patchrig run`. Each mutant is one changed place that an operator
    breaks: a release that is not there, a condition the other way round.
    docs/mutation.md has the operators.

    \b
    Examples:
      patchrig mutate --list --patch series.mbox
      patchrig mutate swapoff --list --operators drop-release,leak-on-exit
      patchrig mutate swapoff --list --only do_swap_page --patches mutants/
      patchrig mutate swapoff --build --arch x86_64 --json
    """
    from orchestrator.cli.mutants_text import Shown, show_mutants

    if listed == built:
        raise click.UsageError("--list or --build: one of them")
    names = tuple(name.strip() for name in operators.split(",") if name.strip())
    asked = {"operators": names, "only": only}
    shown = Shown(builds=results if built else None, patches=patches, as_json=as_json_text)
    return show_mutants(matrix, asked, choice, shown)
