# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest gets for a root that is larger than usual."""

from pathlib import Path

from orchestrator.guest.keys import new_keys
from orchestrator.run.bootable import UNPACK_IN_TURN, Bootable, Guests, vm_spec
from orchestrator.vm.argv import VmSpec
from tests.unit.samples import cell, image

KEYS = new_keys()


def spec_with(initramfs_mib: int, tmp_path: Path) -> VmSpec:
    initramfs = tmp_path / "initramfs"
    with initramfs.open("wb") as file:
        file.truncate(initramfs_mib << 20)
    return vm_spec(cell(), Bootable(kernel=image(), initramfs=initramfs, guests=Guests(keys=KEYS)))


def test_a_guest_has_as_much_more_memory_as_its_root_is_larger_than_one_without_packages(tmp_path: Path) -> None:
    usual = cell().workload.memory_mib

    assert [spec_with(mib, tmp_path).memory_mib - usual for mib in (0, 9, 16, 17, 120)] == [0, 0, 0, 1, 104]


def test_nobody_waits_for_a_large_root_so_long_that_the_kernel_calls_it_hung(tmp_path: Path) -> None:
    assert spec_with(9, tmp_path).extra_parameters == ()
    assert spec_with(120, tmp_path).extra_parameters == UNPACK_IN_TURN
