# SPDX-License-Identifier: GPL-2.0-or-later
"""What each flavour needs of a guest beyond what its workload asks for: a table."""

from dataclasses import dataclass
from functools import reduce
from math import ceil

from orchestrator.model.configuration import Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What a kernel of some flavour costs; the figures are for TCG on both arches."""

    memory_mib: int = 0  # more than the workload's own
    slower: float = 1.0  # how much longer the kernel takes for the same: time limits grow with it
    less: float = 1.0  # how much less a workload gets done in the same time: its minimums shrink with it
    kept: float = 0.2  # share of the guest's memory that the kernel may keep for itself, beside MemTotal
    overlay: str = ""  # folder in kernels/overlays/ that is laid on the source


# The part of a flavour's name, which is a fragment in configs/kconfig/ as well, -> what it costs.
FLAVOURS = {
    "plain": Needs(),
    # Lock classes and chains are static tables, 14 MiB of them; all else is time.
    "debug": Needs(memory_mib=32, slower=2.0, less=2.0),
    # Its delays take most of the time of the load's tasks, and now and then keep swapoff waiting for a lock.
    "widened": Needs(slower=1.5, less=8.0, overlay="widened"),
    # An eighth of the memory as shadow, the quarantine of freed objects (a 32nd), red zones, a kernel twice as large.
    # Of 544 MiB the kernel keeps 131, of 832 MiB 172.
    "kasan": Needs(memory_mib=160, slower=2.5, less=2.5, kept=0.3),
    # Suites of the tree: a kernel that is larger by a third, and as quick.
    "kselftest": Needs(memory_mib=16),
    "kunit": Needs(memory_mib=16),
    # The compiler's calls around each access of memory, and a stall of 80 us at every 4000th.
    "kcsan": Needs(memory_mib=16, slower=3.0, less=4.0),
}


def needs_of(flavour: str) -> Needs:
    """What a flavour costs; one of several parts ("widened+debug") costs what they cost together."""
    return reduce(_both, (FLAVOURS.get(part, Needs()) for part in flavour.split("+")))


def is_widened(flavour: str) -> bool:
    """Whether its kernels have the hook that delays."""
    return bool(needs_of(flavour).overlay)


def fitted(workload: Workload, flavour: str) -> Workload:
    """The workload as it is run on a kernel of this flavour: with memory for it, and minimums that it can reach."""
    needs = needs_of(flavour)
    exercised = {counter: ceil(least / needs.less) for counter, least in workload.exercised.items()}
    return workload.model_copy(update={"memory_mib": workload.memory_mib + needs.memory_mib, "exercised": exercised})


def _both(one: Needs, other: Needs) -> Needs:
    return Needs(
        memory_mib=one.memory_mib + other.memory_mib,
        slower=one.slower * other.slower,
        less=one.less * other.less,
        kept=max(one.kept, other.kept),
        overlay=one.overlay or other.overlay,
    )
