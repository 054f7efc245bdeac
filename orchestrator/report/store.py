# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of one run: written as it goes, so that what had finished is there whatever happens next."""

import contextlib
import difflib
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.host.deadline import now
from orchestrator.host.errors import Cancelled, InfraError, UserError
from orchestrator.host.files import flush, point_to
from orchestrator.host.text import json_text
from orchestrator.model.cells import Build, Cell, names_meant
from orchestrator.model.configuration import Matrix
from orchestrator.model.history import News
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.matrix_choices import MatrixChoices
from orchestrator.model.phases import Span, Timing
from orchestrator.model.reach import ChangedReach
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.shards import Shard
from orchestrator.model.subtests import SuiteComparison
from orchestrator.report.compact_cells import Compactor
from orchestrator.report.coverage.figures import PAGE_FILE, coverage_of
from orchestrator.report.coverage.page import page_text
from orchestrator.report.crash_entries import crash_entries
from orchestrator.report.junit import junit_pieces
from orchestrator.report.kernel_inputs import unlike
from orchestrator.report.run_files import append, at_work, write_whole, writing
from orchestrator.report.run_page.run_page import REPORT_FILE, run_page_text
from orchestrator.report.stored import (
    CELL_COUNT,
    CELLS_FILE,
    RUN,
    RUN_FILE,
    LineWriter,
    result_text,
    unreadable,
    with_sum,
)
from orchestrator.report.stored import load_run as load_run
from orchestrator.report.summary import summary_text
from orchestrator.report.timeline import timeline_svg
from orchestrator.report.trace import trace_pieces

JUNIT_FILE = "junit.xml"
SUMMARY_FILE = "summary.txt"
TIMELINE_FILE = "timeline.svg"
TRACE_FILE = "trace.json"
RESULT_FILE = "workload.json"
LATEST = "latest"
BUGS = "bugs"  # in a folder of `patchrig sensitivity`: a run for each
_CELLS_NAMED = 6  # in a message


