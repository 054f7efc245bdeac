# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hunt learns from its cells, one after another; and what that comes to (pure)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.judge.bug_verdict import is_finding
from orchestrator.judge.rates import interval, most_missed
from orchestrator.judge.upstream_bugs import known_as
from orchestrator.model.blocks import CoverageMap, Executed
from orchestrator.model.cells import Build, Cell
from orchestrator.model.guests import Ending
from orchestrator.model.hunts import (
    BuildSilence,
    CellPlace,
    Hunted,
    HuntFinding,
    HuntSummary,
    LaterSplat,
    Rate,
    RatedFinding,
    Tally,
)
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport

_HOUR = 3600.0
_QUIET = (Outcome.PASSED, Outcome.SUBTESTS_FAILED)
# What a title counts differs from cell to cell.
_TIMES = re.compile(r", \d+ times")
_NUMBER = re.compile(r"\d+")


def with_cell(hunted: Hunted, report: CellReport, round_name: str) -> Hunted:
    """What is known once this cell has ended; a cell that was interrupted tells nothing, and is to be run again."""
    if report.run is None:
        why = f"{report.verdict.outcome}: {report.verdict.title}"
        return replace(hunted, unbuilt={**hunted.unbuilt, report.cell.build.name: why})
    if report.run.ending is Ending.INTERRUPTED and report.verdict.outcome is Outcome.SKIPPED:
        return hunted
    place, found = place_of(report.cell), is_finding(report)
    tally = _counted(hunted.tallies.get(place, Tally()), report, found=found)
    hunted = replace(hunted, tallies={**hunted.tallies, place: tally})
    if not found:
        return hunted
    at = CellPlace(
        round=round_name,
        cell=report.cell.name,
        number=report.cell.repeat,
        seed=report.cell.seed,
        guest_seconds=round(hunted.guest_seconds, 1),
    )
    return _with_later(_with_finding(hunted, report, at), report, at)


def with_kernel(hunted: Hunted, build: Build, code: CoverageMap) -> Hunted:
    """What is known once a kernel is there: the functions that it delays in."""
    files: dict[str, str] = {}
    for block in code.blocks:
        # A block may begin with a line of a header's function.
        if block.target not in files or block.file in code.whole:
            files[block.target] = block.file
    return replace(hunted, code={**hunted.code, build.name: dict(sorted(files.items()))})


def with_reach(hunted: Hunted, build: Build, code: CoverageMap, executed: Executed) -> Hunted:
    """What is known once a guest has said which blocks it ran."""
    ran = {block.target for block in code.blocks if block.offset in executed}
    return replace(hunted, ran={**hunted.ran, build.name: tuple(sorted(ran.union(hunted.ran.get(build.name, ()))))})


def fresh_findings(before: Hunted, after: Hunted) -> Iterator[HuntFinding]:
    """What is new in the second."""
    yield from (finding for key, finding in after.findings.items() if key not in before.findings)


def place_of(cell: Cell) -> str:
    """What all cells of one workload on one build share."""
    return f"{cell.build.name}.{cell.workload.name}"


def summary_of(hunted: Hunted, cells: Sequence[Cell], files: Sequence[str]) -> HuntSummary:
    """`cells`: one of each workload on each build. `files`: those in all of whose functions kernels delay."""
    rated = [_rated(finding, hunted.tallies) for finding in hunted.findings.values()]
    titles = {finding.title for finding in hunted.findings.values()}
    builds = tuple(dict.fromkeys(cell.build.name for cell in cells))
    return HuntSummary(
        new=tuple(one for one in rated if not one.finding.known),
        known=tuple(one for one in rated if one.finding.known),
        later={title: splat for title, splat in hunted.later.items() if title not in titles},
        builds=tuple(_silence(build, hunted, cells, files) for build in builds if build not in hunted.unbuilt),
    )


