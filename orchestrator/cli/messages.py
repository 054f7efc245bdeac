# SPDX-License-Identifier: GPL-2.0-or-later
"""What we say of an error."""

import click

from orchestrator.host.errors import OrchestratorError
from orchestrator.host.text import printable


def tell(error: OrchestratorError) -> None:
    """What is wrong, and what to type next."""
    click.secho(printable(f"patchrig: {error}"), fg="red", err=True)
    if error.hint:
        click.echo(printable(f"  {error.hint}"), err=True)
