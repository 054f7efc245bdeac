# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell proves, in lines: the states of its sites, and the functions of the series that ran (pure)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.model.configuration import Variant
from orchestrator.model.guests import Observation
from orchestrator.model.interfaces import InterfaceUse, shown_name
from orchestrator.model.probes import ChangedSeen, SiteSeen, SiteState
from orchestrator.model.reports import CellReport

_MOST_NAMES = 12


def site_text(site: SiteSeen) -> str:
    """ "site mincore: reached (call of get_swap_device() by mincore_swap()): 800 calls, 3 failed"."""
    if site.state is SiteState.ABSENT:
        return f"site {site.name}: this kernel does not have it ({site.detail})"
    least = "at least " if site.sampled else ""
    counts = f": {least}{site.calls} calls" if site.state is SiteState.REACHED else ""
    counts += f", {site.failed} failed" if counts and site.failed is not None else ""
    return f"site {site.name}: {site.state} ({site.detail}){counts}"


def changed_text(changed: ChangedSeen) -> str:
    """ "changed functions: 12 of 19 ran; not reached: f, g"."""
    parts = [f"changed functions: {len(changed.ran)} of {changed.observed} ran"]
    if not changed.observed:
        parts = ["changed functions: not known whether any ran"]
    parts += [f"not reached: {names_text(changed.never_ran)}"] if changed.never_ran else []
    parts += [f"ran before the load began only: {names_text(changed.early)}"] if changed.early else []
    parts += [f"{len(changed.no_code)} without code in this kernel"] if changed.no_code else []
    return "; ".join([*parts, *_unknown_texts(changed)])


def _unknown_texts(changed: ChangedSeen) -> Iterator[str]:
    """ "not observed (the kernel allows no probe there): f, g", for each reason."""
    groups: dict[str, list[str]] = {}
    for name in changed.unknown:
        groups.setdefault(changed.why_unknown.get(name, ""), []).append(name)
    for why, names in groups.items():
        yield f"not observed{f' ({why})' if why else ''}: {names_text(names)}"


def names_text(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def proof_lines(run: Observation | None) -> tuple[str, ...]:
    """All lines of a cell."""
    if run is None:
        return ()
    changed = [changed_text(run.changed)] if run.changed else []
    return (*map(site_text, run.sites), *changed, *interface_lines([run]))


def interface_lines(runs: Iterable[Observation]) -> tuple[str, ...]:
    """What became of the interface files of the series: one line, or none where no workload was given any.

    Of several cells, repeats of one, what they did together.
    """
    uses: dict[tuple[str, str], list[InterfaceUse]] = {}
    for run in runs:
        for one in run.result.interfaces if run.result else ():
            uses.setdefault((one.name, one.path), []).append(one)
    texts = [_use_text(group) for group in uses.values()]
    return (f"interface files of the series: {'; '.join(texts)}",) if texts else ()


def _use_text(group: Sequence[InterfaceUse]) -> str:
    """ "memory.swap.tiers used (read 812 times, written 30 times, 411 writes refused)"."""
    one = group[0]
    if not one.path:
        return f"{shown_name(one.name)} NOT FOUND"
    place = one.path if one.path.endswith(shown_name(one.name)) else f"{shown_name(one.name)} ({one.path})"
    reads, writes = sum(use.reads for use in group), sum(use.writes for use in group)
    refused = sum(use.refused for use in group)
    used = f"used (read {reads} times, written {writes} times, {refused} writes refused)"
    text = f"{place} {used if reads + writes + refused else 'NOT USED'}"
    return f"{text}, not tried in full: {one.why}" if one.why else text


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchReach:
    """The functions of the series on one arch: by any cell of the run."""

    arch: str
    changed: ChangedSeen


def reach_by_arch(cells: Iterable[CellReport]) -> tuple[ArchReach, ...]:
    """What the cells of the patched kernels ran, all of an arch together."""
    groups: dict[str, list[ChangedSeen]] = {}
    for cell in cells:
        if cell.cell.build.variant is Variant.PATCHED and cell.run is not None and cell.run.changed is not None:
            groups.setdefault(cell.cell.build.arch, []).append(cell.run.changed)
    return tuple(ArchReach(arch=arch, changed=seen) for arch, group in groups.items() if (seen := together(group)))


def ran_anywhere(cells: Iterable[CellReport]) -> frozenset[str]:
    """Changed functions that ran in some cell, on any arch, under load or before."""
    return frozenset(name for reach in reach_by_arch(cells) for name in (*reach.changed.ran, *reach.changed.early))


def together(group: Sequence[ChangedSeen]) -> ChangedSeen | None:
    """What any of several cells ran; None of none."""
    if not group:
        return None
    names = dict.fromkeys(name for one in group for name in _all(one))
    ran = {name for one in group for name in one.ran}
    seen = {name for one in group for name in one.not_reached} - ran
    # In one flavour it may have code, in another none.
    unknown = {name for one in group for name in one.unknown} - ran - seen
    rest = set(names) - ran - seen - unknown
    early = {name for one in group for name in one.early} & seen
    return ChangedSeen(
        ran=tuple(name for name in names if name in ran),
        not_reached=tuple(name for name in names if name in seen),
        unknown=tuple(name for name in names if name in unknown),
        no_code=tuple(name for name in names if name in rest),
        early=tuple(name for name in names if name in early),
        why_unknown={name: why for one in group for name, why in one.why_unknown.items() if name in unknown},
        left_out={name: why for one in group for name, why in one.left_out.items() if name in rest},
    )


def _all(one: ChangedSeen) -> Iterator[str]:
    yield from (*one.ran, *one.not_reached, *one.no_code, *one.unknown)


def reach_text(reach: ArchReach) -> str:
    """The line of an arch in a run's summary."""
    changed = reach.changed
    if not changed.observed:
        text = f"{reach.arch}: no cell could tell which of the changed functions ran"
    else:
        text = f"{reach.arch}: {len(changed.ran)} of {changed.observed} changed functions ran in some cell"
    text += f"; REACHED BY NO CELL: {', '.join(changed.never_ran)}" if changed.never_ran else ""
    text += f"; ran before the load began only: {names_text(changed.early)}" if changed.early else ""
    no_code = [f"{name} ({changed.left_out[name]})" if name in changed.left_out else name for name in changed.no_code]
    text += f"; without code in these kernels: {names_text(no_code)}" if no_code else ""
    return "; ".join([text, *_unknown_texts(changed)])