class Store:
    """results/<run>/ while the run lasts. Threads may record at the same time."""

    def __init__(self, report: RunReport) -> None:
        """`report` has no cells, but for a run that goes on: then those that its cells.jsonl has."""
        self._report = replace(report, cells=())
        self._lines, self._compactor = LineWriter(), Compactor()
        self._cells: list[CellReport] = [self._compactor.compact(cell) for cell in report.cells]
        self._order: dict[str, int] = {}
        self._builds: dict[Build, int] = {}
        self._saved: tuple[object, RunReport] | None = None
        self._began = now() - report.seconds
        self._lock = threading.Lock()
        self._disk = threading.Lock()  # one at a time in cells.jsonl
        self._save_run()

    @property
    def folder(self) -> Path:
        return self._report.folder

    def report(self) -> RunReport:
        """What has finished so far."""
        with self._lock:
            return replace(self._report, seconds=round(now() - self._began, 3), cells=self._in_order())

    def cell_folder(self, cell: Cell) -> Path:
        """The cell's own folder, made if need be."""
        return self._made(self.folder / "cells" / cell.name)

    def build_folder(self, build: Build) -> Path:
        """The build's own folder, made if need be."""
        return self._made(self.folder / "builds" / build.name)

    def plan(
        self, cells: Sequence[Cell], series: Mapping[str, str], left_out: Sequence[str] = (), *, series_title: str = ""
    ) -> None:
        """What is run, in the order of the reports; what the series does to each file; what is left out, and why."""
        self.order(cells)
        with self._lock:
            self._report = replace(
                self._report, series=dict(series), left_out=tuple(left_out), series_title=series_title
            )
        self._save_run()

    def order(self, cells: Sequence[Cell]) -> None:
        """The order of cells and builds in the reports, of a run that has the rest already."""
        with self._lock:
            self._order = {cell.name: index for index, cell in enumerate(cells)}
            self._builds = {build: index for index, build in enumerate(dict.fromkeys(cell.build for cell in cells))}

    def add_choices(self, choices: MatrixChoices | None) -> None:
        """What was chosen for a run without a matrix, and why."""
        with self._lock:
            self._report = replace(self._report, choices=choices)

    def add_shard(self, shard: Shard) -> None:
        """That it is only a part of a matrix that is run."""
        with self._lock:
            self._report = replace(self._report, shard=shard.text)

    def add_reach(self, reach: ChangedReach | None) -> None:
        """What reach maps tell of the series."""
        with self._lock:
            self._report = replace(self._report, reach=reach)
        self._save_run()

    def add_build(self, build: KernelImage | BuildFailure) -> None:
        """In the order of the plan. Raises UserError where cells have run on another kernel of this build."""
        with self._lock:
            builds = {one.build: one for one in self._report.builds}
            if text := unlike(builds.get(build.build), build):
                raise UserError(f"{build.build.name} is not the kernel that cells of {self._report.id} ran on: {text}")
            builds[build.build] = build
            last = len(self._builds)
            ordered = sorted(builds.values(), key=lambda one: self._builds.get(one.build, last))
            self._report = replace(self._report, builds=tuple(ordered))
        self._save_run()

    def add_timing(self, name: str, spans: Sequence[Span]) -> None:
        """What something that is no cell spent its time on, in monotonic seconds."""
        with self._lock:
            timing = Timing(name=name, spans=self._since_start(spans))
            self._report = replace(self._report, timings=(*self._report.timings, timing))

    def set_suites(self, suites: Sequence[SuiteComparison]) -> None:
        """What the subtests of all cells so far come to."""
        with self._lock:
            self._report = replace(self._report, suites=tuple(suites))

    def set_news(self, news: News) -> None:
        """What of the cells so far is new, beside earlier runs."""
        with self._lock:
            self._report = replace(self._report, news=news)

    def add_cells(self, cells: Sequence[CellReport]) -> None:
        """Record finished cells. When this returns, their lines are on the disk."""
        filed = [self._filed(cell) for cell in cells]
        # All that may raise for what is in a report comes before its line: such a cell is recorded again, as lost.
        for cell in filed:
            self._keep_result(cell)
        compact = [self._compactor.compact(cell) for cell in filed]
        with self._disk:
            append(self.folder / CELLS_FILE, "".join(map(self._lines.line, filed)))
        with self._lock:
            self._cells += compact

    def _filed(self, cell: CellReport) -> CellReport:
        """The report as it is kept: times since the run began, and the folder where the cell has one."""
        place = f"cells/{cell.cell.name}"
        # _keep_result() makes it where it is missing.
        kept = (cell.run is not None and cell.run.result is not None) or (self.folder / place).exists()
        return replace(cell, folder=place if kept else "", spans=self._since_start(cell.spans))

    def _keep_result(self, cell: CellReport) -> None:
        """Write the result of a cell that has one, with its proof, into the cell's folder."""
        if cell.run is None or cell.run.result is None:
            return
        text = result_text(cell.run, cell.run.result).encode()
        # No replacement in one step: the cell's line has all of it too.
        with writing(file := self.folder / cell.folder / RESULT_FILE):
            try:
                file.write_bytes(text)
            except FileNotFoundError:
                self._made(file.parent)
                file.write_bytes(text)

    def _since_start(self, spans: Sequence[Span]) -> tuple[Span, ...]:
        # Where one phase ends the next begins: the same number, and once in memory.
        seconds = {at: round(at - self._began, 3) for span in spans for at in (span.start, span.end)}
        return tuple(Span(phase=span.phase, start=seconds[span.start], end=seconds[span.end]) for span in spans)

    def _in_order(self) -> tuple[CellReport, ...]:
        """As planned; by their ends where there was no plan."""
        last = len(self._order)
        return tuple(sorted(self._cells, key=lambda cell: self._order.get(cell.cell.name, last)))

    def save(self, *, interrupted: bool = False) -> RunReport:
        """Write run.json, junit.xml, summary.txt, report.html, timeline.svg and trace.json, unless that is done.

        A run with an instrumented kernel has coverage.html, too.
        """
        interrupted = interrupted or self._report.interrupted
        with self._lock:
            known = self._report
            state = (len(self._cells), len(known.builds), len(known.timings), interrupted, known.news)
            if self._saved and self._saved[0] == state:
                return self._saved[1]
            cells = self._in_order()
            self._report = replace(
                self._report,
                seconds=round(now() - self._began, 3),
                interrupted=interrupted,
                crashes=crash_entries(cells),
            )
            report = replace(self._report, cells=cells)
        self._save_run()
        write_whole(self.folder / JUNIT_FILE, junit_pieces(report))
        write_whole(self.folder / SUMMARY_FILE, summary_text(report))
        picture, builds = timeline_svg(report), coverage_of(report)
        write_whole(self.folder / TIMELINE_FILE, picture)
        write_whole(self.folder / TRACE_FILE, trace_pieces(report))
        write_whole(self.folder / REPORT_FILE, run_page_text(report, timeline=picture, coverage=builds))
        if builds:
            write_whole(self.folder / PAGE_FILE, page_text(report, builds))
        self._saved = (state, report)
        return report

    def _save_run(self) -> None:
        with self._lock:
            run = RUN.dump_python(self._report, mode="json", exclude={"cells"})
            # So that lines which have gone are missed.
            text = json_text(run | {CELL_COUNT: len(self._cells)}, indent=2)
            write_whole(self.folder / RUN_FILE, with_sum(text))

    def _made(self, folder: Path) -> Path:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder


