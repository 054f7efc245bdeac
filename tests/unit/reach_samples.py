# SPDX-License-Identifier: GPL-2.0-or-later
"""A recorded kernel of a few functions, and maps of it."""

from collections.abc import Mapping

from orchestrator.model.blocks import BlockCount
from orchestrator.model.reach import CodeFunction, KernelIdentity, ReachMap, Recorded, RecordedCode, WorkloadReach
from orchestrator.run.reach_maps import extents, functions_run

IDENTITY = KernelIdentity(source="5" * 64, version="6.19.6", arch="x86_64", build="b" * 64)


def code_function(
    place: str,
    blocks: tuple[int, ...] = (),
    lines: Mapping[int, tuple[int, ...]] | None = None,
    recorded: Recorded | None = None,
) -> CodeFunction:
    """ "mm/swapfile.c:swapoff"; without blocks it is not recorded."""
    file, name = place.split(":")
    recorded = recorded or (Recorded.YES if blocks else Recorded.NO)
    return CodeFunction(file=file, name=name, recorded=recorded, blocks=blocks, lines=dict(lines or {}))


CODE = RecordedCode(
    folders=("mm/",),
    functions=(
        code_function("mm/memory.c:do_swap_page", (0x10, 0x20, 0x30), {4001: (0x10,), 4002: (0x20, 0x30)}),
        code_function("mm/swapfile.c:__do_sys_swapoff", (0x40, 0x50), {2700: (0x40,), 2701: (0x50,)}),
        code_function("mm/swapfile.c:__x64_sys_swapoff", (0x60,), {2699: (0x60,)}),
        code_function("mm/swapfile.c:swap_init", recorded=Recorded.BOOT),
        code_function("mm/kasan/shadow.c:kasan_poison"),
    ),
)


def executed(*offsets: int) -> dict[int, BlockCount]:
    return {offset: BlockCount(hits=1) for offset in offsets}


def workload_reach(name: str, *offsets: int, content: str = "c", seconds: int = 10, suite: str = "") -> WorkloadReach:
    ran = functions_run(CODE, executed(*offsets))
    return WorkloadReach(
        workload=name,
        content=content,
        seconds=seconds,
        outcome="passed",
        ran=ran,
        suite=suite,
        guest_seconds=seconds + 0.5,
    )


def sample_map(*workloads: WorkloadReach, identity: KernelIdentity = IDENTITY) -> ReachMap:
    return ReachMap(kernel=identity, folders=CODE.folders, functions=extents(CODE), workloads=workloads)