def _counted(tally: Tally, report: CellReport, *, found: bool) -> Tally:
    outcome, seconds = report.verdict.outcome, report.run.guest_seconds if report.run else 0.0
    tally = replace(
        tally, last=max(tally.last, report.cell.repeat), guest_seconds=round(tally.guest_seconds + seconds, 3)
    )
    if found:
        return replace(tally, bad=tally.bad + 1)
    if outcome in _QUIET:
        return replace(tally, quiet=tally.quiet + 1, quiet_seconds=round(tally.quiet_seconds + seconds, 3))
    if outcome is Outcome.NOT_EXERCISED:
        return replace(tally, thin=tally.thin + 1)
    # Nothing of this kernel can prove what the workload does, now or later.
    if outcome is Outcome.SKIPPED:
        return replace(tally, dropped=report.verdict.title)
    return replace(tally, lost=tally.lost + 1)


def _with_finding(hunted: Hunted, report: CellReport, at: CellPlace) -> Hunted:
    verdict, place = report.verdict, place_of(report.cell)
    known = known_as(verdict, release=report.kernel.get("release", ""), workload=report.cell.workload.name)
    key = f"{what_of(report)} ({known})" if known else what_of(report)
    new = HuntFinding(outcome=verdict.outcome, title=verdict.title, known=known, first=at, seen={})
    finding = hunted.findings.get(key, new)
    seen = {**finding.seen, place: finding.seen.get(place, 0) + 1}
    return replace(hunted, findings={**hunted.findings, key: replace(finding, seen=seen)})


def what_of(report: CellReport) -> str:
    """What tells a finding from others. A splat's title does so by itself; other titles say little, and count."""
    title = report.verdict.title
    if any(crash.title == title for crash in report.crashes):
        return title
    workload = report.cell.workload.name
    if report.verdict.outcome is Outcome.CORRUPTED:
        return f"{workload}: {Outcome.CORRUPTED}"
    return f"{workload}: {_NUMBER.sub('N', _TIMES.sub('', title))}"


def _with_later(hunted: Hunted, report: CellReport, at: CellPlace) -> Hunted:
    later = dict(hunted.later)
    for title in dict.fromkeys(crash.title for crash in report.crashes if crash.fails):
        if title != report.verdict.title:
            splat = later.get(title, LaterSplat(first=at, cells=0))
            later[title] = replace(splat, cells=splat.cells + 1)
    return replace(hunted, later=later)


def _rated(finding: HuntFinding, tallies: Mapping[str, Tally]) -> RatedFinding:
    counts = {place: (seen, seen + tallies[place].silent) for place, seen in finding.seen.items()}
    return RatedFinding(
        finding=finding,
        rate=_rate(sum(seen for seen, _ in counts.values()), sum(cells for _, cells in counts.values())),
        places={place: _rate(*count) for place, count in counts.items()},
    )


def _rate(seen: int, cells: int) -> Rate:
    low, high = interval(seen, cells)
    return Rate(seen=seen, cells=cells, low=low, high=high)


def _silence(build: str, hunted: Hunted, cells: Iterable[Cell], files: Sequence[str]) -> BuildSilence:
    places = [place_of(cell) for cell in cells if cell.build.name == build]
    all_of = {place: hunted.tallies.get(place, Tally()) for place in places}
    tallies = [tally for tally in all_of.values() if not tally.dropped]
    least = min((tally.silent for tally in tallies), default=0)
    code = hunted.code.get(build, {})
    ran = set(hunted.ran.get(build, ()))
    return BuildSilence(
        build=build,
        workloads=len(tallies),
        cells=sum(tally.cells for tally in tallies),
        quiet=sum(tally.quiet for tally in tallies),
        thin=sum(tally.thin for tally in tallies),
        bad=sum(tally.bad for tally in tallies),
        lost=sum(tally.lost for tally in tallies),
        quiet_hours=sum(tally.quiet_seconds for tally in tallies) / _HOUR,
        guest_hours=sum(tally.guest_seconds for tally in tallies) / _HOUR,
        least_silent=least,
        most_missed=most_missed(least),
        delayed=len(code),
        ran=len(ran),
        not_run=tuple(sorted(f"{file}: {name}" for name, file in code.items() if name not in ran)),
        no_code=tuple(file for file in files if code and file not in set(code.values())),
    )
