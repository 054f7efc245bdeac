# SPDX-License-Identifier: GPL-2.0-or-later
"""What earlier runs of the same matrix tell of its cells: how they ended, and how long they took."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from orchestrator.model.history import PastRun
from orchestrator.model.outcomes import Outcome
from orchestrator.report.history.database import past_runs

# Runs may be of a part of the matrix, and what the newest does not know an older one may.
_MOST_RUNS = 8
_NOT_RUN = (Outcome.SKIPPED, Outcome.LOST)


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """How a cell ended when it ran last."""

    outcome: Outcome
    overhead: float  # seconds on the host beyond the load seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What is known of cells by name; and what the newest series did to each file, None: not known."""

    cells: Mapping[str, LastRun] = field(default_factory=dict)
    series: Mapping[str, str] | None = None


def read_earlier(root: Path, *, matrix_path: str, before: str) -> Earlier:
    """The runs below `root` of the matrix, newest first, that began before the one called `before`.

    What can't be read is passed over: it decides on the order of things, and on nothing else.
    """
    cells: dict[str, LastRun] = {}
    series: Mapping[str, str] | None = None
    for run in islice(past_runs(root, before=before, matrix=Path(matrix_path).resolve()), _MOST_RUNS):
        series = _series(run) if series is None else series
        for name, known in _cells(run):
            cells.setdefault(name, known)
    return Earlier(cells=cells, series=series)


def _series(run: PastRun) -> Mapping[str, str] | None:
    with suppress(ValueError):
        files = json.loads(run.series_files)
        return files if isinstance(files, dict) else None
    return None


def _cells(run: PastRun) -> Iterator[tuple[str, LastRun]]:
    """The cells of one run that ran; of a name that is there twice the last."""
    found = {
        cell.name: LastRun(outcome=cell.outcome, overhead=max(0.0, cell.seconds - cell.load_seconds))
        for cell in run.cells
        if cell.outcome not in _NOT_RUN
    }
    yield from found.items()
