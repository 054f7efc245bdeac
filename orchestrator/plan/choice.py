# SPDX-License-Identifier: GPL-2.0-or-later
"""Which workloads a series needs, by what it changes. Pure: what is read from files comes as values.

A workload says in its YAML file what it is meant for: `files`, and the functions of its `sites`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from orchestrator.model.configuration import DeviceKind, Workload
from orchestrator.model.matrix_choices import ChosenWorkload, listed
from orchestrator.model.reach import ChangedReach, SourceFunction, Unseen

# Swap is a part of memory management: what changes below these may break it, though no workload names the file.
_NEAR_SWAP = (
    "mm/",
    *(f"include/linux/{name}" for name in ("huge_mm", "list_lru", "memcontrol", "mempolicy", "mm", "page", "rmap")),
    *(f"include/linux/{name}" for name in ("shmem_fs", "swap", "userfaultfd", "vm", "xarray", "zswap")),
    *("drivers/block/zram/", "fs/proc/task_mmu.c", "fs/userfaultfd.c", "lib/xarray.c"),
)
# Drivers that a workload's own swap devices run; no YAML file names them.
_DRIVERS: Mapping[DeviceKind, tuple[str, ...]] = {
    DeviceKind.ZRAM: ("drivers/block/zram/zram_drv.c", "drivers/block/zram/zcomp.c"),
    DeviceKind.NULL_BLK: ("drivers/block/null_blk/main.c",),
    DeviceKind.VIRTIO_BLK: ("drivers/block/virtio_blk.c",),
}
_COMPILED = frozenset({".c", ".S", ".rs"})
_HEADERS = frozenset({".h"})
# Their programs run on the host or in user space: no part of an image is made of them.
_OUTSIDE_OF_THE_KERNEL = ("Documentation/", "LICENSES/", "scripts/", "tools/", "samples/")
_TEXTS = frozenset({"MAINTAINERS", "CREDITS", "COPYING", "README", ".mailmap", ".gitignore", ".clang-format"})
_TEXT_SUFFIXES = frozenset({".rst", ".txt", ".dts", ".dtsi", ".dtso", ".yaml"})
_NAMED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The workloads of a series in the order in which they are worth most."""

    chosen: tuple[ChosenWorkload, ...]
    code: tuple[str, ...] = ()  # the changed files that a compiler reads
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the `files:` of all workloads, by their names
    reached: frozenset[str] = frozenset()  # files that are reached by measurement, whatever the workloads say
    missed: frozenset[str] = frozenset()  # and those that are not
    users: frozenset[str] = frozenset()  # workloads that use interface files of the series
    unrun: tuple[str, ...] = ()  # changed functions, each with a reason, where no map knows a workload that runs one
    inert: str = ""  # why no cell can show what the series does; "" where it changes code of the kernel

    @property
    def unreached(self) -> tuple[str, ...]:
        """Changed files of code that no chosen workload runs; where nothing was measured, that none is meant for."""
        meant = {file for one in self.chosen for file in self.files.get(one.name, ())}
        reached = self.reached | (meant - self.missed)
        return tuple(file for file in self.code if file not in reached)

    @property
    def order(self) -> tuple[str, ...]:
        """All workloads, the chosen ones first: where a map tells no difference, what is meant most goes first."""
        return tuple(dict.fromkeys([*(one.name for one in self.chosen), *self.files]))


def choose(
    workloads: Sequence[Workload],
    changed_files: Collection[str],
    changed_functions: Collection[str] = (),
    interfaces: Sequence[str] = (),
) -> Choice:
    """Order the workloads by what a series changes; those that have nothing to do with it are left out.

    `interfaces` are names of interface files that it adds or changes: a workload that uses such files goes before all
    others, as nothing else knows these. Then those meant for changed files or functions, the most of them first. The
    others follow if the series changes memory management, or if no workload at all is meant for what it changes: then
    nothing better is known. One with a flavour of its own would cost a kernel of its own, and follows nobody.
    """
    users = tuple(workload for workload in workloads if workload.interfaces and interfaces)
    meant = [(load, _shared(load, changed_files, changed_functions)) for load in workloads if load not in users]
    first = sorted((one for one in meant if one[1] != _NOTHING), key=lambda one: (-len(one[1][0]), -len(one[1][1])))
    chosen = [ChosenWorkload(name=load.name, reason=_uses(interfaces), meant=True) for load in users]
    chosen += [ChosenWorkload(name=load.name, reason=_meant_for(*shared), meant=True) for load, shared in first]
    if why := _why_the_others(changed_files, any_first=bool(chosen)):
        others = (load for load, shared in meant if shared == _NOTHING and not load.flavour)
        chosen += [ChosenWorkload(name=load.name, reason=why) for load in others]
    files = {load.name: _files_of(load) for load in workloads}
    names = frozenset(load.name for load in users)
    code = tuple(_code([file for file in changed_files if is_kernel_code(file)]))
    return Choice(chosen=tuple(chosen), code=code, files=files, users=names, inert=_inert(changed_files))


