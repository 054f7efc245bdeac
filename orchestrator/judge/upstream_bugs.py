# SPDX-License-Identifier: GPL-2.0-or-later
"""Bugs of unmodified kernels: a cell that shows one stays red, and says that the series may not be to blame (pure)."""

import re
from dataclasses import dataclass, replace

from orchestrator.model.outcomes import Verdict

Release = tuple[int, ...]
_RELEASE = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamBug:
    """What an unmodified kernel was seen to do. docs/found/ has the evidence."""

    title: re.Pattern[str]  # of the verdict, as a whole: the first fatal splat, or what was wrong
    workloads: frozenset[str]  # that showed it
    seen: Release
    since: Release  # the first release known to have the bug (docs/found/); older ones may have it, too
    fixed: Release | None = None  # the first release without the bug, where there is one
    stable: tuple[Release, ...] = ()  # releases of older stable trees that are known to have the fix
    what: str
    page: str


_WRONG_DATA = re.compile(r"\d+ pages? ha(?:s|ve) the wrong data.*")
_LARGE_SWAPIN = "docs/found/large-swapin.md"

UPSTREAM_BUGS = (
    UpstreamBug(
        # It comes before all that follows from it: warnings of rmap, a bad page state. Alone, those are another bug.
        title=re.compile(r"WARNING in unuse_(?:pte|pte_range|vma|mm)"),
        workloads=frozenset({"large"}),
        seen=(7, 1, 8),
        since=(7, 1),
        what="swapoff maps a page of a large folio that a fault has just read into the swap cache",
        page=_LARGE_SWAPIN,
    ),
    UpstreamBug(
        title=re.compile(r"Huh VM_FAULT_OOM leaked.*"),
        workloads=frozenset({"large"}),
        seen=(7, 1, 8),
        since=(7, 1),
        what="a fault that loses the race for a large folio ends as out of memory, instead of with a small folio",
        page=_LARGE_SWAPIN,
    ),
    UpstreamBug(
        title=_WRONG_DATA,
        workloads=frozenset({"zswap-zero"}),
        seen=(6, 19, 6),
        since=(6, 12),
        what="zswap returns old data where a program wrote zeros",
        page="docs/found/zswap-zero.md",
    ),
    UpstreamBug(
        title=_WRONG_DATA,
        workloads=frozenset({"free-forked"}),
        seen=(6, 19, 6),
        since=(6, 12),
        what="MADV_FREE of a child takes pages from its parent, which has freed nothing",
        page="docs/found/free-forked.md",
    ),
    UpstreamBug(
        title=_WRONG_DATA,
        workloads=frozenset({"collapse-dirty"}),
        seen=(6, 19, 6),
        since=(6, 19),
        what="a huge page of a memory file that a read has made loses what is written to it before it is collapsed",
        page="docs/found/collapse-dirty.md",
    ),
    UpstreamBug(
        # Whoever looks at the page first.
        title=re.compile(
            r"WARNING in zap_huge_pmd|BUG: Bad page map in vm_normal_page_pmd"
            r"|VM_WARN_ON_FOLIO in __split_huge_pmd_locked"
        ),
        workloads=frozenset({"huge-zero"}),
        seen=(6, 19, 6),
        since=(6, 1),
        fixed=(7, 1, 13),
        stable=((6, 12, 107),),
        what="the huge zero page is taken for an ordinary page, because its shrinker races with a fault",
        page="docs/found/huge-zero-shrink.md",
    ),
    UpstreamBug(
        # The read of the page first (x86_64; arm64 has no such check), or the end of the process that has it.
        title=re.compile(r"Bad pagetable|BUG: unable to handle kernel .* in zap_huge_pmd"),
        workloads=frozenset({"huge-zero-move"}),
        seen=(6, 19, 6),
        since=(6, 19),
        fixed=(7, 1),
        what="UFFDIO_MOVE of the huge zero page makes an entry without a page",
        page="docs/found/huge-zero-move.md",
    ),
    UpstreamBug(
        title=_WRONG_DATA,
        workloads=frozenset({"unmap-dirty"}),
        seen=(6, 19, 6),
        since=(6, 12),
        fixed=(7, 2),
        what="a huge page of a memory file that a read has made loses what is written to it before it is unmapped",
        page="docs/found/unmap-dirty.md",
    ),
    UpstreamBug(
        title=_WRONG_DATA,
        workloads=frozenset({"split-read"}),
        seen=(6, 19, 6),
        since=(6, 19),
        fixed=(7, 1),
        what="a read of a memory file whose huge page is being split returns another page",
        page="docs/found/split-read.md",
    ),
    UpstreamBug(
        title=_WRONG_DATA,
        workloads=frozenset({"scan-dropped"}),
        seen=(6, 19, 6),
        since=(6, 19),
        fixed=(7, 1),
        stable=((6, 12, 107),),
        what="PAGEMAP_SCAN does not report dropped pages as written if it is asked for another category, too",
        page="docs/found/scan-dropped.md",
    ),
    UpstreamBug(
        title=_WRONG_DATA,
        workloads=frozenset({"free-restored"}),
        seen=(6, 19, 6),
        since=(6, 18),
        fixed=(7, 1),
        what="a child sees what its parent writes, after reclaim has restored the entries of a MADV_FREE folio",
        page="docs/found/free-restored.md",
    ),
    UpstreamBug(
        title=_WRONG_DATA,
        workloads=frozenset({"memfd-seals"}),
        seen=(6, 19, 6),
        since=(6, 18),
        fixed=(7, 1),
        what="F_SEAL_EXEC seals a memory file against writing while it is mapped for writing",
        page="docs/found/memfd-seals.md",
    ),
    UpstreamBug(
        title=re.compile(r"WARNING in vma_(?:modify|merge_existing_range)"),
        workloads=frozenset({"mseal"}),
        seen=(6, 19, 6),
        since=(6, 18),
        fixed=(7, 1),
        what="mseal() passes a range that begins before the mapping that it modifies",
        page="docs/found/mseal.md",
    ),
    UpstreamBug(
        title=re.compile(r"get_mempolicy: other nodes than were set(?:, \d+ times)?"),
        workloads=frozenset({"policy-cpuset"}),
        seen=(6, 19, 6),
        since=(6, 12),
        what="a memory policy loses the nodes that were set, when the nodes of its cpuset change",
        page="docs/found/policy-cpuset.md",
    ),
    UpstreamBug(
        title=re.compile(r"child: KILL(?:, \d+ times)?"),
        workloads=frozenset({"lru-gen-switch"}),
        seen=(6, 19, 6),
        since=(6, 12),
        what="the OOM killer kills although there is room to swap, while the multi-gen LRU is switched",
        page="docs/found/lru-gen-switch.md",
    ),
    UpstreamBug(
        title=re.compile(r"WARNING in zswap_load"),
        workloads=frozenset({"zswap-first-use"}),
        seen=(6, 19, 6),
        since=(6, 12),
        what="a large folio was read while zswap was enabled for the first time",
        page="docs/found/zswap-first-use.md",
    ),
    UpstreamBug(
        title=re.compile(r"write to memory\.max: goes on although the limit was raised"),
        workloads=frozenset({"memory-max"}),
        seen=(6, 19, 6),
        since=(5, 9),
        fixed=(7, 2),
        what="who lowers memory.max is kept for ever if another task raises it meanwhile",
        page="docs/found/memory-max.md",
    ),
)