@contextmanager
def open_run(
    root: Path, *, argv: Sequence[str], matrix_path: str, matrix: Matrix, versions: Mapping[str, str]
) -> Iterator[Store]:
    """A new folder below `root` for the length of the block; the reports are written at its end, however it ends.

    A mistake of the user's that shows before any cell has finished leaves no folder, and "latest" as it was.
    Raises InfraError where the disk is full or the folder cannot be written; what was recorded stays.
    """
    started = datetime.now(UTC)
    folder = new_folder(root, started)
    before = _latest(root)
    point_latest(root, folder.name)
    store = None
    try:
        with open_run_at(
            folder, folder.name, argv=argv, matrix_path=matrix_path, matrix=matrix, versions=versions
        ) as store:
            yield store
    except UserError:
        if store is not None and not store.report().cells:
            # Another run may have begun since.
            if _latest(root) == folder.name:
                point_latest(root, before)
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def open_run_at(
    folder: Path,
    name: str,
    *,
    argv: Sequence[str],
    matrix_path: str,
    matrix: Matrix,
    versions: Mapping[str, str],
) -> Iterator[Store]:
    """open_run() for a folder that is part of something larger; `name` is its path below the root, for find_run()."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    report = RunReport(
        id=name,
        folder=folder,
        argv=tuple(argv),
        matrix_path=matrix_path,
        matrix=matrix,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        versions=dict(versions),
        builds=(),
        cells=(),
    )
    with at_work(folder), saved_at_end(Store(report)) as store:
        yield store


@contextmanager
def saved_at_end(store: Store) -> Iterator[Store]:
    """The store for the length of the block; the reports are written at its end, however it ends."""
    try:
        yield store
    except BaseException as why:
        # The error that ended the run is the one to show, not that its report could not be written either.
        with contextlib.suppress(InfraError):
            store.save(interrupted=isinstance(why, Cancelled | KeyboardInterrupt))
        raise
    store.save()


def copy_junit(folder: Path, target: Path) -> None:
    """Copy the JUnit file of a run, or of seeded bugs, to where the user wants it. Raises InfraError."""
    with writing(target):
        shutil.copyfile(folder / JUNIT_FILE, target)


def find_run(root: Path, name: str) -> Path:
    """A run's folder by its id, the start of it, a path, or "latest". Raises UserError when there is none."""
    for folder in (root / name, Path(name)):
        if (folder / RUN_FILE).is_file():
            return folder.resolve()
    names = sorted(folder.parent.name for folder in root.glob(f"*/{RUN_FILE}") if not folder.parent.is_symlink())
    begun = [other for other in names if other.startswith(name)]
    if len(begun) == 1:
        return root / begun[0]
    if begun:
        raise UserError(f"{len(begun)} runs in {root} begin with {name!r}: {', '.join(begun[-6:])}", hint=f"ls {root}")
    if (root / name / BUGS).is_dir():
        raise UserError(f"{name} has a run for each bug", hint=f"ls {root / name / BUGS}")
    raise UserError(f"no run {name!r} in {root}{_nearest(name, names)}", hint=f"ls {root}")


def find_cell(report: RunReport, name: str) -> CellReport:
    """A finished cell by its name, or by an end or a part of it that no other has. Else UserError."""
    names = [cell.cell.name for cell in report.cells]
    meant = names_meant(names, name)
    matches = [cell for cell in report.cells if cell.cell.name in meant]
    if len(matches) == 1:
        if matches[0] in unreadable(report):
            raise UserError(
                f"{matches[0].cell.name} of {report.id} can't be used: {matches[0].verdict.title}",
                hint=f"less {report.folder / CELLS_FILE}; or run it again: patchrig run ...",
            )
        return matches[0]
    if matches:
        which = ", ".join(cell.cell.name for cell in matches[:_CELLS_NAMED])
        more = f" and {len(matches) - _CELLS_NAMED} more" if len(matches) > _CELLS_NAMED else ""
        likely = next((cell for cell in matches if not cell.verdict.outcome.good), matches[0])
        raise UserError(
            f"{name!r} is part of the names of {len(matches)} cells of {report.id}: {which}{more}",
            hint=f"the same command with {likely.cell.name}",
        )
    raise UserError(
        f"no finished cell {name!r} in {report.id}{_nearest(name, names)}",
        hint=f"less {report.folder / SUMMARY_FILE}  # has all names",
    )


def new_folder(root: Path, started: datetime, prefix: str = "") -> Path:
    """Make a folder below `root` that is named after the time and like no other; only we may look into it.

    A run's folder has the keys of its guests in it.
    """
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
    while True:
        folder = root / f"{prefix}{started:%Y-%m-%dT%H%M%SZ}-{secrets.token_hex(2)}"
        with writing(folder), contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            flush(root)
            return folder


def _latest(root: Path) -> str:
    """The name of the folder that "latest" points to; "" for none."""
    link = root / LATEST
    return link.readlink().name if link.is_symlink() else ""


def point_latest(root: Path, name: str) -> None:
    """Let "latest" point to the folder of that name; to nothing for ""."""
    with writing(root / LATEST):
        if not name:
            (root / LATEST).unlink(missing_ok=True)
            return
        point_to(root / LATEST, name)


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    return f"; the nearest is {near[0]}" if near else ""
