# SPDX-License-Identifier: GPL-2.0-or-later
"""The same splat in many cells is one entry; and with both variants in one run, whose it is (pure)."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Comparison, Crash, CrashEntry, Severity, Tally
from orchestrator.model.guests import Ending
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport

# A cell that ended like this has shown nothing by its silence.
_PROVED_NOTHING = (Outcome.NOT_EXERCISED, Outcome.LOST, Outcome.SKIPPED)

Seen = Callable[[CellReport], bool]


def crash_entries(cells: Sequence[CellReport]) -> tuple[CrashEntry, ...]:
    """Each title once: what fails a cell first, what came first in a cell before what only followed, then by count."""
    groups: dict[str, list[tuple[CellReport, Crash]]] = {}
    for cell in cells:
        for crash in cell.crashes:
            groups.setdefault(crash.title, []).append((cell, crash))
    # Only cells of the same place are compared: with many titles, to look through all cells for each takes long.
    places: dict[_Place, list[CellReport]] = {}
    for cell in cells:
        places.setdefault(_place(cell), []).append(cell)
    both = len({cell.cell.build.variant for cell in cells}) == len(Variant)
    entries = [_entry(title, seen, places if both else {}) for title, seen in groups.items()]
    return tuple(sorted(entries, key=_worst_first))


def comparison(cells: Sequence[CellReport], seen: Seen) -> tuple[Comparison | None, Tally | None, Tally | None]:
    """Whose the thing is that `seen` finds in a cell: with the counts with the series and without.

    Only cells of the same flavour, arch and workload as one that shows it are compared, all repeats together. All None
    where only one variant has cells.
    """
    if len({cell.cell.build.variant for cell in cells}) < len(Variant):
        return None, None, None
    places = {_place(cell) for cell in cells if seen(cell)}
    return _tallied([cell for cell in cells if _place(cell) in places], seen)


def _tallied(matching: Sequence[CellReport], seen: Seen) -> tuple[Comparison | None, Tally | None, Tally | None]:
    tallies = {variant: _tally(matching, variant, seen) for variant in Variant}
    with_series, without = tallies[Variant.PATCHED], tallies[Variant.BASELINE]
    return _compared(with_series, without), with_series, without


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


def _tally(cells: Iterable[CellReport], variant: Variant, seen: Seen) -> Tally:
    mine = [cell for cell in cells if cell.cell.build.variant is variant]
    shown = sum(map(seen, mine))
    return Tally(seen=shown, cells=shown + sum(_silent_to_the_end(cell) for cell in mine if not seen(cell)))


def _silent_to_the_end(cell: CellReport) -> bool:
    ran = cell.run is not None and cell.run.ending is Ending.REPORTED
    return ran and cell.verdict.outcome not in _PROVED_NOTHING


_Place = tuple[str, str, str]


def _place(cell: CellReport) -> _Place:
    build = cell.cell.build
    return build.flavour, build.arch, cell.cell.workload.name


def _entry(
    title: str, seen: Sequence[tuple[CellReport, Crash]], places: Mapping[_Place, Sequence[CellReport]]
) -> CrashEntry:
    """`places` has all cells by where they ran; none where there is only one variant."""
    names = dict.fromkeys(cell.cell.name for cell, _ in seen)
    crashes = [crash for _, crash in seen]
    compared, with_series, without = None, None, None
    if places:
        matching = [cell for place in {_place(cell) for cell, _ in seen} for cell in places[place]]
        compared, with_series, without = _tallied(matching, lambda cell: cell.cell.name in names)
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
