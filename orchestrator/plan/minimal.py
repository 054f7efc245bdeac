# SPDX-License-Identifier: GPL-2.0-or-later
"""Smaller cells to try, one after another, until nothing that is smaller shows the same finding (pure)."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from orchestrator.model.blocks import DelaySettings
from orchestrator.model.cells import Cell
from orchestrator.model.minimised import WITHOUT, Parts, left_out, option_of

T = TypeVar("T")
# Yields a cell that is smaller; is sent the cell that showed the finding (with another seed, maybe), or None.
Search = Generator[Cell, Cell | None, Cell]
# Kinds of delays that a widened kernel may do without.
_KNOBS: tuple[Callable[[DelaySettings], DelaySettings], ...] = (
    lambda delays: replace(delays, chance_ppm=0),
    lambda delays: replace(delays, sleep_us=0),
    lambda delays: replace(delays, spin_us=0),
    lambda delays: replace(delays, hold_us=0),
    lambda delays: replace(delays, partner_percent=0),
)


def smaller_cells(cell: Cell, parts: Parts) -> Search:
    """The search returns the smallest cell. It goes on until a pass over all parts takes nothing away."""
    while True:
        before = cell
        # What makes the other trials quick comes first.
        for step in (_seconds, _threads, _options, _devices, _settings, _cgroup, _knobs, _targets, _cpus):
            cell = yield from step(cell, parts)
        if cell == before:
            return cell


def _seconds(cell: Cell, _parts: Parts) -> Search:
    return (yield from _least(cell, cell.seconds, 1, lambda at, value: replace(at, seconds=value)))


def _cpus(cell: Cell, _parts: Parts) -> Search:
    return (yield from _least(cell, cell.workload.cpus, 1, lambda at, value: _with(at, cpus=value)))


def _threads(cell: Cell, parts: Parts) -> Search:
    gone = left_out(cell)
    there = [number for number in range(parts.threads) if number not in gone]

    def only(at: Cell, kept: Sequence[int]) -> Cell:
        numbers = ",".join(str(number) for number in range(parts.threads) if number not in kept)
        return _with(at, arguments=_argument(at, WITHOUT, numbers))

    return (yield from _fewest(cell, there, only))


def _options(cell: Cell, parts: Parts) -> Search:
    for name, default in parts.options.items():

        def smaller(at: Cell, value: int, name: str = name) -> Cell:
            return _with(at, arguments=_argument(at, f"--{name}", str(value)))

        cell = yield from _halved(cell, option_of(cell, name, default), smaller)
    return cell


def _devices(cell: Cell, _parts: Parts) -> Search:
    devices = cell.workload.devices
    return (yield from _fewest(cell, devices, lambda at, kept: _with(at, devices=tuple(kept)), least=1))


def _settings(cell: Cell, _parts: Parts) -> Search:
    return (yield from _fewest(cell, tuple(cell.workload.settings), lambda at, kept: _only(at, "settings", kept)))


def _cgroup(cell: Cell, _parts: Parts) -> Search:
    return (yield from _fewest(cell, tuple(cell.workload.cgroup), lambda at, kept: _only(at, "cgroup", kept)))


def _knobs(cell: Cell, _parts: Parts) -> Search:
    for without in _KNOBS:
        if cell.widening and (fewer := without(cell.widening)) != cell.widening:
            shown = yield replace(cell, widening=fewer)
            cell = shown or cell
    return cell


def _targets(cell: Cell, parts: Parts) -> Search:
    """Functions in which a widened kernel delays: no name means all of them."""
    if not cell.widening:
        return cell
    there = cell.widening.only or parts.targets

    def only(at: Cell, kept: Sequence[str]) -> Cell:
        assert at.widening
        return replace(at, widening=replace(at.widening, only=tuple(kept)))

    return (yield from _fewest(cell, there, only, least=1))


def _fewest(cell: Cell, items: Sequence[T], only: Callable[[Cell, Sequence[T]], Cell], *, least: int = 0) -> Search:
    """Delta debugging: take all away, then each half, each quarter, ..., each single item."""
    kept, size = list(items), len(items)
    while size:
        at = 0
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            shown = (yield only(cell, fewer)) if len(fewer) >= least else None
            if shown:
                cell, kept = shown, fewer
            else:
                at += size
        size //= 2
    return cell


def _least(cell: Cell, value: int, low: int, having: Callable[[Cell, int], Cell]) -> Search:
    """The smallest number, as if each larger one showed it: the lowest, then always the one in the middle."""
    trial = low
    while low < value:
        shown = yield having(cell, trial)
        if shown:
            cell, value = shown, trial
        else:
            low = trial + 1
        trial = (low + value) // 2
    return cell


def _halved(cell: Cell, value: int, having: Callable[[Cell, int], Cell]) -> Search:
    """A smaller number, as exact as trials that take minutes are worth: 1, or else half, a quarter, ..."""
    trial = 1
    while trial < value:
        shown = yield having(cell, trial)
        if shown:
            cell, value = shown, trial
        elif trial > 1:
            return cell
        trial = max(2, value // 2)
    return cell


def _with(cell: Cell, **changed: object) -> Cell:
    return replace(cell, workload=cell.workload.model_copy(update=changed))


def _only(cell: Cell, field: str, kept: Sequence[str]) -> Cell:
    values: Mapping[str, str] = getattr(cell.workload, field)
    return _with(cell, **{field: {name: values[name] for name in kept}})


def _argument(cell: Cell, option: str, value: str) -> tuple[str, ...]:
    """The arguments with this one at their end, in place of those of the same name."""
    words = cell.workload.arguments
    pairs = zip(words[::2], words[1::2], strict=False)
    kept = tuple(word for pair in pairs if pair[0] != option for word in pair)
    return (*kept, option, value) if value else kept
