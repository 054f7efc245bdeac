# SPDX-License-Identifier: GPL-2.0-or-later
"""How often each stretch of machine code ran, from the counts of those that count. Pure.

The compiler calls the callback where a block of its own has something to do. Code that it puts on an edge later, the
`return -1` of a condition say, has no call: how often that ran follows from its neighbours, as what enters a block also
leaves it. gcov finds its counts in the same way.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Terms = Mapping[int, int]
"""A count as a sum: the return address of a callback -> how often its count is added (or, below zero, taken away)."""

_LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)(?:\s+(.*))?$")
_TARGET = re.compile(r"\b([0-9a-f]+) <([^>]+)>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Branches:
    """The instructions of one processor that go elsewhere, as objdump writes them."""

    call: re.Pattern[str]
    always: re.Pattern[str]  # a jump without a way on
    sometimes: re.Pattern[str]
    leaves: re.Pattern[str]  # the function is over
    padding: re.Pattern[str]


BRANCHES = {
    "x86_64": Branches(
        call=re.compile(r"call"),
        always=re.compile(r"(?:bnd |notrack )?jmp"),
        sometimes=re.compile(r"j(?!mp)|loop|xbegin"),
        leaves=re.compile(r"(?:rep(?:z)? |bnd )?ret|iret|sysret"),
        padding=re.compile(r"nop|int3|xchg|data16|cs|lea"),
    ),
    "arm64": Branches(
        call=re.compile(r"bl$|blr"),
        always=re.compile(r"b$|br"),
        sometimes=re.compile(r"b\.|cbn?z|tbn?z"),
        leaves=re.compile(r"ret|eret|drps"),
        padding=re.compile(r"nop|udf"),
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    address: int
    mnemonic: str
    target: int  # of a direct jump or call; 0: none
    symbol: str  # where it leads, as objdump says: "put", "lookup+0xf8"


@dataclass(kw_only=True, slots=True)
class Node:
    """Instructions that run one after the other; it counts itself when the callback is among them."""

    start: int
    end: int
    call: int = 0  # the callback's return address; 0: not counted
    ways: list[int] = field(default_factory=list)  # starts of the nodes that may come next
    leaves: bool = False  # the function may be over after it, or where it goes can't be told
    entered: bool = False  # from outside: the function's first one
    padding: bool = False


def instructions(disassembly: str) -> Iterator[Instruction]:
    """What `objdump -d --no-show-raw-insn` printed."""
    for line in disassembly.splitlines():
        if m := _LINE.match(line):
            target = _TARGET.search(m[3] or "")
            indirect = (m[3] or "").startswith("*")
            yield Instruction(
                address=int(m[1], 16),
                mnemonic=m[2],
                target=int(target[1], 16) if target and not indirect else 0,
                symbol=target[2] if target and not indirect else "",
            )


def nodes_of(
    code: Sequence[Instruction], ranges: Iterable[tuple[int, int]], branches: Branches, callback: str
) -> list[Node]:
    """One function's nodes, by address; `code` may hold other functions as well."""
    addresses = [one.address for one in code]
    nodes: list[Node] = []
    parts = sorted(ranges)
    own = [one for start, end in parts for one in _between(code, addresses, start, end)]
    starts = {start for start, _ in parts}
    jumps = {one.target for one in own if _jumps(one, branches)}
    after = {following.address for one, following in pairwise(own) if _ends(one, branches)}
    inside = [one.address for one in own]
    leaders = sorted((starts | jumps | after) & set(inside))
    # Where the compiler put two of its blocks one behind the other, the second begins with its callback.
    calls = [one.address for one in own if _calls_back(one, branches, callback)]
    leaders = sorted({*leaders, *(call for call in calls if _follows_another(call, calls, leaders))})
    for start, end in pairwise([*leaders, parts[-1][1]]):
        body = _between(code, addresses, start, end)
        nodes.append(_node(body, start, end, set(leaders), branches, callback))
    for node in nodes:
        node.entered = node.start == parts[0][0]
    reached = {way for node in nodes for way in node.ways}
    return [node for node in nodes if node.start in reached or node.entered or not node.padding]