def by_reach(choice: Choice, reach: ChangedReach, functions: Collection[SourceFunction] = ()) -> Choice:
    """The choice by measurement: what runs most of the changed functions goes first, what runs none is left out.

    `choice` stands where the maps know of no workload that runs any of them. A workload that no map has stays if it was
    chosen by its files; so does one that did too little while it was recorded. `functions` are the changed ones.
    """
    if not any(one.reached or one.likely for one in reach.ranked):
        return replace(choice, unrun=tuple(dict.fromkeys(_unrun(reach, ()))) if reach.maps else ())
    by_files = {one.name: one for one in choice.chosen}
    # No map knows what they do with files of this series.
    chosen = [one for one in choice.chosen if one.name in choice.users]
    for one in reach.ranked:
        if one.workload in choice.users:
            continue
        if one.reached or one.likely:
            chosen.append(ChosenWorkload(name=one.workload, reason=f"runs {one.reason}", meant=True))
        elif one.workload in by_files and (not one.mapped or one.workload in reach.thin):
            chosen.append(by_files[one.workload])
    missed = {*reach.unreached, *(function for function, _ in reach.elsewhere)}
    silent = {one.function for one in reach.unseen if not one.caller}
    run = frozenset(function.file for function in functions if function not in missed | silent)
    # No map says that these do not run what they are meant for.
    unmeasured = (one.workload for one in reach.ranked if not one.mapped or one.workload in reach.thin)
    meant = {file for name in unmeasured if name in by_files for file in choice.files.get(name, ())}
    files = frozenset(function.file for function in missed) - run - meant
    unrun = tuple(dict.fromkeys(_unrun(reach, [one.name for one in chosen])))
    return replace(choice, chosen=tuple(chosen), reached=run, missed=files, unrun=unrun)


def _unrun(reach: ChangedReach, chosen: Collection[str]) -> Iterator[str]:
    """`chosen`: workloads that the maps chose; what they run is run."""
    yield from (f"{one.name}() ran in no workload" for one in reach.unreached)
    others = ((one, loads) for one, loads in reach.elsewhere if not set(loads) & set(chosen))
    yield from (f"{one.name}() ran only in {listed(loads, _NAMED)}" for one, loads in others)
    # The programs of tools/ are no part of a kernel.
    unseen = [one for one in reach.unseen if not one.caller and is_kernel_code(one.function.file)]
    yield from (f"{one.function.name}(): {one.why}" for one in unseen)
    outside = {f"{one.function.file.split('/')[0]}/" for one in unseen if one.why is Unseen.OUTSIDE}
    if outside:
        yield f"patchrig reach --in {','.join(sorted({'mm/', *outside}))} records further folders"


_Shared = tuple[tuple[str, ...], tuple[str, ...]]
_NOTHING: _Shared = ((), ())


def _shared(workload: Workload, files: Collection[str], functions: Collection[str]) -> _Shared:
    """The changed files and functions that a workload is meant for."""
    sites = dict.fromkeys(name for ways in workload.sites.values() for way in ways for name in way.functions)
    return (
        tuple(file for file in _files_of(workload) if file in files),
        tuple(function for function in sites if function in functions),
    )


def _files_of(workload: Workload) -> tuple[str, ...]:
    """The files that a workload is meant to reach, and the drivers of its swap devices."""
    drivers = (file for device in workload.devices for file in _DRIVERS.get(device.kind, ()))
    return tuple(dict.fromkeys((*workload.files, *drivers)))


def _uses(interfaces: Sequence[str]) -> str:
    return f"interface {listed(tuple(interfaces), _NAMED)}"


def _meant_for(files: tuple[str, ...], functions: tuple[str, ...]) -> str:
    return ", ".join((*files, *(f"{function}()" for function in functions[:_NAMED])))


def _why_the_others(changed_files: Collection[str], *, any_first: bool) -> str:
    near = sorted(file for file in changed_files if file.startswith(_NEAR_SWAP))
    if near:
        return f"the series changes {', '.join(dict.fromkeys(map(_place, near)))}"
    if any_first:
        return ""
    return "none is meant for what the series changes" if changed_files else "nothing is changed: all of them"


def _place(file: str) -> str:
    """mm/ for each file there: it has most of what counts."""
    return "mm/" if file.startswith("mm/") else file


def _code(files: Collection[str]) -> list[str]:
    """What a compiler reads: sources, and headers only where there is nothing else, as they belong to many."""
    sources = sorted(file for file in files if PurePosixPath(file).suffix in _COMPILED)
    return sources or sorted(file for file in files if PurePosixPath(file).suffix in _HEADERS)


def is_kernel_code(file: str) -> bool:
    """Whether an image may be made of it. QEMU brings its own device tree."""
    path = PurePosixPath(file)
    return not (file.startswith(_OUTSIDE_OF_THE_KERNEL) or path.name in _TEXTS or path.suffix in _TEXT_SUFFIXES)


def _inert(files: Collection[str]) -> str:
    """What the cells of a series without kernel code can't show; "" for any other."""
    beside = [file for file in files if not is_kernel_code(file)]
    if _code([file for file in files if file not in beside]):
        return ""
    if not files:
        return "the series as a whole changes nothing: its patches take each other back"
    if len(beside) == len(files):
        return f"the series changes nothing that a kernel is built from: only {listed(tuple(sorted(files)), _NAMED)}"
    named = listed(tuple(sorted(file for file in files if file not in beside)), _NAMED)
    return f"the series changes no C, assembly or Rust code: the cells show only whether a kernel with {named} works"
