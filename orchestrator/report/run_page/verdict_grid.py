# SPDX-License-Identifier: GPL-2.0-or-later
"""The verdicts of a run as a grid: a row for each workload, a column for each build, repeats together (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from orchestrator.report.summary import outcome_counts

# What is more can't be overlooked at a glance, and a page of ten thousand squares opens on no phone.
MOST_ROWS = 120
MOST_COLUMNS = 24

Kind = Literal["good", "unproved", "bad", "lost", "skipped"]
_KINDS: Mapping[Outcome, Kind] = {
    Outcome.PASSED: "good",
    Outcome.SKIPPED: "skipped",
    Outcome.SUBTESTS_FAILED: "unproved",
    Outcome.NOT_EXERCISED: "unproved",
    Outcome.LOST: "lost",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Square:
    """All repeats of one workload on one build."""

    text: str  # "passed", or "crashed 1, passed 9"
    kind: Kind
    anchor: str  # of the finding that the worst of them shows; "" for none


@dataclass(frozen=True, kw_only=True, slots=True)
class GridRow:
    workload: str
    squares: tuple[Square | None, ...]  # None: there was no such cell


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictGrid:
    builds: tuple[str, ...]
    rows: tuple[GridRow, ...]
    left_out: tuple[str, ...]  # what the grid had no room for, in words


def verdict_grid(cells: Iterable[CellReport], anchors: Mapping[str, str]) -> VerdictGrid:
    """The grid, in the order of the cells; `anchors`: name of a cell -> where the page tells more of it.

    Where there are too many rows or columns, those without any cell that is not good are left out first.
    """
    groups: dict[str, dict[str, list[CellReport]]] = {}
    for cell in cells:
        groups.setdefault(cell.cell.workload.name, {}).setdefault(cell.cell.build.name, []).append(cell)
    squares = {
        workload: {build: _square(group, anchors) for build, group in row.items()} for workload, row in groups.items()
    }
    columns: dict[str, list[Square]] = {}
    for row in squares.values():
        for build, square in row.items():
            columns.setdefault(build, []).append(square)
    rows = {workload: list(row.values()) for workload, row in squares.items()}
    builds, other_builds = _chosen(columns, MOST_COLUMNS)
    workloads, other_workloads = _chosen(rows, MOST_ROWS)
    return VerdictGrid(
        builds=builds,
        rows=tuple(
            GridRow(workload=workload, squares=tuple(squares[workload].get(build) for build in builds))
            for workload in workloads
        ),
        left_out=(*_left_out("workload", other_workloads, rows), *_left_out("build", other_builds, columns)),
    )


def _square(cells: Sequence[CellReport], anchors: Mapping[str, str]) -> Square:
    outcomes = {cell.verdict.outcome for cell in cells}
    worst = Outcome.worst(tuple(outcomes))
    shown = next((cell for cell in cells if cell.verdict.outcome is worst and cell.cell.name in anchors), None)
    return Square(
        text=worst.value if len(cells) == 1 else outcome_counts(cells),
        kind=_KINDS.get(worst, "bad"),
        anchor=anchors[shown.cell.name] if shown else "",
    )


def _chosen(groups: Mapping[str, Sequence[Square]], most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that are shown, in order, and the others."""
    if len(groups) <= most:
        return tuple(groups), ()
    bad_first = sorted(groups, key=lambda name: not _has_bad(groups[name]))
    shown = set(bad_first[:most])
    return tuple(name for name in groups if name in shown), tuple(name for name in groups if name not in shown)


def _has_bad(squares: Iterable[Square]) -> bool:
    return any(square.kind in ("bad", "lost", "unproved") for square in squares)


def _left_out(what: str, names: Sequence[str], groups: Mapping[str, Sequence[Square]]) -> tuple[str, ...]:
    if not names:
        return ()
    bad = sum(_has_bad(groups[name]) for name in names)
    said = f"{bad} of them not all good" if bad else "all good"
    return (f"and {len(names)} more {what}{'s' if len(names) > 1 else ''}, {said}",)
