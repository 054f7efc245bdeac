# SPDX-License-Identifier: GPL-2.0-or-later
"""The search for the smallest cell, against findings that need certain parts."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.model.cells import Cell
from orchestrator.model.configuration import DeviceKind, SwapDevice
from orchestrator.model.minimised import Parts, left_out, option_of, reductions
from orchestrator.plan.delays import DEFAULT
from orchestrator.plan.minimal import smaller_cells
from tests.unit import samples

DEVICES = tuple(SwapDevice(kind=kind, size_mib=8) for kind in (DeviceKind.ZRAM, DeviceKind.NULL_BLK, DeviceKind.ZRAM))


def whole(*, arguments: tuple[str, ...] = ()) -> Cell:
    cell = samples.cell()
    settings, cgroup = {"/a": "1", "/b": "2"}, {"memory.high": "64M"}
    workload = cell.workload.model_copy(
        update={"devices": DEVICES, "settings": settings, "cgroup": cgroup, "cpus": 4, "arguments": arguments}
    )
    return replace(cell, workload=workload)


def searched(cell: Cell, parts: Parts, shows: Callable[[Cell], bool], *, seed: int | None = None) -> tuple[Cell, int]:
    """The smallest cell, and how many were tried."""
    search, tried = smaller_cells(cell, parts), 0
    try:
        candidate = next(search)
        while True:
            tried += 1
            shown = candidate if seed is None else replace(candidate, seed=seed)
            candidate = search.send(shown if shows(candidate) else None)
    except StopIteration as end:
        return end.value, tried


def test_what_needs_nothing_loses_all() -> None:
    parts = Parts(threads=9, options={"pages": 1024, "chunk": 1})

    smallest, tried = searched(whole(), parts, lambda _: True)

    load = smallest.workload
    assert (smallest.seconds, load.cpus, len(load.devices)) == (1, 1, 1)
    assert (load.settings, load.cgroup) == ({}, {})
    assert left_out(smallest) == tuple(range(9))
    assert option_of(smallest, "pages", 1024) == 1
    assert tried < 20


@pytest.mark.parametrize("needed", [{0}, {8}, {2, 6}, {0, 1, 2, 3, 4, 5, 6, 7, 8}, set()])
def test_the_threads_that_are_needed_stay(needed: set[int]) -> None:
    smallest, _ = searched(whole(), Parts(threads=9), lambda cell: not needed & set(left_out(cell)))

    assert set(range(9)) - set(left_out(smallest)) == needed


@pytest.mark.parametrize("least", [1, 2, 7, 19, 20])
def test_the_seconds_are_as_few_as_possible(least: int) -> None:
    smallest, tried = searched(whole(), Parts(), lambda cell: cell.seconds >= least)

    assert smallest.seconds == least
    assert tried < 40


def test_cpus_and_devices_that_are_needed_stay() -> None:
    def shows(cell: Cell) -> bool:
        return cell.workload.cpus >= 2 and DEVICES[1] in cell.workload.devices and "/b" in cell.workload.settings

    smallest, _ = searched(whole(), Parts(), shows)

    assert smallest.workload.cpus == 2
    assert smallest.workload.devices == (DEVICES[1],)
    assert smallest.workload.settings == {"/b": "2"}


def test_a_number_is_halved_and_replaces_the_one_of_the_workload() -> None:
    cell = whole(arguments=("--pages", "0x400", "--chunk", "64"))

    smallest, _ = searched(cell, Parts(options={"pages": 16}), lambda cell: option_of(cell, "pages", 0) >= 100)

    assert smallest.workload.arguments == ("--chunk", "64", "--pages", "128")


def test_delays_that_nothing_needs_are_left_out() -> None:
    cell = replace(whole(), widening=DEFAULT)
    parts = Parts(targets=("a", "b", "c", "d", "e"))

    def shows(cell: Cell) -> bool:
        assert cell.widening
        return bool(cell.widening.hold_us) and (not cell.widening.only or {"b", "e"} <= set(cell.widening.only))

    smallest, _ = searched(cell, parts, shows)

    assert smallest.widening == replace(
        DEFAULT, chance_ppm=0, sleep_us=0, spin_us=0, partner_percent=0, only=("b", "e")
    )
    said = {one.what: (one.before, one.after) for one in reductions(cell, smallest, parts)}
    assert said["delays in"] == ("all changed functions", "b e")
    assert said["longest sleep"] == (f"{DEFAULT.sleep_us} us", "0 us")


def test_nothing_to_delay_is_no_list_of_functions() -> None:
    smallest, _ = searched(replace(whole(), widening=DEFAULT), Parts(targets=("only_one",)), lambda _: True)

    assert smallest.widening
    assert smallest.widening.only == ()


def test_the_search_goes_on_with_the_seed_that_showed_it() -> None:
    smallest, _ = searched(whole(), Parts(threads=3), lambda _: True, seed=77)

    assert smallest.seed == 77


def test_a_part_that_is_free_only_without_another_goes_too() -> None:
    def shows(cell: Cell) -> bool:
        # Fewer seconds do as soon as there is one CPU, which comes last.
        return cell.seconds >= (3 if cell.workload.cpus == 1 else 15)

    smallest, _ = searched(whole(), Parts(), shows)

    assert (smallest.seconds, smallest.workload.cpus) == (3, 1)


def test_what_stays_is_not_named() -> None:
    cell = whole()

    assert list(reductions(cell, replace(cell, seed=9), Parts(threads=4, options={"pages": 8}))) == []
