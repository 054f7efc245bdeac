# SPDX-License-Identifier: GPL-2.0-or-later
"""What the table of reach is made of, taken from folders of results. Pure, but for the two that read files."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.time_to_find import TRIED, Bugs
from orchestrator.host.errors import UserError
from orchestrator.model.arch import ARCHES
from orchestrator.model.blocks import LineState
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.model.series_diff import ChangedFunction
from orchestrator.report.bugs_report import SENSITIVITY_FILE
from orchestrator.report.coverage.figures import BuildCoverage, LineCount, coverage_of, headline, line_counts, not_run
from orchestrator.report.kept_diff import load_diff
from orchestrator.report.stored import RUN_FILE, load_run

PLAIN, WIDENED = "plain", "widened"
SITES = (
    "do_swap_page", "mincore_swap", "shmem_swapin_folio", "read_swap_cache_async", "swap_vma_readahead",
    "move_pages_ptes", "zswap_writeback_entry",
)  # fmt: skip
TRYGET, PUT = "tryget_swap_entry", "put_swap_entry"
ALARMS = (Outcome.FAILED, Outcome.HUNG, Outcome.CORRUPTED, Outcome.CRASHED, Outcome.BOOT_FAILED)
ENDED = (Outcome.PASSED, Outcome.NOT_EXERCISED, *ALARMS)
# A report that says so of a bug has found out nothing, and replaces nothing.
UNKNOWN = ("lost", "untried")


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """What a run says of the changed lines on one arch."""

    ran: int
    coded: int
    not_run: tuple[str, ...]
    failed: Mapping[str, int | None]  # site -> try-gets that failed; None: the counts don't tell
    headline: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """A guest with a correct, widened kernel, watched to its end."""

    arch: str
    pair: tuple[str, str]  # variant and workload
    seconds: float
    alarm: str = ""  # where and what, if it was not silent


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run's folder."""

    id: str
    started: str
    seconds: float  # 0: it has not ended
    build_seconds: float
    lines: Mapping[str, Lines]  # by arch
    watches: tuple[Watch, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """All folders."""

    runs: tuple[Run, ...] = ()
    reports: tuple[Mapping[str, Any], ...] = ()  # of sensitivity.json

    @property
    def watches(self) -> tuple[Watch, ...]:
        own = (watch for run in self.runs for watch in run.watches)
        return (*own, *(watch for report in self.reports for watch in control_watches(report)))


def run_of(report: RunReport, functions: Mapping[str, Sequence[ChangedFunction]]) -> Run:
    """`functions`: name of a build -> what the series changed there."""
    builds = {Build(variant=Variant.PATCHED, flavour=WIDENED, arch=arch).name: arch for arch in ARCHES}
    return Run(
        id=report.id,
        started=report.started,
        seconds=report.seconds,
        build_seconds=sum(image.seconds for image in report.builds if not isinstance(image, BuildFailure)),
        lines={
            builds[one.build]: lines_of(one, functions.get(one.build, ()))
            for one in coverage_of(report)
            if one.build in builds
        },
        watches=tuple(run_watches(report)),
    )


def lines_of(coverage: BuildCoverage, functions: Sequence[ChangedFunction]) -> Lines:
    counts = line_counts(coverage)
    coded = [one for one in counts if one.line.state is LineState.CODE]
    return Lines(
        ran=sum(one.count > 0 for one in coded),
        coded=len(coded),
        not_run=tuple(f"{one.line.file}:{one.line.line}: {one.line.text.strip()}" for one in not_run(coverage)),
        failed={site: failed_trygets(counts, [one for one in functions if one.name == site]) for site in SITES},
        headline=headline(coverage),
    )


def failed_trygets(counts: Iterable[LineCount], functions: Sequence[ChangedFunction]) -> int | None:
    """Executions of a site's try-get less those of its puts; None where one of them is not counted."""
    own = [
        one
        for one in counts
        if any(f.file == one.line.file and f.first <= one.line.line <= f.last for f in functions)
    ]  # fmt: skip
    # With an argument: a comment names them without.
    gets, puts = ([one for one in own if re.search(rf"\b{call}\(\w", one.line.text)] for call in (TRYGET, PUT))
    if not gets or not puts or any(one.line.state is not LineState.CODE for one in (*gets, *puts)):
        return None
    # A task that was in between when the counts were read may make it less than none.
    return max(0, sum(one.count for one in gets) - sum(one.count for one in puts))


def run_watches(report: RunReport) -> Iterator[Watch]:
    for one in report.cells:
        outcome = one.verdict.outcome
        if one.cell.build.flavour == WIDENED and outcome in ENDED:
            alarm = f"{one.cell.name}: {outcome}: {one.verdict.title} ({report.id})"
            yield Watch(
                arch=one.cell.build.arch,
                pair=(str(one.cell.build.variant), one.cell.workload.name),
                seconds=one.run.guest_seconds if one.run else 0.0,
                alarm=alarm if outcome in ALARMS else "",
            )


def control_watches(report: Mapping[str, Any]) -> Iterator[Watch]:
    """The guests that `patchrig sensitivity` runs before any bug, on the kernel with the series."""
    for one in report["control"]:
        if one["flavour"] == WIDENED and one["outcome"] in ENDED:
            alarm = f"{one['cell']}: {one['outcome']}: {one['title']} ({report['id']})"
            yield Watch(
                arch=one["arch"],
                pair=(str(Variant.PATCHED), one["workload"]),
                seconds=one["guest_seconds"],
                alarm=alarm if one["outcome"] in ALARMS else "",
            )


def latest_bugs(reports: Iterable[Mapping[str, Any]], classes: Mapping[str, str]) -> dict[tuple[str, str], Bugs]:
    """Flavour and arch -> id -> what is known of the bug."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for report in sorted(reports, key=lambda report: str(report["started"])):
        for bug in report["bugs"]:
            known = found.setdefault((bug["flavour"], bug["arch"]), {})
            learnt = bug["status"] not in UNKNOWN or bug["id"] not in known
            if bug["id"] in classes and learnt:
                known[bug["id"]] = {**bug, "class": classes[bug["id"]]}
    return {build: bugs for build, bugs in found.items() if bugs}


def tried(bugs: Bugs) -> Bugs:
    return {id_: bug for id_, bug in bugs.items() if bug["status"] in TRIED}


def read_folders(folders: Iterable[Path]) -> Measured:
    """Each folder once, whatever its name. Raises UserError for one that is of neither kind."""
    runs, reports = [], []
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        if (folder / SENSITIVITY_FILE).is_file():
            reports.append(json.loads((folder / SENSITIVITY_FILE).read_text(encoding="utf-8")))
        elif (folder / RUN_FILE).is_file():
            runs.append(read_run(folder))
        else:
            raise UserError(f"{folder} has neither {RUN_FILE} nor {SENSITIVITY_FILE}", hint="ls results/")
    return Measured(runs=tuple(runs), reports=tuple(reports))


def read_run(folder: Path) -> Run:
    report = load_run(folder)
    known = {image.build.name: load_diff(folder, image.build) for image in report.builds}
    return run_of(report, {name: diff.functions for name, diff in known.items() if diff})
