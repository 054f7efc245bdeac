# SPDX-License-Identifier: GPL-2.0-or-later
"""Flavours: what their kernels cost, and that their detectors are really on."""

from math import ceil
from pathlib import PurePosixPath

import pytest

from orchestrator.host import paths
from orchestrator.kernel.compile.kconfig import merge, parse_fragment
from orchestrator.model.arch import ARCHES
from orchestrator.model.configuration import DeviceKind, SwapDevice, Workload
from orchestrator.model.machine import Machine
from orchestrator.plan.flavours import FLAVOURS, fitted, flavour_conflict, needs_of, no_such_build, unfit
from tests.unit.samples import cell

# Everything that is not asked for is off (allnoconfig), a detector's own switches included.
ARMED = {
    "debug": ("PROVE_LOCKING", "DEBUG_ATOMIC_SLEEP", "DEBUG_VM", "DEBUG_LIST"),
    "kasan": ("KASAN", "KASAN_GENERIC", "KASAN_VMALLOC"),
    # Found by a kernel that was as silent as it was fast: KCSAN was in it, and switched off.
    "kcsan": ("KCSAN", "KCSAN_EARLY_ENABLE", "KCSAN_SELFTEST"),
    "widened": ("PATCHRIG_WIDEN",),
    "reach": ("PATCHRIG_REACH",),
    "ksm": ("KSM",),
    "16k": ("ARM64_16K_PAGES",),
    "64k": ("ARM64_64K_PAGES",),
    "numa": ("NUMA", "NUMA_BALANCING", "NUMA_BALANCING_DEFAULT_ENABLED"),
    "memcg-v1": ("MEMCG_V1",),
    "rt": ("PREEMPT_RT",),
}

SWAPIN = Workload(
    name="swapin",
    summary="faults",
    program=PurePosixPath("x.c"),
    devices=(SwapDevice(kind=DeviceKind.ZRAM, size_mib=8), SwapDevice(kind=DeviceKind.NULL_BLK, size_mib=4)),
    memory_mib=512,
    exercised={"pswpin": 90},
    not_with={"memcg-v1": "it writes memory.high"},
)


def fragment(*names: str) -> dict[str, str]:
    return merge(parse_fragment((paths.KCONFIG / f"{name}.config").read_text(), name) for name in names)


@pytest.mark.parametrize(("flavour", "symbols"), ARMED.items())
def test_a_detector_that_is_compiled_in_is_switched_on(flavour: str, symbols: tuple[str, ...]) -> None:
    asked = fragment("base", "plain", flavour)

    assert {symbol: asked.get(symbol) for symbol in symbols} == dict.fromkeys(symbols, "y")


@pytest.mark.parametrize("flavour", ["widened+debug", "widened+kasan", "kasan+debug"])
def test_the_parts_of_a_flavour_do_not_contradict_each_other(flavour: str) -> None:
    parts = [fragment(part) for part in flavour.split("+")]

    both = set.intersection(*(set(part) for part in parts))
    assert all(len({part[symbol] for part in parts}) == 1 for symbol in both)


def test_a_kernel_keeps_as_much_memory_as_the_greediest_of_its_parts() -> None:
    assert needs_of("widened+kasan").kept == FLAVOURS["kasan"].kept > needs_of("plain").kept


def test_a_slow_flavour_lowers_minimums_and_those_of_their_substitutes_alike() -> None:
    less = FLAVOURS["kasan"].less
    workload = cell(least=100).workload.model_copy(update={"instead": {"site.mincore": {"looks": 100}}})

    slow = fitted(workload, "kasan")

    assert slow.exercised["site.mincore"] == slow.instead["site.mincore"]["looks"] == ceil(100 / less)


@pytest.mark.parametrize(("flavour", "times"), [("plain", 1), ("16k", 4), ("64k", 16), ("64k+debug", 16)])
def test_a_device_has_as_many_pages_whatever_their_size(flavour: str, times: int) -> None:
    fit = fitted(SWAPIN, flavour)

    assert [device.size_mib for device in fit.devices] == [8 * times, 4 * times]
    # What more can be swapped out has room in the memory.
    assert fit.memory_mib == 512 + needs_of(flavour).memory_mib + 12 * (times - 1)


def test_a_flavour_may_ask_for_a_proof_of_its_own() -> None:
    load = SWAPIN.model_copy(update={"exercised_with": {"thp-always": {"large_folios": 5}}})

    assert fitted(load, "thp-always").exercised == {"pswpin": 90, "large_folios": 5}
    assert fitted(load, "thp-always+debug").exercised == {"pswpin": 45, "large_folios": 3}
    assert fitted(load, "plain").exercised == {"pswpin": 90}


def test_a_workload_as_it_is_run_can_be_read_back_from_its_report() -> None:
    huge = SwapDevice(kind=DeviceKind.VIRTIO_BLK, size_mib=4096)
    fit = fitted(SWAPIN.model_copy(update={"devices": (huge,) * 8, "memory_mib": 65_000}), "64k+kasan")

    assert Workload.model_validate(fit.model_dump()) == fit


@pytest.mark.parametrize("arch", ARCHES)
def test_only_arm64_has_pages_of_other_sizes(arch: str) -> None:
    for flavour in ("16k", "64k", "64k+debug", "widened+16k"):
        assert bool(no_such_build(flavour, arch)) is (arch != "arm64")
    assert not no_such_build("plain", arch)
    assert not no_such_build("mine", arch)


def test_parts_that_kconfig_has_not_together_are_refused() -> None:
    assert flavour_conflict("widened+reach") == "widened can't be joined with reach"
    assert flavour_conflict("kasan+kcsan") == "kasan can't be joined with kcsan"
    assert flavour_conflict("16k+64k") == "16k can't be joined with 64k"
    assert "thp-always" in flavour_conflict("debug+thp-always+rt")
    assert flavour_conflict("64k+numa+memcg-v1+thp-always") == ""


def test_parts_that_exclude_each_other_say_so_of_both_sides() -> None:
    for part, needs in FLAVOURS.items():
        assert all(part in FLAVOURS[other].without for other in needs.without)


def test_a_machine_has_what_each_part_of_the_flavour_asks_for() -> None:
    assert needs_of("plain").machine == Machine()
    assert needs_of("64k+numa+memcg-v1").machine == Machine(page_kib=64, nodes=2, memcg="v1")
    assert needs_of("memcg-v1+64k+numa").machine == Machine(page_kib=64, nodes=2, memcg="v1")


def test_a_workload_is_left_out_of_each_flavour_with_a_part_that_it_can_not_stand() -> None:
    assert unfit(SWAPIN, "debug+memcg-v1") == "swapin: not with memcg-v1: it writes memory.high"
    assert unfit(SWAPIN, "debug+numa") == ""
