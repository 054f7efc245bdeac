# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig schema` prints."""

import json

import click

from orchestrator.host.errors import ExitCode
from orchestrator.plan.checks import known_flavours, known_workloads
from orchestrator.plan.schema import json_schema


def print_schema(kind: str) -> ExitCode:
    said = json_schema(kind, flavours=sorted(known_flavours()), workloads=sorted(known_workloads()))
    click.echo(json.dumps(said, indent=2))
    return ExitCode.OK
