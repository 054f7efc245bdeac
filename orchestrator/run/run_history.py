# SPDX-License-Identifier: GPL-2.0-or-later
"""The runs of a results folder: what they tell together, and what of a run is new."""

from pathlib import Path

from orchestrator.host.errors import UserError
from orchestrator.judge.news import history_of, news_of
from orchestrator.model.history import History, News, PastRun
from orchestrator.model.reports import RunReport
from orchestrator.report.history.database import past_runs
from orchestrator.report.history.index_page import INDEX_FILE, index_text
from orchestrator.report.history.past_runs import COUNTED, as_read, past_run
from orchestrator.report.run_files import write_whole
from orchestrator.report.store import find_run

LAST = "last"
# What is older tells little of tonight, and all of it is in memory at once.
MOST_RUNS = 500
MOST_CELLS = 200_000


def counted_runs(results: Path, *, before: str = "", ended: RunReport | None = None) -> tuple[PastRun, ...]:
    """The newest runs that count, the oldest first; `before`: only those that began before this one.

    `ended`: a run of the folder that is in memory, and need not be read.
    """
    found: list[PastRun] = []
    cells = 0
    for run in past_runs(results, before=before, ended=as_read(ended) if ended else None):
        if len(found) == MOST_RUNS or cells > MOST_CELLS:
            break
        if run.command in COUNTED and run.cells:
            found.append(run)
            cells += len(run.cells)
    return tuple(reversed(found))


def read_history(results: Path, ended: RunReport | None = None) -> History:
    """What all runs of the folder tell together; `ended` as for counted_runs()."""
    return history_of(counted_runs(results, ended=ended))


def runs_up_to(results: Path, name: str) -> tuple[PastRun, ...]:
    """The runs that are known to a reader of the run `name`: it, and those before it. "last": all that there are.

    What a run found that was interrupted or killed nobody was told, so it is not known. Raises UserError where there is
    no such run in the folder.
    """
    runs = tuple(run for run in counted_runs(results) if run.finished)
    if name == LAST:
        return runs
    folder = find_run(results, name)
    if folder.parent != results.resolve() and folder.parent != results:
        raise UserError(f"{folder} is no run of {results}", hint=f"--results {folder.parent}")
    return tuple(run for run in runs if run.id <= folder.name)


def what_is_new(report: RunReport, before: tuple[PastRun, ...]) -> News:
    """What of a run is new beside the runs before it."""
    return news_of(past_run(report), tuple(run for run in before if run.id != report.folder.name))


def write_index(results: Path, ended: RunReport | None = None) -> History:
    """Write index.html of a results folder anew; returns what is on it. Raises InfraError.

    `ended` as for counted_runs().
    """
    history = read_history(results, ended)
    # As a run's folder is, it is nobody else's to read.
    write_whole(results / INDEX_FILE, index_text(history), mode=0o600)
    return history