def counts(nodes: Sequence[Node]) -> dict[int, Terms]:
    """Node start -> its count, for those that have one or whose count follows."""
    known: dict[int, Terms] = {node.start: {node.call: 1} for node in nodes if node.call}
    into: dict[int, list[tuple[int, int]]] = {node.start: [] for node in nodes}
    out: dict[int, list[tuple[int, int]]] = {node.start: [] for node in nodes}
    for node in nodes:
        for way in dict.fromkeys(node.ways):
            out[node.start].append((node.start, way))
            into[way].append((node.start, way))
    # An edge from nowhere, or to nowhere, keeps a sum from being complete.
    whole_in = {node.start for node in nodes if not node.entered and into[node.start]}
    whole_out = {node.start for node in nodes if not node.leaves and out[node.start]}
    edges: dict[tuple[int, int], Terms] = {}
    while _step(known, edges, into, whole_in) | _step(known, edges, out, whole_out):
        pass
    return known


def _step(
    known: dict[int, Terms],
    edges: dict[tuple[int, int], Terms],
    sides: Mapping[int, list[tuple[int, int]]],
    whole: set[int],
) -> bool:
    """What follows at the nodes where all edges of one side are seen: a sum, or the one edge that is missing in it."""
    moved = False
    for start in whole:
        missing = [edge for edge in sides[start] if edge not in edges]
        seen = [edges[edge] for edge in sides[start] if edge in edges]
        if start not in known and not missing:
            known[start] = _sum(seen)
            moved = True
        elif start in known and len(missing) == 1:
            edges[missing[0]] = _sum([known[start]], less=seen)
            moved = True
    return moved


def _sum(more: Iterable[Terms], less: Iterable[Terms] = ()) -> Terms:
    total: dict[int, int] = {}
    for sign, many in ((1, more), (-1, less)):
        for terms in many:
            for call, times in terms.items():
                total[call] = total.get(call, 0) + sign * times
    return {call: times for call, times in total.items() if times}


def _between(code: Sequence[Instruction], addresses: Sequence[int], start: int, end: int) -> Sequence[Instruction]:
    return code[bisect_right(addresses, start - 1) : bisect_right(addresses, end - 1)]


def _calls_back(one: Instruction, branches: Branches, callback: str) -> bool:
    return one.symbol == callback and bool(branches.call.match(one.mnemonic))


def _follows_another(call: int, calls: Sequence[int], leaders: Sequence[int]) -> bool:
    """Whether another of the sorted `calls` lies between this one and the leader before it."""
    at = bisect_right(leaders, call) - 1
    return at >= 0 and bisect_right(calls, leaders[at] - 1) < bisect_right(calls, call - 1)


def _jumps(one: Instruction, branches: Branches) -> bool:
    return bool(one.target and (branches.always.match(one.mnemonic) or branches.sometimes.match(one.mnemonic)))


def _ends(one: Instruction, branches: Branches) -> bool:
    return any(pattern.match(one.mnemonic) for pattern in (branches.always, branches.sometimes, branches.leaves))


def _node(
    body: Sequence[Instruction], start: int, end: int, leaders: set[int], branches: Branches, callback: str
) -> Node:
    node = Node(start=start, end=end, padding=all(branches.padding.match(one.mnemonic) for one in body))
    for one, following in zip(body, [*(other.address for other in body[1:]), end], strict=True):
        if not node.call and _calls_back(one, branches, callback):
            node.call = following
    last = body[-1]
    sometimes, always = branches.sometimes.match(last.mnemonic), branches.always.match(last.mnemonic)
    if (sometimes or always) and last.target in leaders:
        node.ways.append(last.target)
    elif sometimes or always:
        # Another function, or an address that was computed.
        node.leaves = True
    if branches.leaves.match(last.mnemonic):
        node.leaves = True
    elif not always and end in leaders:
        node.ways.append(end)
    return node
