# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig series`: its options."""

from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON, SERIES_VERSION
from orchestrator.host.errors import ExitCode


@click.command("series")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--tree", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="The git checkout that a range A..B is of.")  # fmt: skip
@SERIES_VERSION
@AS_JSON
def series(paths: tuple[Path, ...], tree: Path | None, series_version: str, as_json_text: bool) -> ExitCode:
    """Show which patches a run would test, and what it would leave out.

    PATH is what a run is given as --patch PATH. The patches are printed in the
    order in which they are applied, with the kernel that they would be built
    on, if the cache has it. Nothing is built and nothing is run. Exit code 2: a
    run would refuse the series, for the reason shown.

    \b
    Examples:
      patchrig series series.mbox
      patchrig series v6.19..HEAD --tree ~/linux --json | jq -r '.touched[]'
    """
    from orchestrator.cli.series_text import print_series

    return print_series(paths, tree, series_version, as_json_text=as_json_text)
