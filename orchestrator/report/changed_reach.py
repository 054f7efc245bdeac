# SPDX-License-Identifier: GPL-2.0-or-later
"""What reach maps told of a series, in words: for the summary and for scripts (pure)."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from orchestrator.model.reach import ChangedReach, SourceFunction, Unseen

_MOST_NAMED = 40
_NOTHING = "none"


def reach_lines(reach: ChangedReach, ran: Collection[str] = ()) -> Iterator[str]:
    """Lines of any length: the map that was used, what each workload reaches, and what nothing reaches.

    `ran`: functions that ran in a cell of the run, whatever a map said of them.
    """
    reach = _without(reach, ran)
    if not reach.maps:
        yield f"Changed functions that nothing reaches: not known, as there is no reach map. {reach.hint} makes one."
        return
    other = "" if reach.same_source else ", another kernel's"
    yield f"Reach map: {', '.join(reach.maps)}{other}"
    for one in reach.ranked:
        if one.reached or one.likely or not one.mapped:
            yield f"  {one.workload}: {one.reason}"
    mapped = sum(one.mapped for one in reach.ranked)
    scope = f" ({mapped} of {len(reach.ranked)} workloads are in the map)" if mapped < len(reach.ranked) else ""
    yield f"Changed functions that nothing reaches{scope}: {names(reach.unreached) or _NOTHING}"
    for function, workloads in reach.elsewhere:
        yield f"  not by the workloads of this run: {names([function])}, which {' and '.join(workloads)} would reach"
    yield from _unseen_lines(reach)
    if reach.thin:
        thin = ", ".join(reach.thin)
        yield f"They may reach more: {thin} did not pass when what they run was recorded."
    if reach.hint:
        yield f"{reach.hint} {'adds to the map' if reach.same_source else 'makes a map of this kernel'}."


def _without(reach: ChangedReach, ran: Collection[str]) -> ChangedReach:
    return replace(
        reach,
        unreached=tuple(one for one in reach.unreached if one.name not in ran),
        elsewhere=tuple(one for one in reach.elsewhere if one[0].name not in ran),
        unseen=tuple(one for one in reach.unseen if one.function.name not in ran),
    )


def _unseen_lines(reach: ChangedReach) -> Iterator[str]:
    if likely := [one.function for one in reach.unseen if one.caller]:
        yield f"  likely reached, as what calls them is: {names(likely)}"
    groups: dict[Unseen, list[SourceFunction]] = {}
    for one in reach.unseen:
        if not one.caller:
            groups.setdefault(one.why, []).append(one.function)
    for why, functions in groups.items():
        yield f"  not known ({why}): {names(functions)}"


def names(functions: Sequence[SourceFunction]) -> str:
    """ "mm/swapfile.c: swapon, swapoff; mm/zswap.c: zswap_load", the first ones of many."""
    files: dict[str, list[str]] = {}
    for function in functions[:_MOST_NAMED]:
        files.setdefault(function.file, []).append(function.name)
    text = "; ".join(f"{file}: {', '.join(named)}" for file, named in files.items())
    more = len(functions) - _MOST_NAMED
    return f"{text}; and {more} more, in run.json" if more > 0 else text


def reach_json(reach: ChangedReach | None) -> dict[str, object] | None:
    """The same for scripts; None where there was no series."""
    if reach is None:
        return None
    return {
        "maps": list(reach.maps),
        "same_source": reach.same_source,
        "changed": reach.changed,
        "workloads": {one.workload: one.reached for one in reach.ranked if one.mapped},
        "unreached": [function._asdict() for function in reach.unreached],
        "unknown": [
            {**one.function._asdict(), "why": str(one.why), "caller": one.caller or None} for one in reach.unseen
        ],
        "thin": list(reach.thin),
        "hint": reach.hint or None,
    }
