# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves in the pages of a CI server, where it runs below one that has such pages."""

import os
from pathlib import Path

import click

from orchestrator.cli.messages import tell
from orchestrator.host.errors import of_this_machine
from orchestrator.model.reports import RunReport
from orchestrator.report.github import annotations, step_summary


def show_in_ci(report: RunReport) -> None:
    """On GitHub, the summary of the step and annotations; elsewhere nothing. It decides on no exit code."""
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(file).open("a", encoding="utf-8", errors="backslashreplace") as sink:
                sink.write(step_summary(report))
        except OSError as error:
            tell(of_this_machine(error))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        # GitHub reads standard error, too, and scripts read the other one.
        for line in annotations(report):
            click.echo(line, err=True)
