# SPDX-License-Identifier: GPL-2.0-or-later
"""The sites of one build's workloads: reached or not, and what was delayed there. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.blocks import NOTHING, BlockCount, CoverageMap, Executed, summed
from orchestrator.model.probes import SiteSeen, SiteState
from orchestrator.model.reports import CellReport


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteCount:
    """A site of one workload."""

    workload: str
    site: str
    state: SiteState
    calls: int
    failed: int | None  # calls that failed; None: the way by which the site is seen does not tell
    delays: BlockCount | None  # of its functions' blocks; None: no block of theirs is counted
    sampled: bool  # calls and failed are less than there were: the probe rested


def site_counts(
    found: CoverageMap, cells: Sequence[CellReport], by_workload: Mapping[str, Executed]
) -> Iterator[SiteCount]:
    """One for each site of each workload, repeats added up."""
    for name, executed in by_workload.items():
        own = [cell for cell in cells if cell.cell.workload.name == name]
        counters = [cell.run.result.counters for cell in own if cell.run is not None and cell.run.result is not None]
        seen = [site for cell in own if cell.run is not None for site in cell.run.sites]
        for site in own[0].cell.workload.sites:
            functions = own[0].cell.workload.site_functions(site)
            mine = [b.offset for b in found.blocks if b.target in functions or b.inside in functions]
            calls = sum(counts.get(f"site.{site}.calls", 0) for counts in counters)
            yield SiteCount(
                workload=name,
                site=site,
                state=_state(site, seen, calls),
                calls=calls,
                failed=_failed(site, seen, counters),
                delays=summed(executed.get(offset, NOTHING) for offset in mine) if mine else None,
                sampled=any(counts.get("site.sampled") for counts in counters),
            )


def _state(site: str, seen: Iterable[SiteSeen], calls: int) -> SiteState:
    if any(one.state is SiteState.ABSENT for one in seen if one.name == site):
        return SiteState.ABSENT
    if calls:
        return SiteState.REACHED
    counted = any(one.state is SiteState.NOT_REACHED for one in seen if one.name == site)
    return SiteState.NOT_REACHED if counted else SiteState.NOT_COUNTED


def _failed(site: str, seen: Sequence[SiteSeen], counters: Iterable[Mapping[str, int]]) -> int | None:
    # Runs of before 2026-12 have counters only.
    if any(one.name == site and one.failed is None for one in seen):
        return None
    return sum(counts.get(f"site.{site}.failed", 0) for counts in counters)
