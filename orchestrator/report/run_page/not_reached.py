# SPDX-License-Identifier: GPL-2.0-or-later
"""What a green run does not show: what no cell reached, ran or proved (pure)."""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.probes import SiteState
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.changed_reach import reach_lines
from orchestrator.report.coverage.figures import PAGE_FILE, BuildCoverage, not_run
from orchestrator.report.proof_text import ran_anywhere, reach_by_arch, reach_text, site_text

MOST = 60


def not_reached(report: RunReport, coverage: Sequence[BuildCoverage]) -> tuple[str, ...]:
    """Lines, what matters most first: functions, sites, changed lines, cells that did not run, what was left out."""
    lines = [
        *(reach_text(reach) for reach in reach_by_arch(report.cells)),
        *_sites(report.cells),
        *(line for one in coverage for line in _lines(one)),
        *(line.strip() for line in (reach_lines(report.reach, ran_anywhere(report.cells)) if report.reach else ())),
        *_failed_builds(report),
        *_skipped(report.cells),
        *(f"left out of the matrix: {text}" for text in report.left_out),
    ]
    return (*lines[:MOST], f"and {len(lines) - MOST} more, in summary.txt") if len(lines) > MOST else tuple(lines)


def _sites(cells: Iterable[CellReport]) -> Iterator[str]:
    """The sites that no repeat reached: the first words that say so, and where."""
    silent: dict[tuple[str, str], tuple[str, dict[str, None]]] = {}
    reached = set()
    for cell in cells:
        workload, build = cell.cell.workload.name, cell.cell.build.name
        for site in cell.run.sites if cell.run else ():
            if site.state is SiteState.REACHED:
                reached.add((workload, site.name, build))
            else:
                silent.setdefault((workload, site.name), (site_text(site), {}))[1].setdefault(build)
    for (workload, name), (text, builds) in silent.items():
        if left := [build for build in builds if (workload, name, build) not in reached]:
            yield f"{workload}: {text}, on {', '.join(left)}"


def _lines(coverage: BuildCoverage) -> Iterator[str]:
    missed = not_run(coverage)
    for one in missed[:10]:
        yield f"{coverage.build}: no workload ran {one.line.file}:{one.line.line}: {one.line.text.strip()}"
    if len(missed) > 10:
        yield f"{coverage.build}: nor {len(missed) - 10} more changed lines, in {PAGE_FILE}"


def _failed_builds(report: RunReport) -> Iterator[str]:
    for build in report.builds:
        if isinstance(build, BuildFailure):
            yield f"{build.outcome}: {build.build.name}: {build.title}"


def _skipped(cells: Iterable[CellReport]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for cell in cells:
        if cell.verdict.outcome is Outcome.SKIPPED:
            groups.setdefault(cell.verdict.title, []).append(cell.cell.name)
    for why, names in groups.items():
        yield f"skipped, {len(names)} {'cell' if len(names) == 1 else 'cells'} ({names[0]}): {why}"
