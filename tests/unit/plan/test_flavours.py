# SPDX-License-Identifier: GPL-2.0-or-later
"""Flavours: what their kernels cost, and that their detectors are really on."""

from math import ceil

import pytest

from orchestrator.host import paths
from orchestrator.kernel.compile.kconfig import merge, parse_fragment
from orchestrator.plan.flavours import FLAVOURS, fitted, needs_of
from tests.unit.samples import cell

# Everything that is not asked for is off (allnoconfig), a detector's own switches included.
ARMED = {
    "debug": ("PROVE_LOCKING", "DEBUG_ATOMIC_SLEEP", "DEBUG_VM", "DEBUG_LIST"),
    "kasan": ("KASAN", "KASAN_GENERIC", "KASAN_VMALLOC"),
    # Found by a kernel that was as silent as it was fast: KCSAN was in it, and switched off.
    "kcsan": ("KCSAN", "KCSAN_EARLY_ENABLE", "KCSAN_SELFTEST"),
    "widened": ("PATCHRIG_WIDEN",),
    "reach": ("PATCHRIG_REACH",),
}


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
