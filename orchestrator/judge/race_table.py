# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of a replay -> what was done to the objects of a crash, in the order in which it was done (pure)."""

import re
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.model.explained import Act, Place, Span
from orchestrator.model.race_points import PointKind, RacePoint, Role
from orchestrator.model.stacks import SourceLine
from orchestrator.model.traced import Call

# So far before an object the one that it is embedded in may begin.
_AROUND = 2048
# What a word of the kernel's memory may point to: x86_64 and arm64 have it in the upper half.
_KERNEL = 0xFFFF << 48
_WORD = 8
_VALUE = re.compile(r"(?:^|[\s(,])(\w+) ?= ?(?:\([^)]*\) ?)?0x([0-9a-f]{9,16})\b")
_REGISTER = re.compile(r"^(\w+) +0x([0-9a-f]{9,16})\b")
_KASAN_OBJECT = re.compile(r"The buggy address belongs to the object at ([0-9a-f]{16})")
_KASAN_CACHE = re.compile(r"which belongs to the cache (\S+) of size (\d+)")


def stopped_values(output: str) -> dict[int, str]:
    """Pointers that gdb printed of the guest that stopped, of registers and variables -> a name."""
    found: dict[int, str] = {}
    for line in output.splitlines():
        for name, value in (*_REGISTER.findall(line), *_VALUE.findall(line)):
            if int(value, 16) & _KERNEL == _KERNEL:
                found[int(value, 16)] = name
    return found


def reported_object(splat: str) -> Span | None:
    """The object that a report of KASAN names."""
    place, cache = _KASAN_OBJECT.search(splat), _KASAN_CACHE.search(splat)
    if place is None or cache is None:
        return None
    return Span(start=int(place[1], 16), size=int(cache[2]), name=cache[1])


def given_objects(calls: Iterable[Call], points: Mapping[int, RacePoint]) -> dict[int, str]:
    """What functions were given as arguments of the types that the crash is about -> the parameter's name."""
    given: dict[int, str] = {}
    for call in calls:
        point = points[call.address]
        if point.kind is not PointKind.COPY:
            given |= {call.arguments[at]: point.names[at] for at in point.typed if at < len(call.arguments)}
    return given


def spans_of(given: Mapping[int, str], values: Collection[int]) -> tuple[Span, ...]:
    """Those of the given objects that the guest has at hand where it stops."""
    both = sorted(value for value in given if value in values)
    return tuple(Span(start=value, size=_WORD, name=given[value] or "object") for value in both)


def words_in(memory: bytes) -> Iterator[int]:
    """Pointers to the kernel's memory that a piece of it holds."""
    whole = memory[: len(memory) // _WORD * _WORD]
    return (word for (word,) in struct.iter_unpack("<Q", whole) if word & _KERNEL == _KERNEL)


def offsets_of(calls: Iterable[Call], points: Mapping[int, RacePoint], given: Collection[int]) -> dict[int, int]:
    """Of each inlined copy: how far before an object that a register points to lies, what it lies in.

    The code often goes by the address of what an object is embedded in. A register may also point to another object
    nearby, by chance; the right distance is the one that leads to a known object most often.
    """
    known = sorted(given)
    counts: dict[int, Counter[int]] = {}
    for call in calls:
        if points[call.address].kind is PointKind.COPY:
            counts.setdefault(call.address, Counter()).update(set(_distances(call.registers, known)))
    return {
        address: min(some, key=lambda distance: (-some[distance], distance)) for address, some in counts.items() if some
    }


def _distances(registers: Iterable[int], known: Sequence[int]) -> Iterator[int]:
    for value in registers:
        for at in range(bisect_left(known, value), len(known)):
            if known[at] - value >= _AROUND:
                break
            yield known[at] - value


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What calls are read with."""

    points: Mapping[int, RacePoint]
    objects: Sequence[Span]  # (): all acts count
    offsets: Mapping[int, int] = field(default_factory=dict)  # offsets_of()

    def acts(self, calls: Iterable[Call]) -> Iterator[Act]:
        """What concerns the objects; of a function and the call of it, one act at the place of the call."""
        waiting: dict[int, Call] = {}
        for call in calls:
            point = self.points[call.address]
            before = waiting.pop(call.cpu, None)
            led = before is not None and point.host == self.points[before.address].function and before.task == call.task
            if before and not led:
                yield from self._act(before, before.address)
            if point.kind is PointKind.CALL:
                waiting[call.cpu] = call
            else:
                yield from self._act(call, before.address if before and led else call.address)
        for call in waiting.values():
            yield from self._act(call, call.address)

    def _act(self, call: Call, address: int) -> Iterator[Act]:
        point = self.points[call.address]
        arguments = self._pointing(call) if point.kind is PointKind.COPY else self._given(call)
        if arguments is not None:
            yield Act(
                address=address,
                role=point.role,
                function=point.function,
                host=self.points[address].host,
                cpu=call.cpu,
                task=call.task,
                seconds=call.seconds,
                arguments=arguments,
            )

    def _given(self, call: Call) -> tuple[tuple[str, int], ...] | None:
        """The arguments of a function; None for one that is given no object."""
        point = self.points[call.address]
        values = [call.arguments[at] for at in point.typed if at < len(call.arguments)]
        if point.kind is PointKind.CALL and not values:
            return None
        if self.objects and not any(span.has(value) for span in self.objects for value in values or call.arguments):
            return None
        return tuple((name or "object", value) for name, value in zip(point.names, call.arguments, strict=False))

    def _pointing(self, call: Call) -> tuple[tuple[str, int], ...] | None:
        """The objects that a register of an inlined copy points to, or to what they lie in."""
        offset = self.offsets.get(call.address, 0)
        found = tuple(
            (span.name, span.start)
            for span in self.objects
            if any(span.has(value + offset) for value in call.registers)
        )
        return found if found or not self.objects else None


def last_of_each(found: Sequence[Act], lines: Mapping[int, SourceLine], objects: Sequence[Span] = ()) -> list[Act]:
    """Of what a task did to an object at one line of code, the last time, with how often it did."""
    last: dict[object, Act] = {}
    for act in found:
        key = (act.task, act.role, act.function, lines.get(act.address, act.address), _touched(act, objects))
        before = last.pop(key, None)
        last[key] = replace(act, times=before.times + act.times) if before else act
    return list(last.values())


def _touched(act: Act, objects: Sequence[Span]) -> tuple[int, ...]:
    return tuple(value for _, value in act.arguments if any(span.has(value) for span in objects))


def places(found: Collection[Act], lines: Mapping[int, SourceLine]) -> tuple[Place, ...]:
    """Each line of code that did something, those that did most first; what only uses comes last."""
    groups: dict[tuple[Role, str, SourceLine | None], list[Act]] = {}
    for act in found:
        groups.setdefault((act.role, act.function, lines.get(act.address)), []).append(act)
    made = [
        Place(
            role=role,
            function=function,
            line=line,
            times=sum(act.times for act in some),
            tasks=len({act.task for act in some}),
            last=max((act.seconds for act in some if act.seconds is not None), default=None),
        )
        for (role, function, line), some in groups.items()
    ]
    return tuple(sorted(made, key=lambda place: (place.role is Role.USES, -place.times, place.function)))
