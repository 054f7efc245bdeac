# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig report`: its options."""

import re
from pathlib import Path

import click

from orchestrator.cli.options import IN_RESULTS
from orchestrator.host.errors import ExitCode


def _origin(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]+", value):
        raise click.BadParameter(f"{value!r}: KCIDB takes a-z, 0-9 and _")
    return value


@click.command("report")
@click.argument("name", metavar="[RUN]", default="latest")
@click.option("--kcidb", is_flag=True, help="Write kcidb.json, for kcidb-submit.")
@click.option("--origin", default="patchrig", show_default=True, callback=_origin, metavar="NAME",
              help="The name of your CI system in KCIDB.")  # fmt: skip
@click.option("--mail", is_flag=True, help="Write mail.txt: a reply to the series' mail, as a draft.")
@click.option(
    "--tester", default="", metavar="'NAME <ADDRESS>'", help="Who is named in Tested-by (default: a placeholder)."
)
@IN_RESULTS
def report(name: str, kcidb: bool, origin: str, mail: bool, tester: str, results: Path) -> ExitCode:
    """Write the report of a RUN in the forms of other tools, into its folder.

    Give --kcidb, --mail or both. (`patchrig run` has written summary.txt and
    report.html already.) RUN is an id, the start of one, a path, or "latest"
    (the default). Nothing is sent.

    The mail has Tested-by only if all of this is true, and else says what is
    not: the run was not interrupted, and is no shard; all cells with the series
    passed; no subtest became worse; each changed function that could be
    observed ran in some cell, and at least one could be.

    \b
    Examples:
      patchrig report latest --kcidb --origin myci
      patchrig report latest --mail --tester 'A Name <a@example.org>'
    """
    from orchestrator.cli.other_reports import Forms, write_reports

    if not (kcidb or mail):
        raise click.UsageError("give --kcidb, --mail or both; report.html and summary.txt are there already")
    return write_reports(name, Forms(kcidb=kcidb, origin=origin, mail=mail, tester=tester), results)
