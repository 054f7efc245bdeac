# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig build`: kernels without guests."""

from datetime import UTC, datetime
from pathlib import Path

import click

from orchestrator.cli.options import Choice
from orchestrator.cli.request import request_of
from orchestrator.cli.selection import as_run
from orchestrator.host.errors import ExitCode
from orchestrator.host.text import json_text, printable
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.plan.expansion import builds_of
from orchestrator.report.store import new_folder
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.kernels import Building, open_kernels


def build_kernels(matrix: Path | None, choice: Choice, results: Path, *, as_json_text: bool) -> ExitCode:
    request = request_of(matrix, as_run(matrix, choice))
    images = []
    with terminal(screen(beside_output=True)) as listener, open_kernels(request, listener) as kernels:
        # Another build of the same may be at work.
        logs = new_folder(results / "builds", datetime.now(UTC))
        for one in builds_of(request.cells):
            folder = logs / one.name
            folder.mkdir()
            images.append(kernels.image(one, Building(log_dir=folder, listener=listener)))
    if as_json_text:
        click.echo(json_text([_image_json(image) for image in images], indent=2))
    else:
        for image in images:
            where = f"{image.outcome}: {image.title}" if isinstance(image, BuildFailure) else image.image
            click.echo(printable(f"{image.build.name}  {where}"))
    bad = any(isinstance(image, BuildFailure) for image in images)
    return ExitCode.BAD_KERNEL if bad else ExitCode.OK


def _image_json(image: KernelImage | BuildFailure) -> dict[str, object]:
    if isinstance(image, BuildFailure):
        log = str(image.log) if image.log else None
        return {"build": image.build.name, "outcome": str(image.outcome), "title": image.title, "log": log}
    places = {name: str(getattr(image, name)) for name in ("image", "vmlinux", "config", "log")}
    return {"build": image.build.name, "outcome": "built", **places, "hashes": dict(image.hashes)}
