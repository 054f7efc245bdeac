# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures that a guest took before and after its load -> those that did not come back (pure).

docs/judging.md, "Accounting", says what each bound rests on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from orchestrator.model.cells import Cell
from orchestrator.model.guests import Accounting

NEGATIVE = "negative."
UNMAPPED = "cgroup.unmapped_pages"
# KiB that other tasks, probes and caches of the kernel may take; measured: anonymous memory 60, slab 820.
ANON_KIB = 4096
SHMEM_KIB = 1024
SLAB_KIB = 8192
LOST_KIB = 8192
# Of other tasks, where all memory may have large folios; in the guests measured: 0.
LARGE_FOLIOS = 8
# Freed objects wait in KASAN's quarantine: 1/32 of the memory, and some for each CPU (mm/kasan/quarantine.c).
QUARANTINE_SHARE = 16
KASAN = "kasan"
# Counted in pages by /proc/vmstat: what memory that is not free is used for.
USED_PAGES = (
    "vmstat.nr_anon_pages",
    "vmstat.nr_file_pages",
    "vmstat.nr_slab_reclaimable",
    "vmstat.nr_slab_unreclaimable",
    "vmstat.nr_page_table_pages",
    "vmstat.nr_zspages",
)
USED_KIB = ("meminfo.VmallocUsed", "meminfo.Percpu")

_CHARGED = "cgroup-v2.rst, memory.stat: what the cgroup uses; none of its processes is left"
_OFF = "proc_meminfo(5): the swap space of the devices that are on; none is"
_FREED = "zswap.rst: the compressed entry is freed when its swap slot is; no device is on"
_GONE = "POSIX.1, _Exit(): the memory of a process is unmapped; no process and no file of the load is left"
_LARGE = "transhuge.rst, nr_anon and nr_anon_partially_mapped: large folios that there are; the load has ended"
_IN_USE = "proc_meminfo(5): memory that is in use; none of the load's processes is left"


class Back(Enum):
    """When a figure is back where it was."""

    SAME = auto()
    NO_MORE = auto()  # less is none of the load's: the supervisor gives pages back
    ZERO = auto()  # whatever it was


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One that the kernel counts exactly, once it is at rest; files that are left may account for some of it."""

    name: str
    what: str
    unit: str
    promise: str
    back: Back = Back.NO_MORE
    files: bool = False  # pages of tmpfs files count, too
    comes_with_use: bool = False  # where it was not read before the load, it was 0


def _stat(name: str, *, files: bool = False) -> Figure:
    return Figure(
        name=f"cgroup.stat.{name}", what=f"{name} of memory.stat", unit="bytes", promise=_CHARGED, files=files
    )


def _lacks(name: str, promise: str) -> Figure:
    return Figure(
        name=f"cgroup.stat_lacks.{name}",
        what=f"what {name} of memory.stat lacks of the pages of a process in the cgroup",
        unit="bytes",
        promise=f"cgroup-v2.rst, memory.stat, {name}: {promise}",
        back=Back.ZERO,
        comes_with_use=True,
    )


def _isolated(kind: str) -> Figure:
    name = f"nr_isolated_{kind}"
    promise = f"mmzone.h: pages that are temporarily isolated from the {kind} LRU"
    return Figure(name=f"vmstat.{name}", what=f"{name} of /proc/vmstat", unit="pages", promise=promise)


EXACT = (
    Figure(name="meminfo.SwapTotal", what="SwapTotal", unit="kB", promise=_OFF, back=Back.SAME),
    Figure(name="meminfo.SwapFree", what="SwapFree", unit="kB", promise=_OFF, back=Back.SAME),
    Figure(
        name="swap_gap",
        what="with a device on, SwapTotal less SwapFree less what is used by /proc/swaps",
        unit="kB",
        promise="proc_meminfo(5): SwapFree is the swap space that is not used",
        back=Back.ZERO,
    ),
    Figure(
        name="vmstat.nr_swapcached",
        what="nr_swapcached of /proc/vmstat",
        unit="pages",
        promise="proc_meminfo(5), SwapCached: memory that is in the swap file as well; no device is on",
    ),
    _isolated("anon"),
    _isolated("file"),
    Figure(
        name="zswap.stored_pages",
        what="stored_pages of zswap",
        unit="pages",
        promise=_FREED,
        comes_with_use=True,
    ),
    Figure(
        name="zswap.pool_total_size",
        what="pool_total_size of zswap",
        unit="bytes",
        promise=_FREED,
        comes_with_use=True,
    ),
    Figure(
        name="cgroup.memory.swap.current",
        what="memory.swap.current",
        unit="bytes",
        promise="cgroup-v2.rst: the swap that the cgroup uses; no device is on",
    ),
    Figure(
        name="cgroup.memory.zswap.current",
        what="memory.zswap.current",
        unit="bytes",
        promise="cgroup-v2.rst: the memory that zswap uses for the cgroup; no device is on",
    ),
    *(_stat(name) for name in ("anon", "rss", "swapcached", "zswapped", "swap", "anon_thp")),
    *(_stat(name, files=True) for name in ("shmem", "shmem_thp")),
    _lacks("anon", "memory used in anonymous mappings"),
    _lacks("file", "memory used to cache filesystem data, including tmpfs and shared memory"),
    _lacks("shmem", "cached filesystem data that is swap-backed, such as shared anonymous mappings"),
    _lacks("swapcached", "swap cached in memory"),
    Figure(
        name=UNMAPPED,
        what="the number of the load's pages that nobody maps",
        unit="pages",
        promise=_GONE,
        files=True,
    ),
    Figure(
        name="cgroup.mapped_pages",
        what="the number of the load's pages that count as mapped",
        unit="pages",
        promise=_GONE,
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """A figure that did not come back, in one line, and what user space was promised."""

    text: str
    promise: str
    details: tuple[str, ...] = ()


def drifts(cell: Cell, accounting: Accounting | None) -> tuple[Drift, ...]:
    """Those of one guest, the exact ones first. What the guest could not tell is no drift."""
    if accounting is None:
        return ()
    exact = (drift for figure in EXACT for drift in _drift(figure, accounting))
    return (*exact, *_negative(accounting), *_bounded(cell, accounting))


def _drift(figure: Figure, accounting: Accounting) -> Iterator[Drift]:
    was = accounting.before.get(figure.name, 0 if figure.comes_with_use else None)
    now = accounting.after.get(figure.name)
    if was is None or now is None:
        return
    if figure.back is Back.ZERO:
        if now:
            yield Drift(text=f"{figure.what}: {now} {figure.unit}", promise=figure.promise)
        return
    # Less than nothing: each of them is a count of pages or bytes.
    if min(was, 0) <= now < was and figure.back is Back.NO_MORE:
        return
    allowed = _left_in_files(figure, accounting)
    if allowed is None or abs(now - was) <= allowed:
        return
    pages = accounting.left_pages if figure.name == UNMAPPED else ()
    yield Drift(
        text=f"{figure.what}: {was} {figure.unit} before the load, {now} after it",
        promise=figure.promise,
        details=tuple(f"a page that was left: {page}" for page in pages),
    )


def _left_in_files(figure: Figure, accounting: Accounting) -> int | None:
    """How much of it belongs to files that the load has left in a tmpfs; None: that can't be known."""
    if not figure.files:
        return 0
    if _rise(accounting, "files.mounts"):
        return None
    kib = max(0, _rise(accounting, "files.tmpfs_kib"))
    return kib * 1024 if figure.unit == "bytes" else kib // _page_kib(accounting.after)


