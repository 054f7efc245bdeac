# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be said of a series in minutes: which kernel takes it, which workloads run what it changes, if it builds."""

from collections.abc import Iterable
from pathlib import Path

from orchestrator.model.check_results import SeriesCheck, Status
from orchestrator.model.events import Listener
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.matrix_choices import Base, MatrixChoices, listed
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.plan.expansion import builds_of
from orchestrator.report.reached_elsewhere import is_excused, unproved
from orchestrator.report.summary import findings, outcome_counts
from orchestrator.run.kernels import Building, Request, open_kernels

APPLY, WORKLOADS, BUILD, RUN = "patchrig-apply", "patchrig-workloads", "patchrig-build", "patchrig-run"


def apply_check(base: Base, notices: Iterable[str] = ()) -> SeriesCheck:
    """Whether there is a kernel that takes the series. Pure."""
    remarks = (*notices, *base.notes)
    if not base.fits:
        summary = f"applies to no kernel that was tried: {base.source}: {base.why}"
        return SeriesCheck(name=APPLY, status=Status.FAIL, summary=summary, details=(*remarks, *base.lines()))
    summary = f"applies to {base.source}" + (f"; {remarks[0]}" if remarks else "")
    status = Status.WARN if remarks else Status.PASS
    return SeriesCheck(name=APPLY, status=status, summary=summary, details=(*notices, *base.lines()))


def workloads_check(choices: MatrixChoices) -> SeriesCheck:
    """Which workloads a run would choose, and which changed files none of them is known to reach. Pure."""
    names = tuple(one.name for one in choices.workloads)
    lines = tuple(choices.lines())
    if not names or choices.unreached:
        what = listed(choices.unreached) or "what the series changes"
        summary = f"no workload is known to reach {what}; a run would choose {listed(names) or 'none'}"
        return SeriesCheck(name=WORKLOADS, status=Status.WARN, summary=summary, details=lines)
    summary = f"a run would choose {listed(names)}"
    return SeriesCheck(name=WORKLOADS, status=Status.PASS, summary=summary, details=lines)


def build_check(request: Request, logs: Path, listener: Listener) -> SeriesCheck:
    """Build the kernels of the cells. Raises UserError or InfraError where that can't be tried."""
    images = []
    with open_kernels(request, listener) as kernels:
        for build in builds_of(request.cells):
            folder = logs / build.name
            folder.mkdir(parents=True, exist_ok=True)
            images.append(kernels.image(build, Building(log_dir=folder, listener=listener)))
    return built(images)


def built(images: Iterable[KernelImage | BuildFailure]) -> SeriesCheck:
    """What builds came to. Pure."""
    images = tuple(images)
    bad = [image for image in images if isinstance(image, BuildFailure)]
    if bad:
        summary = f"{bad[0].build.name}: {bad[0].outcome}: {bad[0].title}"
        lines = [line for image in bad for line in _failure_lines(image)]
        return SeriesCheck(name=BUILD, status=Status.FAIL, summary=summary, details=tuple(lines))
    names = listed(tuple(image.build.name for image in images))
    warnings = [warning for image in images if isinstance(image, KernelImage) for warning in image.new_warnings]
    if warnings:
        summary = f"builds ({names}), with {len(warnings)} new compiler warnings: {warnings[0]}"
        return SeriesCheck(name=BUILD, status=Status.WARN, summary=summary, details=tuple(warnings))
    return SeriesCheck(name=BUILD, status=Status.PASS, summary=f"builds: {names}")


def _failure_lines(image: BuildFailure) -> tuple[str, ...]:
    log = (f"log: {image.log}",) if image.log else ()
    return (f"{image.build.name}: {image.outcome}: {image.title}", *image.detail.splitlines(), *log)


def run_check(report: RunReport) -> SeriesCheck:
    """What a run came to: good only where a cell passed, none is lost, and what is red does not fail the run. Pure."""
    outcomes = {cell.verdict.outcome for cell in report.cells}
    found = [one for one in findings(report.cells) if one.outcome is not Outcome.LOST]
    bad = [*(one.title for one in found if not is_excused(report, one.cells)), *filter(None, (unproved(report),))]
    counts = outcome_counts(report.cells)
    lines = tuple(f"{one.outcome}: {one.title}: {one.cells[0].cell.name}" for one in findings(report.cells))
    lines += (f"results: {report.folder}",)
    if bad:
        summary = f"{counts}: {bad[0]}"
        return SeriesCheck(name=RUN, status=Status.FAIL, summary=summary, details=lines)
    good = Outcome.PASSED in outcomes and Outcome.LOST not in outcomes and not report.interrupted
    return SeriesCheck(name=RUN, status=Status.PASS if good else Status.WARN, summary=counts, details=lines)
