# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's folder in which work goes on: cells that ended stay, and nothing of the others does."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from orchestrator.host.removal import remove_tree
from orchestrator.model.cells import Cell
from orchestrator.model.guests import Ending, Fault
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.run_files import LOCK_FILE, write_whole, writing
from orchestrator.report.run_page.run_page import REPORT_FILE
from orchestrator.report.store import JUNIT_FILE, SUMMARY_FILE, TIMELINE_FILE, TRACE_FILE, Store, saved_at_end
from orchestrator.report.stored import CELLS_FILE, cell_lines, unreadable

_REPORTS = (JUNIT_FILE, SUMMARY_FILE, TIMELINE_FILE, TRACE_FILE, REPORT_FILE)


def has_ended(cell: CellReport) -> bool:
    """Whether a cell has a verdict that stays: it was not interrupted, and this machine did not lose it."""
    run = cell.run
    if cell.verdict.outcome is Outcome.LOST:
        # What a guest says, or a bug of ours, would lose it again.
        return run is not None and run.fault in (Fault.GUEST, Fault.OURS)
    return run is None or run.ending is not Ending.INTERRUPTED or cell.verdict.outcome is not Outcome.SKIPPED


def ended_cells(report: RunReport) -> dict[str, CellReport]:
    """The cells of a run that was read back that have ended, by name; of one that is there twice the first."""
    bad = {id(cell) for cell in unreadable(report)}
    found: dict[str, CellReport] = {}
    for cell in report.cells:
        if id(cell) not in bad and has_ended(cell):
            found.setdefault(cell.cell.name, cell)
    return found


def is_reported(report: RunReport) -> bool:
    """Whether the reports of a run were written after its last cell had ended."""
    folder = report.folder
    try:
        last = (folder / CELLS_FILE).stat().st_mtime_ns
        return all((folder / name).stat().st_mtime_ns >= last for name in _REPORTS)
    except OSError:
        return False


@contextmanager
def reopened(report: RunReport, planned: Sequence[Cell]) -> Iterator[Store]:
    """The store of a run that goes on, for the length of the block; the caller has its folder by at_work().

    `report` is as load_run() gives it. Cells that have not ended are forgotten, and their folders are removed: a line
    that was being written, what was interrupted, and what this machine lost. Raises InfraError where the disk refuses.
    """
    folder = report.folder
    names = {cell.name for cell in planned}
    ended = {name: cell for name, cell in ended_cells(report).items() if name in names}
    for name in names - set(ended):
        _remove(folder / "cells" / name)
    _remove_unfinished(folder)
    write_whole(folder / CELLS_FILE, cell_lines(ended.values()))
    again = replace(
        report,
        cells=tuple(ended.values()),
        interrupted=False,
        seconds=_seconds(report),
        resumed=(*report.resumed, datetime.now(UTC).isoformat(timespec="seconds")),
    )
    with saved_at_end(Store(again)) as store:
        yield store


def _seconds(report: RunReport) -> float:
    """How long the run had worked: what goes on begins then, as if it had not stopped."""
    spans = chain(*(cell.spans for cell in report.cells), *(timing.spans for timing in report.timings))
    return max([report.seconds, *(span.end for span in spans)])


def _remove_unfinished(folder: Path) -> None:
    """Files that were being written when the run was killed, and had no name of their own yet."""
    for place in (folder, folder / "guest", *(folder / "builds").glob("*")):
        for file in place.glob(".*"):
            if file.name != LOCK_FILE and file.is_file():
                _remove(file)


def _remove(folder: Path) -> None:
    with writing(folder):
        for trouble in remove_tree(folder):
            raise trouble
