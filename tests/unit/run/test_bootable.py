# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest gets for a root that is larger than usual."""

import re
from dataclasses import replace
from pathlib import Path

from orchestrator.guest.keys import new_keys
from orchestrator.judge.guest_splats import splats_text
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Allowed, Results
from orchestrator.model.probes import Located
from orchestrator.run.bootable import (
    NO_PACKAGES,
    UNPACK_IN_TURN,
    Bootable,
    BootFiles,
    Guests,
    initramfs_name,
    kept_bootable,
    vm_spec,
)
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


def with_packages(name: str, *packages: str) -> Cell:
    base = cell(workload=name)
    return replace(base, workload=base.workload.model_copy(update={"packages": packages}))


PLAIN, PERL, ALSO_PERL, STRESS = (
    with_packages("plain"),
    with_packages("perl", "perl", "bash"),
    with_packages("also-perl", "bash", "perl", "perl"),
    with_packages("stress", "stress-ng"),
)


def made(folder: Path, *cells: Cell, guests: Guests | None = None) -> Bootable:
    """With files in place of what Debian's packages would give: each says which packages it has."""
    for packages in (NO_PACKAGES, ("bash", "perl"), ("stress-ng",)):
        name = initramfs_name(image().build, packages).replace(image().build.name, image().build.arch)
        (folder / name).write_bytes(" ".join(packages).encode())
    guests, workloads = guests or Guests(keys=KEYS), tuple(one.workload for one in cells)
    files = BootFiles(folder=folder, guests=guests, workloads=workloads, cache=folder, listener=lambda _: None)
    return files.bootable(image(), Located(sites={}, changed=()))


def content(initramfs: Path) -> tuple[str, list[str]]:
    """The packages, and the workloads with a list of what is probed."""
    content = initramfs.read_bytes()
    packages, _, _ = content.partition(b"07070")
    return packages.decode(), [name.decode() for name in re.findall(rb"patchrig/([\w-]+)\.probes", content)]


def test_a_guest_has_only_the_packages_of_its_own_workload(tmp_path: Path) -> None:
    bootable = made(tmp_path, PLAIN, PERL, ALSO_PERL, STRESS)

    def root(one: Cell) -> Path:
        return vm_spec(one, bootable).initramfs

    assert content(root(PLAIN)) == ("", ["plain"])
    assert content(root(PERL)) == ("bash perl", ["also-perl", "perl"])
    assert root(ALSO_PERL) == root(PERL)
    assert content(root(STRESS)) == ("stress-ng", ["stress"])


def test_only_a_guest_with_a_large_root_has_more_memory(tmp_path: Path) -> None:
    bootable = made(tmp_path, PLAIN, STRESS)
    with vm_spec(STRESS, bootable).initramfs.open("ab") as file:
        file.truncate(116 << 20)

    assert vm_spec(PLAIN, bootable).memory_mib == PLAIN.workload.memory_mib
    assert vm_spec(STRESS, bootable).memory_mib == STRESS.workload.memory_mib + 100


def test_a_cell_of_an_earlier_run_starts_from_the_root_of_its_workload(tmp_path: Path) -> None:
    for folder in ("guest", f"builds/{image().build.name}"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "builds" / image().build.name / "image").touch()
    own = tmp_path / "guest" / initramfs_name(image().build, ("stress-ng",))
    common = tmp_path / "guest" / initramfs_name(image().build)
    common.touch()
    workloads = [PLAIN.workload, PERL.workload, STRESS.workload]
    own.touch()

    kept = kept_bootable(image(), tmp_path, Guests(keys=KEYS), workloads=workloads)

    # Runs before had all packages in one.
    assert [kept.initramfs_of(one) for one in workloads] == [common, common, own]


def test_only_a_deterministic_guest_knows_splats_and_each_workload_those_that_it_allows(tmp_path: Path) -> None:
    allowed = Allowed(title="WARNING in f", reason="for a test")
    allowing = replace(PLAIN, workload=PLAIN.workload.model_copy(update={"name": "allowing", "allow": (allowed,)}))
    suite = replace(PLAIN, workload=PLAIN.workload.model_copy(update={"name": "suite", "results": Results.KTAP}))
    cells = (PLAIN, allowing, suite)

    deterministic = made(tmp_path, *cells, guests=Guests(keys=KEYS, deterministic=True)).initramfs.read_bytes()

    assert splats_text(()).encode() in deterministic
    assert splats_text((allowed,)).encode() in deterministic
    assert splats_text(()) != splats_text((allowed,))
    assert re.findall(rb"patchrig/([\w-]+)\.splats", deterministic) == [b"allowing", b"suite"]
    assert b"splats" not in made(tmp_path, *cells).initramfs.read_bytes()
