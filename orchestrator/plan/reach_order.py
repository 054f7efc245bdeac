# SPDX-License-Identifier: GPL-2.0-or-later
"""By reach maps: which workloads run what a series changes, in which order, and what none of them runs. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from orchestrator.model.reach import (
    DID_ALL,
    ChangedReach,
    RankedWorkload,
    ReachMap,
    Recorded,
    SourceFunction,
    Unseen,
    UnseenFunction,
)

Calls = Mapping[SourceFunction, Collection[str]]
"""A function of the source under test -> names of what it calls."""

# What tells most goes first, where the arches differ.
_UNSEEN = {Recorded.FOLDED: Unseen.FOLDED, Recorded.NO: Unseen.EXCLUDED, Recorded.BOOT: Unseen.BOOT}
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What a series changes, as far as maps can tell of it."""

    functions: tuple[SourceFunction, ...]
    calls: Calls = field(default_factory=dict)  # of all functions of the files that the series touches
    new_files: frozenset[str] = frozenset()


def nearest_maps(maps: Sequence[ReachMap], *, source: str, version: str) -> tuple[ReachMap, ...]:
    """The maps of this source, or else of the nearest version; of further ones the workloads that those before lack.

    So a map of one workload does not hide that of all workloads on another kernel. Of several sources with one
    version the first counts.
    """

    def rank(one: ReachMap) -> tuple[bool, tuple[int, ...]]:
        return one.kernel.source != source, _distance(one.kernel.version, version)

    chosen: list[ReachMap] = []
    for of in dict.fromkeys(one.kernel.source for one in sorted(maps, key=rank)):
        known = {load.workload for map_ in chosen for load in map_.workloads}
        for one in (map_ for map_ in maps if map_.kernel.source == of):
            # Where nothing was recorded, that nothing is reached means nothing.
            if fresh := tuple(load for load in one.workloads if load.workload not in known):
                chosen.append(replace(one, workloads=fresh))
    return tuple(chosen)


def changed_reach(
    workloads: Sequence[str], changes: Changes, maps: Sequence[ReachMap], *, source: str = "", hint: str = ""
) -> ChangedReach:
    """What maps tell of a series, for the workloads that may be run.

    `source` is what the series is applied to, `hint` the command that makes a map of it.
    """
    if not maps:
        return ChangedReach(changed=len(changes.functions), hint=hint)
    known, own = _Maps.of(maps), _all_of_source(maps, workloads, source)
    runs = {function: known.runs(function) for function in changes.functions}
    unseen = {function: _unseen(function, changes, known) for function, ran in runs.items() if ran is None}
    callers = {function: _caller(function, changes, known) for function in unseen}
    for function, caller in callers.items():
        unseen[function] = replace(unseen[function], caller=caller.name if caller else "")
    likely = {function: known.runs(caller) or frozenset() for function, caller in callers.items() if caller}
    sure = {function: ran for function, ran in runs.items() if ran is not None}
    mapped = known.mapped(sure)
    missed = {function: ran for function, ran in sure.items() if not ran & set(workloads)}
    passed = {one.workload for map_ in maps for one in map_.workloads if one.outcome in DID_ALL}
    called = {one.workload: one.called for map_ in maps for one in map_.workloads}
    thin = tuple(load for load in dict.fromkeys(workloads) if load in mapped - passed)
    return ChangedReach(
        hint=hint if not own else f"{hint} --again" if thin else "",
        thin=thin,
        maps=tuple(sorted({f"{one.kernel.version} {one.kernel.arch}" for one in maps})),
        same_source=own,
        changed=len(changes.functions),
        ranked=_ranked(workloads, mapped, sure, likely, known.blocks(sure, workloads), len(changes.functions)),
        unreached=tuple(function for function, ran in missed.items() if not ran),
        elsewhere=tuple(
            (function, tuple(sorted(called[one] for one in ran))) for function, ran in missed.items() if ran
        ),
        unseen=tuple(unseen.values()),
    )


def _all_of_source(maps: Iterable[ReachMap], workloads: Collection[str], source: str) -> bool:
    """Whether what the maps have of these workloads was recorded on this source; False where they have none of them."""
    used = [one.kernel.source for one in maps if any(load.workload in workloads for load in one.workloads)]
    return bool(used) and all(one == source for one in used)


def _distance(version: str, other: str) -> tuple[int, ...]:
    """How far apart two versions are: the first number that differs decides."""
    one, two = ([int(number) for number in _NUMBER.findall(text)[:3]] for text in (version, other))
    length = max(len(one), len(two))
    padded = ([*numbers, *[0] * (length - len(numbers))] for numbers in (one, two))
    return tuple(abs(a - b) for a, b in zip(*padded, strict=True))


