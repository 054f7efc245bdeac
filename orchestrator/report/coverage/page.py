# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's coverage as one HTML page that needs nothing beside itself: no script, no font, no network."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestrator.model.images import KernelImage
from orchestrator.model.reports import RunReport
from orchestrator.report.coverage.figures import (
    MEANINGS,
    BuildCoverage,
    TargetCount,
    headline,
    target_counts,
)
from orchestrator.report.coverage.side_by_side import side_by_side
from orchestrator.report.coverage.site_counts import SiteCount
from orchestrator.report.summary import outcome_counts
from orchestrator.report.templating import render


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildFigures:
    """What the page says of one build beside the diff."""

    name: str
    headline: str
    sites: tuple[SiteCount, ...]
    targets: tuple[TargetCount, ...]


def page_text(report: RunReport, builds: Sequence[BuildCoverage]) -> str:
    """The page of these builds of the run, in ASCII: it reads the same whatever encoding it is stored or sent in."""
    text = render(
        "coverage.html",
        report=report,
        facts=tuple(run_facts(report, builds)),
        builds=tuple(map(_figures, builds)),
        every_series=side_by_side(builds),
        unknown=sum(one.unknown for one in builds),
        meanings=MEANINGS,
    )
    return text.encode("ascii", errors="xmlcharrefreplace").decode()


def run_facts(report: RunReport, builds: Sequence[BuildCoverage]) -> Iterator[tuple[str, str]]:
    """What run it was, as names with values."""
    matrix, names = report.matrix, {one.build for one in builds}
    images = [one for one in report.builds if isinstance(one, KernelImage) and one.build.name in names]
    yield "Run", report.id
    yield "Started", f"{datetime.fromisoformat(report.started):%Y-%m-%d %H:%M %Z}, took {report.seconds:.0f} s"
    yield "Kernel", _listed([matrix.kernel, *(one.release for one in images), *_hashes(images, "source")])
    yield "Series", _listed([*map(_series_name, matrix.series), *_hashes(images, "series")]) or "none"
    yield "Flavours", _listed([one.build.flavour for one in images])
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


def _figures(coverage: BuildCoverage) -> BuildFigures:
    return BuildFigures(
        name=coverage.build,
        headline=headline(coverage),
        sites=coverage.sites,
        targets=target_counts(coverage),
    )
