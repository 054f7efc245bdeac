# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig report` writes."""

from dataclasses import dataclass
from pathlib import Path

import click

from orchestrator.host.errors import ExitCode
from orchestrator.host.text import printable
from orchestrator.report.kcidb import KCIDB_FILE, kcidb_text
from orchestrator.report.reply_mail import MAIL_FILE, mail_text
from orchestrator.report.run_files import write_whole
from orchestrator.report.store import find_run, load_run


@dataclass(frozen=True, kw_only=True, slots=True)
class Forms:
    """Which files are wanted."""

    kcidb: bool
    origin: str
    mail: bool
    tester: str


def write_reports(name: str, forms: Forms, results: Path) -> ExitCode:
    """Write them into the run's folder and print where they are. Raises UserError, InfraError."""
    run = load_run(find_run(results, name))
    texts = {}
    if forms.kcidb:
        texts[KCIDB_FILE] = kcidb_text(run, origin=forms.origin)
    if forms.mail:
        texts[MAIL_FILE] = mail_text(run, tester=forms.tester)
    for file, text in texts.items():
        write_whole(run.folder / file, text)
        click.echo(printable(str(run.folder / file)))
    return ExitCode.OK