def _negative(accounting: Accounting) -> Iterator[Drift]:
    for name, value in accounting.after.items():
        if name.startswith(NEGATIVE) and name not in accounting.before:
            promise = "mm/vmstat.c, vmstat_refresh(): a total below zero is an imbalance"
            yield Drift(text=f"{name.removeprefix(NEGATIVE)} of /proc/vmstat: {value} pages", promise=promise)


def _bounded(cell: Cell, accounting: Accounting) -> Iterator[Drift]:
    """Figures that other tasks, and caches of the kernel's, change as well: only a lot is a drift."""
    page = _page_kib(accounting.after)
    files = max(0, _rise(accounting, "files.tmpfs_kib"))
    slab = (_rise(accounting, "vmstat.nr_slab_reclaimable") + _rise(accounting, "vmstat.nr_slab_unreclaimable")) * page
    quarantine = accounting.after.get("meminfo.MemTotal", 0) // QUARANTINE_SHARE if _has_kasan(cell) else 0
    rises = [
        ("anonymous memory (nr_anon_pages)", _rise(accounting, "vmstat.nr_anon_pages") * page, ANON_KIB),
        ("slab memory", slab, SLAB_KIB + quarantine),
        ("memory that is neither free nor used for anything", _lost(accounting), LOST_KIB + _of_devices(accounting)),
    ]
    if _rise(accounting, "files.mounts") <= 0:
        rises.append(("shared memory (nr_shmem)", _rise(accounting, "vmstat.nr_shmem") * page, SHMEM_KIB + files))
    for what, kib, most in rises:
        if kib > most:
            yield Drift(
                text=f"{what}: {kib} kB more after the load than before, at most {most} expected", promise=_IN_USE
            )
    for name in ("nr_anon", "nr_anon_partially_mapped"):
        if abs(more := _rise(accounting, f"large.{name}")) > LARGE_FOLIOS:
            yield Drift(
                text=f"{name} of all sizes of large folios: {more} more after the load than before, "
                f"{LARGE_FOLIOS} more or less expected",
                promise=_LARGE,
            )


def _lost(accounting: Accounting) -> int:
    """KiB that are not free any more, and not counted as used either."""
    if not {"zoneinfo.free", *USED_PAGES[:4]} <= accounting.before.keys() & accounting.after.keys():
        return 0
    used = sum(_rise(accounting, name) for name in USED_PAGES) * _page_kib(accounting.after)
    used += sum(_rise(accounting, name) for name in USED_KIB)
    return -_rise(accounting, "zoneinfo.free") * _page_kib(accounting.after) - used


def _of_devices(accounting: Accounting) -> int:
    """KiB that swap devices keep: null_blk all that was written, zram what it could not drop at once."""
    return accounting.after.get("devices.null_blk_kib", 0) + max(0, _rise(accounting, "devices.zram_kib"))


def _rise(accounting: Accounting, name: str) -> int:
    """0 where one of both is not known."""
    if name not in accounting.before or name not in accounting.after:
        return 0
    return accounting.after[name] - accounting.before[name]


def _page_kib(figures: Mapping[str, int]) -> int:
    return figures.get("page_kib", 0) or 4


def _has_kasan(cell: Cell) -> bool:
    return KASAN in cell.build.flavour.split("+")