@dataclass(frozen=True, slots=True)
class _Maps:
    """Some maps, and where they have the functions of a name."""

    maps: tuple[ReachMap, ...]
    named: tuple[Mapping[str, Sequence[SourceFunction]], ...]
    asked: dict[SourceFunction, frozenset[str] | None] = field(default_factory=dict)  # answers of runs()

    @classmethod
    def of(cls, maps: Iterable[ReachMap]) -> "_Maps":
        found = tuple(maps)
        return cls(found, tuple(_by_name(map_.functions) for map_ in found))

    def places(self, function: SourceFunction) -> Iterator[tuple[ReachMap, SourceFunction]]:
        """The function as each map has it: of the same file, or the only one of its name, as functions move."""
        for map_, named in zip(self.maps, self.named, strict=True):
            others = named.get(function.name, ())
            if function in map_.functions:
                yield map_, function
            elif len(others) == 1:
                yield map_, others[0]

    def mapped(self, functions: Iterable[SourceFunction]) -> set[str]:
        """The workloads that run one of the functions, or of which the maps say that they run none.

        Where maps of several sources are used, that of a workload may lack a function that another has.
        """
        silent = {load.workload for map_ in self.maps for load in map_.workloads}
        run: set[str] = set()
        for function in functions:
            sources = {map_.kernel.source for map_, _ in self._recorded(function)}
            silent &= {load.workload for map_ in self.maps if map_.kernel.source in sources for load in map_.workloads}
            run |= self.runs(function) or frozenset()
        return silent | run

    def _recorded(self, function: SourceFunction) -> list[tuple[ReachMap, SourceFunction]]:
        return [(m, at) for m, at in self.places(function) if m.functions[at].recorded is Recorded.YES]

    def runs(self, function: SourceFunction) -> frozenset[str] | None:
        """The workloads that run a function on some arch; None where no map can tell."""
        if function not in self.asked:
            places = self._recorded(function)
            self.asked[function] = frozenset(load for m, at in places for load in m.runs(at)) if places else None
        return self.asked[function]

    def blocks(self, functions: Iterable[SourceFunction], workloads: Iterable[str]) -> Mapping[str, int]:
        """How many blocks of these functions each workload runs; of several maps, in the one that has most."""
        most = dict.fromkeys(workloads, 0)
        for function in functions:
            there = dict.fromkeys(most, 0)
            for map_, at in self._recorded(function):
                ran = ((load.workload, load.ran[at].blocks) for load in map_.workloads if at in load.ran)
                there.update((name, max(count, there[name])) for name, count in ran if name in there)
            most = {name: count + there[name] for name, count in most.items()}
        return most


def _by_name(functions: Iterable[SourceFunction]) -> Mapping[str, Sequence[SourceFunction]]:
    named: dict[str, list[SourceFunction]] = {}
    for function in functions:
        named.setdefault(function.name, []).append(function)
    return named


def _unseen(function: SourceFunction, changes: Changes, maps: _Maps) -> UnseenFunction:
    kinds = {map_.functions[place].recorded for map_, place in maps.places(function)}
    if kinds:
        return UnseenFunction(function=function, why=next(why for kind, why in _UNSEEN.items() if kind in kinds))
    header = PurePosixPath(function.file).suffix == ".h"
    if not header and not any(function.file.startswith(map_.folders) for map_ in maps.maps):
        return UnseenFunction(function=function, why=Unseen.OUTSIDE)
    files = {place.file for map_ in maps.maps for place in map_.functions}
    if not header and function.file not in files and function.file not in changes.new_files:
        return UnseenFunction(function=function, why=Unseen.NOT_BUILT)
    return UnseenFunction(function=function, why=Unseen.NOT_IN_MAP)


def _caller(function: SourceFunction, changes: Changes, maps: _Maps) -> SourceFunction | None:
    """A function that some workload runs and that calls this one, directly or through others that no map knows."""
    seen, waiting = {function}, [function]
    while waiting:
        called = waiting.pop(0)
        for caller in sorted(changes.calls):
            if caller in seen or called.name not in changes.calls[caller]:
                continue
            ran = maps.runs(caller)
            if ran:
                return caller
            seen.add(caller)
            # What a map knows and nothing runs leads nowhere.
            waiting += [caller] if ran is None else []
    return None


def _ranked(  # all that is known of the workloads
    workloads: Sequence[str],
    mapped: Collection[str],
    sure: Mapping[SourceFunction, Collection[str]],
    likely: Mapping[SourceFunction, Collection[str]],
    blocks: Mapping[str, int],
    changed: int,
) -> tuple[RankedWorkload, ...]:
    """Next is the workload with most functions that none before it runs; at last those without a map, and the rest.

    Of those that run as many functions, the one that runs more of their blocks.
    """
    reached = {load: {function for function, ran in sure.items() if load in ran} for load in workloads}
    maybe = {load: {function for function, ran in likely.items() if load in ran} for load in workloads}
    left, covered, found = list(dict.fromkeys(workloads)), set[SourceFunction](), []

    def rank(load: str) -> tuple[int, bool, int, int, int]:
        fresh = (reached[load] | maybe[load]) - covered
        functions = len(reached[load]) + len(maybe[load])
        return len(fresh), load not in mapped, functions, blocks[load], -left.index(load)

    while left:
        load = max(left, key=rank)
        fresh = rank(load)[0]
        covered |= reached[load] | maybe[load]
        left.remove(load)
        one = RankedWorkload(
            workload=load, mapped=load in mapped, reached=len(reached[load]), likely=len(maybe[load]), first=fresh
        )
        found.append(replace(one, reason=_reason(one, changed)))
    return tuple(found)


def _reason(one: RankedWorkload, changed: int) -> str:
    if not one.mapped:
        return "not in the map"
    further = f", likely {one.likely} more" if one.likely else ""
    return f"{one.reached} of {changed} changed functions{further}"
