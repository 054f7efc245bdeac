# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's coverage as one HTML page that needs nothing beside itself: no script, no font, no network."""

from collections.abc import Sequence
from dataclasses import dataclass

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
from orchestrator.report.run_facts import run_facts
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
    names = {one.build for one in builds}
    images = [one for one in report.builds if isinstance(one, KernelImage) and one.build.name in names]
    text = render(
        "coverage.html",
        report=report,
        facts=tuple(run_facts(report, images)),
        builds=tuple(map(_figures, builds)),
        every_series=side_by_side(builds),
        unknown=sum(one.unknown for one in builds),
        meanings=MEANINGS,
    )
    return text.encode("ascii", errors="xmlcharrefreplace").decode()


def _figures(coverage: BuildCoverage) -> BuildFigures:
    return BuildFigures(
        name=coverage.build,
        headline=headline(coverage),
        sites=coverage.sites,
        targets=target_counts(coverage),
    )
