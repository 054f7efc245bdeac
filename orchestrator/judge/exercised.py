# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a guest did enough of what its workload is for: minimums, sites, changed functions (pure)."""

from collections.abc import Iterator, Mapping

from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.guests import Observation, WorkloadResult
from orchestrator.model.interfaces import shown_name
from orchestrator.model.probes import SiteState

MOST_NAMES = 8


def shortfalls(cell: Cell, run: Observation, result: WorkloadResult) -> tuple[str, ...]:
    """What the cell did too little of, each in one line: counters that did not grow as much as the workload asks for.

    A kernel that does not have a site can't reach it: that is no shortfall.
    """
    absent = of_absent_sites(cell, run)
    counters = (
        text
        for counter, least in cell.workload.exercised.items()
        if counter not in absent
        for text in _shortfalls_of(counter, least, cell, result)
    )
    return (*counters, *_interfaces_not_used(result))


def _interfaces_not_used(result: WorkloadResult) -> Iterator[str]:
    """Whether the guest has interface files of the series that may be used, and none of them was."""
    there = [one for one in result.interfaces if one.path and not one.why]
    if there and not any(one.used for one in there):
        names = dict.fromkeys(shown_name(one.name) for one in there)
        yield f"no interface file of the series was read or written: {', '.join(names)}"


def _shortfalls_of(counter: str, least: int, cell: Cell, result: WorkloadResult) -> Iterator[str]:
    """Of one counter, or of those that the workload names for a kernel that lacks it."""
    if counter not in result.lacking:
        yield from _too_little(counter, least, result.counters)
        return
    lacking = f"this kernel lacks {counter}: {result.lacking[counter]}"
    if counter not in cell.workload.instead:
        yield lacking
    for substitute, enough in cell.workload.instead.get(counter, {}).items():
        yield from (f"{text} ({lacking})" for text in _too_little(substitute, enough, result.counters))


def _too_little(counter: str, least: int, counters: Mapping[str, int]) -> Iterator[str]:
    if counter not in counters:
        yield f"{counter} was not reported, at least {least} expected"
    elif counters[counter] < least:
        yield f"{counter} grew by {counters[counter]}, at least {least} expected"


def substitutes(cell: Cell, result: WorkloadResult) -> tuple[str, ...]:
    """What a green cell owes its reader: counters that this kernel lacks, and what was counted in their place."""
    return tuple(
        f"this kernel lacks {counter} ({result.lacking[counter]}); counted instead: "
        + ", ".join(f"{substitute} {result.counters.get(substitute, 0)}" for substitute in substitutes)
        for counter, substitutes in cell.workload.instead.items()
        if counter in result.lacking and counter in cell.workload.exercised
    )


def of_absent_sites(cell: Cell, run: Observation) -> frozenset[str]:
    """The minimums that are about sites which this kernel does not have."""
    places = [f"site.{site.name}." for site in run.sites if site.state is SiteState.ABSENT]
    return frozenset(name for name in cell.workload.exercised if any(name.startswith(place) for place in places))


def series_not_reached(cell: Cell, run: Observation) -> tuple[str, ...]:
    """Whether nothing that the series changed ran, though this workload is meant to reach some of it.

    Only what was observed is claimed: not where a function that it is meant to reach could not be probed, not of a
    series that changes none of the workload's files, and not of one that changes no function (data, macros).
    """
    changed = run.changed
    if cell.build.variant is not Variant.PATCHED or changed is None or changed.ran:
        return ()
    meant = [name for name in changed.meant if name not in changed.no_code]
    if not meant or not set(meant) <= set(changed.not_reached):
        return ()
    names = (
        f"{', '.join(meant[:MOST_NAMES])}{f' and {len(meant) - MOST_NAMES} more' if len(meant) > MOST_NAMES else ''}"
    )
    return (f"no function that the series changes was seen to run; this workload is meant to reach: {names}",)
