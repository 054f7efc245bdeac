# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of parts of a matrix -> the report of all of it (pure). That they may be put together is checked before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations

from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.phases import Span, Timing
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.kernel_inputs import OTHER_IMAGE, unlike
from orchestrator.report.reopened import has_ended
from orchestrator.report.stored import unreadable


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedCell:
    """A cell, and the run whose report of it counts; None: no run has it."""

    report: CellReport
    run: RunReport | None


def merged_cells(
    runs: Sequence[RunReport], planned: Sequence[Cell], why_missing: Callable[[Cell], str]
) -> Iterator[MergedCell]:
    """Each planned cell once.

    What ended counts before what was interrupted, lost to a machine or damaged. The same report in two runs counts
    once; raises UserError where a cell ended in two runs in different ways.
    """
    found: dict[str, list[MergedCell]] = {}
    for run in runs:
        for report in run.cells:
            found.setdefault(report.cell.name, []).append(MergedCell(report=report, run=run))
    damaged = {id(report) for run in runs for report in unreadable(run)}
    for cell in planned:
        every = found.get(cell.name, [])
        ended = [one for one in every if has_ended(one.report) and id(one.report) not in damaged]
        for one, other in combinations(ended, 2):
            _check_same(one, other)
        yield next(iter([*ended, *reversed(every)]), _missing(cell, why_missing))


def _check_same(one: MergedCell, other: MergedCell) -> None:
    if one.report != other.report and one.run and other.run:
        which = " and ".join(f"{part.run.id} ({part.report.verdict.outcome})" for part in (one, other) if part.run)
        raise UserError(
            f"{one.report.cell.name} was run twice, in {which}: which of the two counts?",
            hint="leave out one of the runs",
        )


def _missing(cell: Cell, why: Callable[[Cell], str]) -> MergedCell:
    verdict = Verdict(outcome=Outcome.LOST, title=why(cell))
    return MergedCell(report=CellReport(cell=cell, verdict=verdict, run=None), run=None)


def merged_builds(runs: Sequence[RunReport]) -> tuple[KernelImage | BuildFailure, ...]:
    """Each build once. Raises UserError where two runs have different kernels for one."""
    builds: dict[str, tuple[KernelImage | BuildFailure, RunReport]] = {}
    for run in runs:
        for build in run.builds:
            name = build.build.name
            before, whose = builds.setdefault(name, (build, run))
            if text := _differ(before, build):
                raise UserError(
                    f"the kernels of {name} differ between {whose.id} and {run.id}: {text}",
                    hint="run all shards with the same compilers, and with one cache where they share a disk",
                )
    return tuple(build for build, _ in builds.values())


def _differ(one: KernelImage | BuildFailure, other: KernelImage | BuildFailure) -> str:
    failed = [build for build in (one, other) if isinstance(build, BuildFailure)]
    if len(failed) == 1:
        return f"one could not be built: {failed[0].title}"
    text = unlike(one, other)
    same_code = isinstance(one, KernelImage) and isinstance(other, KernelImage) and one.coverage == other.coverage
    # A kernel with the same inputs is the same, whatever its bytes are; but counts of blocks are of one image only.
    return "" if text == OTHER_IMAGE and same_code else text


def merged_report(runs: Sequence[RunReport], cells: Sequence[MergedCell], whole: RunReport) -> RunReport:
    """`whole`, which has the new run's name and folder, with all that the runs tell; the reports of its cells, too."""
    first = runs[0]
    offsets = _offsets(runs)
    whose = {id(run): offset for run, offset in zip(runs, offsets, strict=True)}
    shifted = tuple(
        replace(one.report, spans=_later(one.report.spans, whose[id(one.run)])) if one.run else one.report
        for one in cells
    )
    return replace(
        whole,
        argv=without_shard(first.argv),
        started=min(runs, key=lambda run: datetime.fromisoformat(run.started)).started,
        seconds=max(offset + run.seconds for run, offset in zip(runs, offsets, strict=True)),
        versions=joined_versions([run.versions for run in runs]),
        builds=merged_builds(runs),
        cells=shifted,
        interrupted=any(run.interrupted for run in runs),
        timings=tuple(_timings(runs, offsets)),
        choices=first.choices,
        # Each machine asked its own reach maps.
        reach=max((run.reach for run in runs if run.reach), key=lambda reach: len(reach.maps), default=None),
        left_out=first.left_out,
        series=next((run.series for run in runs if run.series is not None), None),
        series_title=first.series_title,
        merged=tuple(run.id for run in runs),
    )


def _offsets(runs: Sequence[RunReport]) -> list[float]:
    """Seconds from the start of the first run to that of each."""
    starts = [datetime.fromisoformat(run.started) for run in runs]
    return [(start - min(starts)).total_seconds() for start in starts]


def _later(spans: Sequence[Span], seconds: float) -> tuple[Span, ...]:
    return tuple(
        replace(span, start=round(span.start + seconds, 3), end=round(span.end + seconds, 3)) for span in spans
    )


def _timings(runs: Sequence[RunReport], offsets: Sequence[float]) -> Iterator[Timing]:
    for run, offset in zip(runs, offsets, strict=True):
        for timing in run.timings:
            name = f"{run.shard or run.id} {timing.name}" if len(runs) > 1 else timing.name
            yield Timing(name=name, spans=_later(timing.spans, offset))


def joined_versions(every: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What several machines have: "7.2.22", or "7.2.22, 8.2.0" where they differ."""
    names = dict.fromkeys(name for versions in every for name in versions)
    return {name: ", ".join(dict.fromkeys(v[name] for v in every if name in v)) for name in names}


def without_shard(argv: Sequence[str]) -> tuple[str, ...]:
    """The command that runs all of it."""
    words = iter(argv)
    kept = []
    for word in words:
        if word == "--shard":
            next(words, None)
        elif not word.startswith("--shard="):
            kept.append(word)
    return tuple(kept)
