# SPDX-License-Identifier: GPL-2.0-or-later
"""What earlier runs of the same matrix tell of its cells: how they ended, and how long they took."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

from orchestrator.model.outcomes import Outcome
from orchestrator.report.stored import CELLS_FILE, RUN_FILE

# Runs may be of a part of the matrix, and what the newest does not know an older one may.
_MOST_RUNS = 8
_MOST_LOOKED_AT = 200
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
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
    """The runs below `root` of the matrix, newest first, without the one called `before`.

    What can't be read is passed over: it decides on the order of things, and on nothing else.
    """
    cells: dict[str, LastRun] = {}
    series: Mapping[str, str] | None = None
    for folder, run in islice(_runs(root, Path(matrix_path).resolve(), before), _MOST_RUNS):
        stored = run.get("series")
        series = stored if series is None and isinstance(stored, dict) else series
        for name, known in _cells(folder / CELLS_FILE):
            cells.setdefault(name, known)
    return Earlier(cells=cells, series=series)


def _runs(root: Path, matrix: Path, before: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    # A run is named after its time.
    folders = sorted((file.parent for file in root.glob(f"*/{RUN_FILE}")), reverse=True)
    for folder in folders[:_MOST_LOOKED_AT]:
        if folder.is_symlink() or folder.name == before:
            continue
        with suppress(OSError, *_UNREADABLE):
            run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            if Path(run["matrix_path"]).resolve() == matrix:
                yield folder, run


def _cells(file: Path) -> Iterator[tuple[str, LastRun]]:
    """The cells of one run that ran; of a name that is there twice the last."""
    found: dict[str, LastRun] = {}
    with suppress(OSError), file.open("rb") as lines:
        for line in lines:
            with suppress(*_UNREADABLE):
                said = json.loads(line)
                outcome = Outcome(said["verdict"]["outcome"])
                overhead = max(0.0, float(said["seconds"]) - float(said["cell"]["seconds"]))
                if outcome not in _NOT_RUN and isfinite(overhead):
                    found[_name(said["cell"])] = LastRun(outcome=outcome, overhead=overhead)
    yield from found.items()


def _name(cell: Mapping[str, Any]) -> str:
    """Cell.name, of the cell as it is stored: to make a value of each would take ten times as long."""
    build = cell["build"]
    suffix = f".{cell['repeat']}" if cell["repeats"] > 1 else ""
    return f"{build['variant']}.{build['flavour']}.{build['arch']}.{cell['workload']['name']}{suffix}"
