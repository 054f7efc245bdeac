# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of cells in little memory: a run keeps one of each cell until its end (pure)."""

from array import array
from collections.abc import ItemsView, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from orchestrator.model.reports import CellReport

_NOTHING: Mapping[str, Any] = {}


class Counters(Mapping[str, int]):
    """Counters of one guest: four or eight bytes for each; guests that have the same ones share their names."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: Mapping[str, int], values: "array[int]") -> None:
        self._places = places  # name -> index of its value
        self._values = values

    def __getitem__(self, name: str) -> int:
        return self._values[self._places[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def items(self) -> ItemsView[str, int]:
        return dict(zip(self._places, self._values, strict=True)).items()

    def __repr__(self) -> str:
        return repr(dict(self))


class Compactor:
    """Makes reports compact; what is equal in many of them is there once."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, ...], Mapping[str, int]] = {}
        self._kernels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}

    def compact(self, report: CellReport) -> CellReport:
        """An equal report that needs less memory."""
        run, kernel = report.run, self._kernels.setdefault(tuple(report.kernel.items()), report.kernel)
        if run is not None and (result := run.result) is not None:
            result = replace(
                result,
                counters=self._counters(result.counters),
                lacking=result.lacking or _NOTHING,
                changed=result.changed or _NOTHING,
            )
            run = replace(run, result=result, moved=run.moved or _NOTHING)
        return replace(report, run=run, kernel=kernel)

    def _counters(self, counters: Mapping[str, int]) -> Mapping[str, int]:
        values = _packed(list(counters.values()))
        if values is None:
            return counters
        names = tuple(counters)
        places = self._places.get(names)
        if places is None:
            places = self._places[names] = {name: place for place, name in enumerate(names)}
        return Counters(places, values)


def _packed(values: list[int]) -> "array[int] | None":
    """The numbers in four or eight bytes each; None where one needs more: a guest may say anything."""
    for code in ("i", "q"):
        with suppress(OverflowError):
            return array(code, values)
    return None
