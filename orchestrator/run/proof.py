# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell's guest proves: the sites that it reached, and the functions of the series that ran (pure)."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.guest.probe_lists import MOST_CHANGED, is_meant, probed
from orchestrator.model.blocks import CoverageMap, Executed, LineState, Piece, early_executed
from orchestrator.model.configuration import Workload
from orchestrator.model.guests import Observation, WorkloadResult
from orchestrator.model.probes import ChangedSeen, Located, LocatedFunction, LocatedSite, SiteSeen, SiteState

State = bool | str
"""Whether a function ran; a text says why nobody can tell."""

_NO_COUNT = "none of its lines has a count"
_REFUSED = "the kernel allows no probe there"
_NO_ROOM = f"a cell probes {MOST_CHANGED} functions at most, and this was not among them"


def with_proof(
    run: Observation, workload: Workload, located: Located | None, coverage: CoverageMap | None
) -> Observation:
    """The observation with what is known of sites and changed functions; as it was, where nothing is."""
    if located is None or run.result is None:
        return run
    sites = tuple(_site_seen(site, run.result) for site in located.sites.get(workload.name, ()))
    ran = _by_blocks(located, coverage, run.executed) if coverage else _by_probes(located, workload, run.result)
    early = _by_blocks(located, coverage, early_executed(run.early)) if coverage and run.early else ()
    changed = _changed_seen(located, workload, ran, early) if located.changed else None
    return replace(run, sites=sites, changed=changed)


def _site_seen(site: LocatedSite, result: WorkloadResult) -> SiteSeen:
    if not site.way:
        return SiteSeen(name=site.name, state=SiteState.ABSENT, detail=site.why)
    calls = result.counters.get(f"site.{site.name}.calls", 0)
    counted = f"site.{site.name}.calls" in result.counters and not result.missing
    return SiteSeen(
        name=site.name,
        state=SiteState.REACHED if calls > 0 else SiteState.NOT_REACHED if counted else SiteState.NOT_COUNTED,
        detail=site.way,
        calls=calls,
        failed=result.counters.get(f"site.{site.name}.failed", 0) if site.failure else None,
        sampled=bool(result.counters.get("site.sampled")),
    )


def _changed_seen(located: Located, workload: Workload, states: Sequence[State], early: Sequence[State]) -> ChangedSeen:
    """By the state of each function under load, and by that before it; of the latter there may be none."""
    lists: dict[str, list[str]] = {"ran": [], "not_reached": [], "no_code": [], "unknown": []}
    for one, state in zip(located.changed, states, strict=True):
        name = "unknown" if isinstance(state, str) else "ran" if state else "not_reached"
        lists["no_code" if not one.sources else name].append(one.label)
    why = {one.label: state for one, state in zip(located.changed, states, strict=True) if isinstance(state, str)}
    return ChangedSeen(
        ran=tuple(lists["ran"]),
        not_reached=tuple(lists["not_reached"]),
        no_code=tuple(lists["no_code"]),
        unknown=tuple(lists["unknown"]),
        early=tuple(
            one.label
            for one, under_load, before in zip(located.changed, states, early, strict=False)
            if under_load is False and before is True
        ),
        meant=tuple(one.label for one in located.changed if is_meant(workload, one)),
        why_unknown={label: why[label] for label in lists["unknown"]},
        left_out={one.label: one.left_out for one in located.changed if one.left_out},
    )


def _by_probes(located: Located, workload: Workload, result: WorkloadResult) -> list[State]:
    places = frozenset(probed(workload, located))
    return [
        _probe_state(one, result.changed, str(number)) if number in places else _why_no_probe(one)
        for number, one in enumerate(located.changed)
    ]


def _why_no_probe(function: LocatedFunction) -> str:
    return _NO_ROOM if function.entries else function.why or _REFUSED


def _probe_state(function: LocatedFunction, hits: Mapping[str, int | None], number: str) -> State:
    if number not in hits:
        return "the guest did not report it"
    if hits[number]:
        return True
    # Where one entry has no probe, the others prove only that it ran.
    if function.partly:
        return "it did not run where it has a probe, and some inlined copies have none"
    return _REFUSED if hits[number] is None else False


def _by_blocks(located: Located, coverage: CoverageMap, executed: Executed | None) -> list[State]:
    if executed is None:
        return ["the guest sent no counts"] * len(located.changed)
    counts: dict[str, list[tuple[int, int]]] = {}
    for file, line, count in _counts(coverage, executed):
        counts.setdefault(file, []).append((line, count))
    at_boot = {(line.file, line.line) for line in coverage.lines if line.state is LineState.BOOT_ONLY}
    return [_ran(one, counts.get(one.file, ()), at_boot) for one in located.changed]


def _ran(function: LocatedFunction, counts: Iterable[tuple[int, int]], at_boot: Collection[tuple[str, int]]) -> State:
    """By line and count of what is counted in the function's file."""
    own = [count for line, count in counts if function.first <= line <= function.last]
    if own:
        return any(count > 0 for count in own)
    lines = range(function.first, function.last + 1)
    return "it runs at boot only" if any((function.file, line) in at_boot for line in lines) else _NO_COUNT


def _counts(coverage: CoverageMap, executed: Executed) -> Iterator[tuple[str, int, int]]:
    """File, line and how often it ran, of each block and each piece of a changed line."""
    for block in coverage.blocks:
        yield block.file, block.line, _hits(executed, block.offset)
    for line in coverage.lines:
        if line.state is LineState.CODE:
            yield from ((line.file, line.line, _piece_count(piece, executed)) for piece in line.pieces)


def _piece_count(piece: Piece, executed: Executed) -> int:
    return sum(times * _hits(executed, offset) for offset, times in piece.terms)


def _hits(executed: Executed, offset: int) -> int:
    return executed[offset].hits if offset in executed else 0
