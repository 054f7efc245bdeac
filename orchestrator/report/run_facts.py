# SPDX-License-Identifier: GPL-2.0-or-later
"""What run a page is of, as names with values (pure)."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from orchestrator.model.images import KernelImage
from orchestrator.model.reports import RunReport
from orchestrator.report.summary import outcome_counts


def run_facts(report: RunReport, images: Sequence[KernelImage]) -> Iterator[tuple[str, str]]:
    """What run it was, as names with values; `images` are the kernels that the page is about."""
    matrix = report.matrix
    yield "Run", report.id
    yield "Started", f"{datetime.fromisoformat(report.started):%Y-%m-%d %H:%M %Z}, took {report.seconds:.0f} s"
    yield "Kernel", _listed([matrix.kernel, *(one.release for one in images), *_hashes(images, "source")])
    yield "Series", _listed([*map(_series_name, matrix.series), *_hashes(images, "series")]) or "none"
    yield "Flavours", _listed([one.build.flavour for one in images])
    if options := _listed([option for one in images for option in one.options]):
        yield "Options beside those of the flavours", options
    if matrix.widen:
        yield "Delays", matrix.widen
    yield "Workloads", f"{_listed(matrix.workloads)}; {matrix.seconds} s each, seed {matrix.seed}"
    yield "Outcome", outcome_counts(report.cells)
    yield "Command", shlex.join(report.argv)
    yield "Versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())


def _series_name(series: Path) -> str:
    """A file's name; a git range (origin/master..topic) as it was given."""
    return str(series) if ".." in series.name else series.name


def _hashes(images: Sequence[KernelImage], key: str) -> Iterator[str]:
    return (f"{key} {one.hashes[key][:12]}" for one in images if key in one.hashes)


def _listed(words: Sequence[str]) -> str:
    """Each once, in their order."""
    return ", ".join(dict.fromkeys(words))
