# SPDX-License-Identifier: GPL-2.0-or-later
"""What each flavour needs of a guest beyond what its workload asks for: a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from math import ceil

from orchestrator.model.configuration import LARGEST_DEVICE_MIB, MOST_MEMORY_MIB, SwapDevice, Workload
from orchestrator.model.machine import PLAIN, Machine, both


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What a kernel of some flavour costs; the figures are for TCG on both arches."""

    memory_mib: int = 0  # more than the workload's own
    slower: float = 1.0  # how much longer the kernel takes for the same: time limits grow with it
    less: float = 1.0  # how much less a workload gets done in the same time: its minimums shrink with it
    kept: float = 0.2  # share of the guest's memory that the kernel may keep for itself, beside MemTotal
    overlay: str = ""  # folder in kernels/overlays/ that is laid on the source: a kernel has one
    records: bool = False  # the overlay records which blocks of whole folders run, and neither counts nor delays
    machine: Machine = PLAIN  # the guest that it needs
    arches: frozenset[str] = frozenset()  # those that have it; empty: all
    without: frozenset[str] = frozenset()  # the parts that it can't be joined with


# The part of a flavour's name, which is a fragment in configs/kconfig/ as well, -> what it costs.
FLAVOURS = {
    "plain": Needs(),
    # Lock classes and chains are static tables, 14 MiB of them; all else is time.
    "debug": Needs(memory_mib=32, slower=2.0, less=2.0),
    # Its delays take most of the time of the load's tasks, and now and then keep swapoff waiting for a lock.
    "widened": Needs(slower=1.5, less=8.0, overlay="widened", without=frozenset({"reach"})),
    # A call at each block of mm/, the allocators included.
    "reach": Needs(slower=1.5, less=2.0, overlay="reach", records=True, without=frozenset({"widened"})),
    # An eighth of the memory as shadow, the quarantine of freed objects (a 32nd), red zones, a kernel twice as large.
    # Of 544 MiB the kernel keeps 131, of 832 MiB 172.
    "kasan": Needs(memory_mib=160, slower=2.5, less=2.5, kept=0.3, without=frozenset({"kcsan"})),
    # Suites of the tree: a kernel that is larger by a third, and as quick.
    "kselftest": Needs(memory_mib=16),
    "kunit": Needs(memory_mib=16),
    "ksm": Needs(),
    # The compiler's calls around each access of memory, and a stall of 80 us at every 4000th.
    "kcsan": Needs(memory_mib=16, slower=3.0, less=4.0, without=frozenset({"kasan"})),
    # A page takes longer to write, compress, read and check. Slabs, stacks and page tables are larger; so are the swap
    # devices, see fitted().
    "16k": Needs(
        memory_mib=32,
        slower=1.5,
        less=2.0,
        machine=Machine(page_kib=16),
        arches=frozenset({"arm64"}),
        without=frozenset({"64k"}),
    ),
    "64k": Needs(
        memory_mib=96,
        slower=3.0,
        less=6.0,
        machine=Machine(page_kib=64),
        arches=frozenset({"arm64"}),
        without=frozenset({"16k"}),
    ),
    # Reserves and lists of free pages twice; hint faults of the balancing.
    "numa": Needs(memory_mib=32, slower=1.2, less=1.5, machine=Machine(nodes=2), without=frozenset({"rt"})),
    "memcg-v1": Needs(less=1.5, machine=Machine(memcg="v1")),
    "thp-always": Needs(memory_mib=32, machine=Machine(thp="always"), without=frozenset({"rt"})),
    # Locks that sleep and interrupts with threads of their own: many more context switches.
    "rt": Needs(slower=2.0, less=3.0, machine=Machine(thp="none"), without=frozenset({"numa", "thp-always"})),
}


def needs_of(flavour: str) -> Needs:
    """What a flavour costs; one of several parts ("widened+debug") costs what they cost together."""
    return reduce(_both, (FLAVOURS.get(part, Needs()) for part in flavour.split("+")))


def is_widened(flavour: str) -> bool:
    """Whether its kernels have the hook that delays."""
    needs = needs_of(flavour)
    return bool(needs.overlay) and not needs.records


def fitted(workload: Workload, flavour: str) -> Workload:
    """The workload as it is run on a kernel of this flavour: with memory for it, and minimums that it can reach."""
    needs = needs_of(flavour)
    own = (workload.exercised_with.get(part, {}) for part in flavour.split("+"))
    minimums = reduce(lambda one, other: {**one, **other}, own, workload.exercised)
    changes = {
        "exercised": _lowered(minimums, needs.less),
        "instead": {counter: _lowered(others, needs.less) for counter, others in workload.instead.items()},
    }
    # A workload counts pages. So a device has as many as with pages of 4 KiB, and the memory has room for them.
    larger = needs.machine.page_kib // PLAIN.page_kib
    devices = tuple(_enlarged(device, larger) for device in workload.devices)
    grown_mib = sum(device.size_mib for device in devices) - sum(device.size_mib for device in workload.devices)
    memory_mib = min(workload.memory_mib + needs.memory_mib + grown_mib, MOST_MEMORY_MIB)
    return workload.model_copy(update={"memory_mib": memory_mib, "devices": devices, **changes})


def _lowered(minimums: Mapping[str, int], less: float) -> dict[str, int]:
    return {counter: ceil(least / less) for counter, least in minimums.items()}


def _enlarged(device: SwapDevice, larger: int) -> SwapDevice:
    return device.model_copy(update={"size_mib": min(device.size_mib * larger, LARGEST_DEVICE_MIB)})


def flavour_conflict(flavour: str) -> str:
    """Why its parts don't go together; "" when they do."""
    parts = flavour.split("+")
    clashes = (f"{part} can't be joined with {other}" for part in parts for other in parts if other in _without(part))
    return next(clashes, "")


def no_such_build(flavour: str, arch: str) -> str:
    """Why there is no kernel of this flavour for the arch; "" when there is."""
    for part in flavour.split("+"):
        arches = FLAVOURS[part].arches if part in FLAVOURS else frozenset()
        if arches and arch not in arches:
            return f"{part}: {', '.join(sorted(arches))} only"
    return ""


def unfit(workload: Workload, flavour: str) -> str:
    """Why the workload can't run on a kernel of this flavour, by its YAML file; "" when it can."""
    found = (part for part in flavour.split("+") if part in workload.not_with)
    return next((f"{workload.name}: not with {part}: {workload.not_with[part]}" for part in found), "")


def _without(part: str) -> frozenset[str]:
    return FLAVOURS[part].without if part in FLAVOURS else frozenset()


def _both(one: Needs, other: Needs) -> Needs:
    return Needs(
        memory_mib=one.memory_mib + other.memory_mib,
        slower=one.slower * other.slower,
        less=one.less * other.less,
        kept=max(one.kept, other.kept),
        overlay=one.overlay or other.overlay,
        records=one.records or other.records,
        machine=both(one.machine, other.machine),
    )
