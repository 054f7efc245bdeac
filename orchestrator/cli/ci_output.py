# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves in the pages of a CI server, where it runs below one that has such pages."""

import os
from datetime import datetime
from pathlib import Path

import click

from orchestrator.cli.messages import tell
from orchestrator.host.errors import InfraError, of_this_machine
from orchestrator.model.reports import RunReport
from orchestrator.report.coverage.figures import cobertura_text, coverage_of
from orchestrator.report.github import annotations, step_summary
from orchestrator.report.gitlab import CODE_QUALITY_FILE, COVERAGE_FILE, code_quality_text
from orchestrator.report.run_files import write_whole


def show_in_ci(report: RunReport) -> None:
    """On GitHub, the summary of the step and annotations; on GitLab, files for its reports; elsewhere nothing.

    It decides on no exit code.
    """
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(file).open("a", encoding="utf-8", errors="backslashreplace") as sink:
                sink.write(step_summary(report))
        except OSError as error:
            tell(of_this_machine(error))
    if os.environ.get("GITLAB_CI") == "true" and (project := os.environ.get("CI_PROJECT_DIR")):
        _show_on_gitlab(report, Path(project))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        # GitHub reads standard error, too, and scripts read the other one.
        for line in annotations(report):
            click.echo(line, err=True)


def _show_on_gitlab(report: RunReport, project: Path) -> None:
    """The files that configs/ci/gitlab-ci.yml names under `reports:`."""
    builds = coverage_of(report)
    try:
        write_whole(project / CODE_QUALITY_FILE, code_quality_text(report))
        if builds:
            began = datetime.fromisoformat(report.started)
            write_whole(project / COVERAGE_FILE, cobertura_text(builds, timestamp=int(began.timestamp())))
    except InfraError as error:
        tell(error)
