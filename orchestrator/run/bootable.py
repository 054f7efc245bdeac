# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel with all that its guests start from, and what all guests of a run share."""

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.guest.keys import RunKeys
from orchestrator.guest.workload import disk_sizes
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Allowed
from orchestrator.model.images import KernelImage
from orchestrator.run.crash_source import Explainer
from orchestrator.run.snapshots import Snapshots
from orchestrator.vm.argv import VmSpec

BOOT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Seconds that are not scaled with the guest's speed, as it is not known yet or does not matter."""

    boot: float = BOOT_SECONDS  # from QEMU's start to the ready line, and from there to the first SSH command
    restore: float = 30.0  # from QEMU's start to the first SSH command, of a guest that is restored
    second_look: float = 3.0  # a task that is in the same place after so long is stuck
    quiet: float = 1.0  # a console that says nothing for so long has said all


@dataclass(frozen=True, kw_only=True, slots=True)
class Guests:
    """What all guests of a run share."""

    keys: RunKeys
    kvm: frozenset[str]  # the arches whose guests run under KVM here
    allow: tuple[Allowed, ...]
    stop_at_crash: bool = False  # a workload ends at the first complaint of the kernel that is fatal
    patience: Patience = field(default_factory=Patience)
    dump_memory: bool = False  # keep the whole memory of a guest that hangs
    states: Snapshots | None = None  # of guests that are restored and not booted; None: all are booted
    sandbox: bool = True  # QEMU runs in it


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootable:
    """A kernel with the files that a guest starts from."""

    kernel: KernelImage
    initramfs: Path
    explainer: Explainer | None = None  # of this kernel's crashes


def vm_spec(cell: Cell, bootable: Bootable, guests: Guests) -> VmSpec:
    """The guest that a cell asks for."""
    return VmSpec(
        arch=ARCHES[cell.build.arch],
        image=bootable.kernel.image,
        initramfs=bootable.initramfs,
        memory_mib=cell.workload.memory_mib,
        cpus=cell.workload.cpus,
        kvm=cell.build.arch in guests.kvm,
        disk_mib=disk_sizes(cell),
        sandbox=guests.sandbox,
    )
