# SPDX-License-Identifier: GPL-2.0-or-later
"""The same splat in many cells is one entry; and with both variants in one run, whose it is (pure)."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Comparison, Crash, CrashEntry, Severity, Tally
from orchestrator.model.guests import Ending
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport

# A cell that ended like this has shown nothing by its silence.
_PROVED_NOTHING = (Outcome.NOT_EXERCISED, Outcome.LOST, Outcome.SKIPPED)

_Place = tuple[str, str, str]
Compared = tuple[Comparison | None, Tally | None, Tally | None]


class Comparisons:
    """The cells of a run, counted once: with many findings, to look through all cells for each takes long.

    Only cells of the same flavour, arch and workload as one that shows a thing are compared, all repeats together.
    """

    def __init__(self, cells: Sequence[CellReport]) -> None:
        self.variants = {cell.cell.build.variant for cell in cells}
        self._silent = Counter((_place(cell), cell.cell.build.variant) for cell in cells if _silent_to_the_end(cell))
        self._with_splat: dict[str, dict[str, CellReport]] = {}
        for cell in cells:
            for crash in cell.crashes:
                self._with_splat.setdefault(crash.title, {})[cell.cell.name] = cell

    def with_splat(self, title: str) -> Collection[CellReport]:
        """The cells on whose console the splat is."""
        return self._with_splat.get(title, {}).values()

    def of(self, shown: Iterable[CellReport]) -> Compared:
        """Whose the thing is that these cells show, each once: with the counts with the series and without.

        All None where only one variant has cells.
        """
        if len(self.variants) < len(Variant):
            return None, None, None
        cells = list(shown)
        places = {_place(cell) for cell in cells}
        with_series, without = (self._tally(cells, places, variant) for variant in (Variant.PATCHED, Variant.BASELINE))
        return _compared(with_series, without), with_series, without

    def _tally(self, shown: Sequence[CellReport], places: Iterable[_Place], variant: Variant) -> Tally:
        mine = [cell for cell in shown if cell.cell.build.variant is variant]
        silent = sum(self._silent[place, variant] for place in places) - sum(map(_silent_to_the_end, mine))
        return Tally(seen=len(mine), cells=len(mine) + silent)


def crash_entries(cells: Sequence[CellReport]) -> tuple[CrashEntry, ...]:
    """Each title once: what fails a cell first, what came first in a cell before what only followed, then by count."""
    groups: dict[str, list[tuple[CellReport, Crash]]] = {}
    for cell in cells:
        for crash in cell.crashes:
            groups.setdefault(crash.title, []).append((cell, crash))
    compared = Comparisons(cells)
    entries = [_entry(title, seen, compared) for title, seen in groups.items()]
    return tuple(sorted(entries, key=_worst_first))


def tally_text(entry: CrashEntry) -> str:
    """ "only with the series: 3 of 10 cells with it, 0 of 10 without"; "" where only one variant ran."""
    return compared_text(entry.compared, entry.with_series, entry.without_series)


def compared_text(compared: Comparison | None, with_series: Tally | None, without: Tally | None) -> str:
    """A comparison with its counts; only cells count that show it or ran to their end."""
    if compared is None or with_series is None or without is None:
        return ""
    if not (with_series.cells and without.cells):
        other = "without it" if with_series.cells else "with it"
        return f"{compared}: no matching cell {other} ran to its end"
    cells = "cell" if with_series.cells == 1 else "cells"
    return (
        f"{compared}: {with_series.seen} of {with_series.cells} {cells} with it, "
        f"{without.seen} of {without.cells} without"
    )


def _compared(with_series: Tally, without: Tally) -> Comparison | None:
    if with_series.seen and without.seen:
        return Comparison.BOTH
    if with_series.seen:
        return Comparison.ONLY_WITH if without.cells else Comparison.NOT_KNOWN_WITHOUT
    if without.seen:
        return Comparison.ONLY_WITHOUT if with_series.cells else Comparison.NOT_KNOWN_WITH
    return None


def _silent_to_the_end(cell: CellReport) -> bool:
    ran = cell.run is not None and cell.run.ending is Ending.REPORTED
    return ran and cell.verdict.outcome not in _PROVED_NOTHING


def _place(cell: CellReport) -> _Place:
    build = cell.cell.build
    return build.flavour, build.arch, cell.cell.workload.name


def _entry(title: str, seen: Sequence[tuple[CellReport, Crash]], comparisons: Comparisons) -> CrashEntry:
    names = dict.fromkeys(cell.cell.name for cell, _ in seen)
    crashes = [crash for _, crash in seen]
    compared, with_series, without = comparisons.of(comparisons.with_splat(title))
    return CrashEntry(
        title=title,
        kind=crashes[0].kind,
        severity=max((crash.severity for crash in crashes), key=list(Severity).index),
        count=len(names),
        cells=tuple(names),
        reports=len(crashes),
        follow_up=all(crash.follow_up for crash in crashes),
        allowed=next((crash.allowed for crash in crashes if crash.allowed), ""),
        compared=compared,
        with_series=with_series,
        without_series=without,
    )


def _worst_first(entry: CrashEntry) -> tuple[bool, bool, bool, int]:
    return entry.severity is Severity.NOTE, bool(entry.allowed), entry.follow_up, -entry.count
