# SPDX-License-Identifier: GPL-2.0-or-later
"""Where in a built kernel the sites of workloads and the functions that a series changed can be probed.

A function may be in the machine code by itself, under other names too (.isra.0, .constprop.0, .part.0), and inlined
into others: its symbols tell the one, DWARF tells the other.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.host.elf import Binary, Copy, Subprogram, Symbol, Unit
from orchestrator.kernel.code.calls import Calls
from orchestrator.model.configuration import SiteWay
from orchestrator.model.probes import Caller, Located, LocatedFunction, LocatedSite, WantedSite
from orchestrator.model.series_diff import ChangedFunction

# Several instructions of any arch.
_PIECE_BYTES = 24
# So many functions may lie between a caller and what it calls: what the compiler inlined in one kernel, it may not in
# another. mincore_unmapped_range() has three on its way to get_swap_device().
MOST_HELPERS = 3
# Of a function that is inlined all over the kernel.
MOST_ENTRIES = 16
# The guest's program has no room for longer ones (NAME_SIZE in shared.h).
_LONGEST_NAME = 63
_START = "_stext"
# The compiler's names for copies, and for the unlikely part of a function (.cold), which is never entered.
_COPY = re.compile(r"(\.(isra|constprop|part)\.\d+)+")
_COLD = re.compile(r"\.cold(\.\d+)?\Z")
_PART = re.compile(r"\.part\.\d+")
# Linux kernel/kprobes.c and arch code refuse probes between these symbols; what is init is gone by then.
_FORBIDDEN = (
    ("__noinstr_text_start", "__noinstr_text_end"),
    ("__kprobes_text_start", "__kprobes_text_end"),
    ("__entry_text_start", "__entry_text_end"),
    ("__irqentry_text_start", "__irqentry_text_end"),
    ("__softirqentry_text_start", "__softirqentry_text_end"),
    ("__hyp_text_start", "__hyp_text_end"),
    ("__idmap_text_start", "__idmap_text_end"),
    ("_sinittext", "_einittext"),
)
_NO_CODE = "this kernel has no code of it"
_REFUSED = "the kernel allows no probe there"

Spans = Sequence[tuple[int, int]]


@dataclass(kw_only=True)
class MachineCode:
    """A kernel's functions, and what they call."""

    binary: Binary
    calls: Calls
    symbols: Sequence[Symbol]  # by address
    _called: dict[tuple[int, int], frozenset[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._addresses = [symbol.address for symbol in self.symbols]
        times = Counter(symbol.name for symbol in self.symbols)
        self._once = {name for name, count in times.items() if count == 1}
        self._by_base: dict[str, list[Symbol]] = {}
        for symbol in self.symbols:
            self._by_base.setdefault(symbol.name.partition(".")[0], []).append(symbol)
        bounds = self.binary.symbols(_START, *(name for pair in _FORBIDDEN for name in pair))
        self._start = bounds.get(_START, 0)
        self._forbidden = [
            (bounds[first], bounds[last]) for first, last in _FORBIDDEN if {first, last} <= bounds.keys()
        ]

    def named(self, function: str) -> list[Symbol]:
        """The function and its copies."""
        return [symbol for symbol, suffix in self._copies(function) if not suffix or _COPY.fullmatch(suffix)]

    def spans_of(self, function: str) -> list[tuple[int, int]]:
        """Where its own code lies, its unlikely parts and its copies included."""
        return [
            (symbol.address, symbol.address + symbol.size)
            for symbol, suffix in self._copies(function)
            if not suffix or _COLD.fullmatch(suffix) or _COPY.fullmatch(_COLD.sub("", suffix))
        ]

    def _copies(self, function: str) -> Iterator[tuple[Symbol, str]]:
        for symbol in self._by_base.get(function, ()):
            yield symbol, symbol.name.removeprefix(function)

    def around(self, address: int) -> Symbol | None:
        """The function that the address lies in."""
        at = bisect_right(self._addresses, address) - 1
        symbol = self.symbols[at] if at >= 0 else None
        return symbol if symbol and address < symbol.address + max(symbol.size, 1) else None

    def place(self, address: int) -> str:
        """The address as the guest's kernel takes it for a probe; "" where it refuses one."""
        if any(first <= address < last for first, last in self._forbidden):
            return ""
        symbol = self.around(address)
        if symbol and symbol.name in self._once and len(symbol.name) <= _LONGEST_NAME - len("+0x12345"):
            offset = address - symbol.address
            return f"{symbol.name}+{offset:#x}" if offset else symbol.name
        return f"{_START}+{address - self._start:#x}" if self._start and address > self._start else ""

    def reached(self, spans: Spans, targets: Collection[int]) -> set[int]:
        """Those of the targets that code in the spans calls, directly or through a few other functions."""
        found: set[int] = set()
        seen: set[int] = set()
        waiting = list(spans)
        for _ in range(MOST_HELPERS + 1):
            called = {target for span in waiting for target in self._calls(span)} - seen
            seen |= called
            found |= called & set(targets)
            waiting = [(s.address, s.address + s.size) for at in called - found if (s := self.around(at))]
        return found

    def _calls(self, span: tuple[int, int]) -> frozenset[int]:
        if span not in self._called:
            code = self.binary.code(*span)
            starts = {at for at in self.calls(code, span[0]) if (s := self.around(at)) and s.address == at}
            self._called[span] = frozenset(starts)
        return self._called[span]


def located(
    workloads: Mapping[str, Sequence[WantedSite]], changed: Sequence[ChangedFunction], code: MachineCode
) -> Located:
    """The sites of each workload and the changed functions, in the kernel's machine code."""
    ways = [way for sites in workloads.values() for site in sites for way in site.ways]
    names = {name for way in ways for name in (way.call, *way.callers)}
    copies: dict[str, list[Copy]] = {}
    for unit in code.binary.units_naming(names) if names else ():
        for copy in unit.copies(lambda place: place.name in names):
            if copy.inlined:
                copies.setdefault(copy.place.name, []).append(copy)
    return Located(
        sites={name: tuple(_site(site, code, copies) for site in sites) for name, sites in workloads.items()},
        changed=tuple(_changed(changed, code)),
    )


# --- sites -------------------------------------------------------------------------------------


def _site(site: WantedSite, code: MachineCode, copies: Mapping[str, Sequence[Copy]]) -> LocatedSite:
    for way in site.ways:
        found = _seen_by(way, code, copies)
        if found.returns or found.entries:
            return replace(found, name=site.name, way=way_text(way))
    return LocatedSite(name=site.name, why=f"no {'; no '.join(way_text(way) for way in site.ways)}")


def way_text(way: SiteWay) -> str:
    """A way in the words of a report."""
    if not way.callers:
        return f"{way.call}()"
    return f"call of {way.call}() {'by' if way.by else 'below'} {' or '.join(f'{name}()' for name in way.callers)}"


def _seen_by(way: SiteWay, code: MachineCode, copies: Mapping[str, Sequence[Copy]]) -> LocatedSite:
    own, inlined = code.named(way.call), copies.get(way.call, ())
    # A part is entered from the rest of its function, which is counted by itself.
    if inlined or any(not _PART.search(symbol.name) for symbol in own):
        own = [symbol for symbol in own if not _PART.search(symbol.name)]
    callers: tuple[Caller, ...] = ()
    if way.callers:
        spans = [span for name in way.callers for span in _spans(name, code, copies)]
        inlined = [copy for copy in inlined if _inside(copy.entry, spans)]
        if way.by:
            reached = code.reached(spans, [symbol.address for symbol in own])
            own = [symbol for symbol in own if symbol.address in reached]
        callers = tuple(caller for name in way.callers for caller in _callers(name, code, copies))
        own = own if callers else []
    returns = tuple(filter(None, (code.place(symbol.address) for symbol in own)))
    entries = tuple(dict.fromkeys(filter(None, (code.place(copy.entry) for copy in inlined))))
    failure = way.failure if returns else None
    return LocatedSite(name="", returns=returns, failure=failure, callers=callers, entries=entries[:MOST_ENTRIES])


def _spans(name: str, code: MachineCode, copies: Mapping[str, Sequence[Copy]]) -> list[tuple[int, int]]:
    return [*code.spans_of(name), *(span for copy in copies.get(name, ()) for span in copy.ranges)]


def _inside(address: int, spans: Spans) -> bool:
    return any(first <= address < end for first, end in spans)


def _callers(name: str, code: MachineCode, copies: Mapping[str, Sequence[Copy]]) -> Iterator[Caller]:
    if code.spans_of(name):
        yield Caller(symbol=name)
    for copy in copies.get(name, ()):
        for first, end in copy.ranges:
            symbol = code.around(first)
            if symbol and len(symbol.name) <= _LONGEST_NAME:
                yield Caller(symbol=symbol.name, first=first - symbol.address, end=end - symbol.address)


# --- changed functions -------------------------------------------------------------------------


def _changed(changed: Sequence[ChangedFunction], code: MachineCode) -> Iterator[LocatedFunction]:
    copies = _copies_of(changed, code.binary)
    names = [one.name or f"{one.file}:{one.first}" for one in changed]
    for one, name in zip(changed, names, strict=True):
        label = name if names.count(name) == 1 else f"{name} ({one.file})"
        found = LocatedFunction(label=label, file=one.file, first=one.first, last=one.last)
        own = copies.get(one, [])
        if not own:
            yield replace(found, why=_NO_CODE)
            continue
        entries = tuple(dict.fromkeys(filter(None, (code.place(copy.entry) for _, copy in own))))
        pieces = (code.place(start) for _, copy in own for start in starts(copy))
        yield replace(
            found,
            sources=tuple(dict.fromkeys(source for source, _ in own)),
            entries=tuple(dict.fromkeys((*entries, *filter(None, pieces))))[:MOST_ENTRIES],
            partly=len(entries) > MOST_ENTRIES or any(not code.place(copy.entry) for _, copy in own),
            why="" if entries else _REFUSED,
        )


def starts(copy: Copy) -> tuple[int, ...]:
    """Where code of this copy shows that it ran.

    gcc calls the lowest address of an inlined copy its entry. That may be the piece where it fails. A few bytes may be
    instructions that gcc has moved before the call, and that run without it.
    """
    if not copy.inlined:
        return (copy.entry,)
    return tuple(start for start, end in copy.ranges if start == copy.entry or end - start >= _PIECE_BYTES)


def _copies_of(changed: Sequence[ChangedFunction], binary: Binary) -> dict[ChangedFunction, list[tuple[str, Copy]]]:
    """All code of each function, with the source of the unit that it is in.

    By file and lines, not by name: a system call has another one in DWARF, what a macro makes has none in the source.
    """
    by_file: dict[str, list[ChangedFunction]] = {}
    for one in changed:
        by_file.setdefault(one.file, []).append(one)
    found: dict[ChangedFunction, list[tuple[str, Copy]]] = {}
    for unit in _units(by_file, binary):
        for copy in unit.copies(lambda place: _at(place, by_file) is not None):
            if changed_one := _at(copy.place, by_file):
                found.setdefault(changed_one, []).append((unit.source, copy))
    return found


def _units(by_file: Mapping[str, Sequence[ChangedFunction]], binary: Binary) -> Iterator[Unit]:
    """The units of the C files, and those that have a name of a header's functions in them."""
    names = {one.name for file, own in by_file.items() if file.endswith(".h") for one in own if one.name}
    return binary.units_naming(names, [file for file in by_file if not file.endswith(".h")]) if by_file else iter(())


def _at(place: Subprogram, by_file: Mapping[str, Sequence[ChangedFunction]]) -> ChangedFunction | None:
    return next((one for one in by_file.get(place.file, ()) if one.first <= place.line <= one.last), None)