def annotated(verdict: Verdict, *, release: str, workload: str) -> Verdict:
    """The verdict; if unmodified kernels of this release are known for it, its first reason says so."""
    note = known_as(verdict, release=release, workload=workload)
    return replace(verdict, reasons=(note, *verdict.reasons)) if note else verdict


def known_as(verdict: Verdict, *, release: str, workload: str) -> str:
    """The bug that unmodified kernels of this release are known for and that the verdict shows; "" for none."""
    version = _version(release)
    for bug in UPSTREAM_BUGS:
        if not verdict.outcome.good and workload in bug.workloads and _has(bug, version, verdict.title):
            seen = ".".join(map(str, bug.seen))
            return f"known in unmodified {seen}: {bug.what}; see {bug.page}"
    return ""


def without_their_bugs(release: str) -> frozenset[str]:
    """The workloads that show bugs which this release no longer has: there they are checks like any others."""
    version = _version(release)
    left = {name for bug in UPSTREAM_BUGS if not _is_fixed(bug, version) for name in bug.workloads}
    return frozenset(name for bug in UPSTREAM_BUGS for name in bug.workloads) - left


def _is_fixed(bug: UpstreamBug, version: Release) -> bool:
    in_stable = any(version[:2] == fix[:2] and version >= fix for fix in bug.stable)
    return in_stable or (bug.fixed is not None and version >= bug.fixed)


def _has(bug: UpstreamBug, version: Release, title: str) -> bool:
    return bug.since <= version and not _is_fixed(bug, version) and bool(bug.title.fullmatch(title))


def _version(release: str) -> Release:
    """ "7.1.8-patchrig" as (7, 1, 8), "7.1-rc3" as (7, 1, 0); () for what is no release."""
    found = _RELEASE.match(release)
    return tuple(int(part or 0) for part in found.groups()) if found else ()
