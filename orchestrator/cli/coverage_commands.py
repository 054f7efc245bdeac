# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig coverage`: its options."""

from pathlib import Path

import click

from orchestrator.cli.options import IN_RESULTS, OutputFile
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="[RUN]", default="latest")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "patch", "page", "lcov", "cobertura"]),
    default="table",
    show_default=True,
    help="A table, the patch with counts, an HTML page with both, or a file for tools that read coverage.",
)
@click.option("--all", "every_line", is_flag=True, help="In the table, also list lines without code.")
@click.option("--build", metavar="B", default="", help="Only builds with this in their name: arm64, baseline.")
@click.option("--output", type=OutputFile(), metavar="FILE", help="Write to FILE, not to the terminal.")
@IN_RESULTS
def coverage(name: str, form: str, every_line: bool, build: str, output: Path | None, results: Path) -> ExitCode:
    """Show which of the changed lines ran in RUN.

    RUN is an id, the start of one, a path, or "latest" (the default); it must
    have cells of a widened flavour. The table lists the changed lines that have
    code, with their counts and the workloads that ran them.

    \b
    Examples:
      patchrig coverage latest
      patchrig coverage latest --format patch --build x86_64
      patchrig coverage latest --format page --output changed.html
      patchrig coverage latest --format lcov --output changed.info
    """
    from orchestrator.cli.coverage_text import Asked, print_coverage

    asked = Asked(run=name, form=form, every_line=every_line, build=build, output=output)
    return print_coverage(asked, results)
