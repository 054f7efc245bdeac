# SPDX-License-Identifier: GPL-2.0-or-later
"""Who makes the state of a guest, who waits for it, and who does without."""

from dataclasses import replace
from pathlib import Path

from orchestrator.model.arch import ARCHES
from orchestrator.model.machine import Machine
from orchestrator.run.snapshots import snapshots
from orchestrator.vm.argv import VmSpec

SPEC = VmSpec(
    arch=ARCHES["x86_64"],
    image=Path("image"),
    initramfs=Path("initramfs"),
    memory_mib=1,
    cpus=4,
    kvm=False,
    disk_mib=(),
)
HUGE = replace(SPEC, memory_mib=1 << 40)  # no machine has that


def test_the_first_of_two_cells_makes_the_state() -> None:
    with snapshots([SPEC, SPEC]) as states, states.claim(SPEC) as place:
        assert place.snapshot() is None
        assert place.making
        assert place.memory()


def test_a_guest_of_several_nodes_is_booted_and_nobody_waits_for_it() -> None:
    numa = replace(SPEC, machine=Machine(nodes=2))

    with snapshots([numa, numa]) as states, states.claim(numa) as first, states.claim(numa) as second:
        assert first.snapshot() is None
        assert not first.making
        assert second.snapshot() is None


def test_a_cell_that_gives_up_keeps_nobody_waiting() -> None:
    with snapshots([SPEC, SPEC]) as states, states.claim(SPEC) as first, states.claim(SPEC) as second:
        assert first.snapshot() is None
        first.give_up()

        assert second.snapshot() is None
        assert not second.making


def test_a_guest_for_whose_state_there_is_no_room_is_booted_and_nobody_waits_for_it() -> None:
    with snapshots([HUGE, HUGE]) as states, states.claim(HUGE) as first, states.claim(HUGE) as second:
        for place in (first, second):
            assert place.snapshot() is None
            assert not place.making
            assert place.memory() is None
        assert (first.without_room, second.without_room) == (True, False)  # it is told once
