# SPDX-License-Identifier: GPL-2.0-or-later
"""Where in a kernel's code something happens to the objects of a crash: found in the sandbox.

`python -m orchestrator.kernel.code.race_places REQUEST ANSWER` is the part inside; both are files of JSON. The types
come from the function that crashed; the places from its source file, from those of the changed functions, and from
those of the functions that the changed ones call to take or to put something.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.host.actions import Body
from orchestrator.host.deadline import Deadline
from orchestrator.host.elf import Binary, Symbol, Unit, open_binary
from orchestrator.host.sandbox import Mount
from orchestrator.kernel.code.calls import CALL_SITES
from orchestrator.kernel.code.dwarf_reader import VMLINUX, answered, value_of
from orchestrator.model.images import KernelImage
from orchestrator.model.race_points import PointKind, RacePoint, RacePoints, Role, role_of

_SECONDS = 600.0
# QEMU compares the address of each block that it runs with those of all points.
_POINTS_MOST = 160
# Reading one takes some seconds.
_PARTNERS_MOST = 3
_PAGE = 4096
_PARTNERS = (Role.TAKES, Role.PUTS, Role.KILLS, Role.FREES)
# Structs of which each task has its own, or that are everywhere: no two sides of a race meet in them. The last two
# lines are parts of other structs: what a crash is about is around them.
_NO_OBJECTS = frozenset((
    "task_struct", "pt_regs", "vm_fault", "callback_head", "list_head", "hlist_head", "bug_entry", "file", "cred",
    "filename", "seq_file", "mm_walk", "vm_area_struct", "mm_struct", "iov_iter", "kiocb", "scan_control",
    "refcount_struct", "kref", "lockref", "spinlock", "raw_spinlock", "qspinlock", "mutex", "rw_semaphore", "seqcount",
    "xarray", "xa_state", "xa_node", "rb_node", "rb_root", "llist_node", "completion", "wait_queue_head", "work_struct",
))  # fmt: skip
# x86: instructions of one byte. Behind the first byte of any other nobody begins to execute.
_ONE_BYTE = frozenset((*range(0x50, 0x60), *range(0x90, 0xA0), 0xC3, 0xC9, 0xCB, 0xCC, 0xCF, 0xF4, *range(0xF8, 0xFE)))


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceRequest:
    """What is looked for."""

    arch: str
    crashed: tuple[str, ...]  # functions of the stack, innermost first
    inlined: tuple[str, ...] = ()  # into the first of them, around the instruction that crashed
    changed: tuple[str, ...]  # functions of the series
    files: tuple[str, ...]  # their C files
    vmlinux: str = ""


_REQUEST = TypeAdapter(RaceRequest)
_ANSWER = TypeAdapter(RacePoints)


def race_points(image: KernelImage, request: RaceRequest, *, sandbox: bool) -> RacePoints:
    """Raises BadFile where the kernel's DWARF can't be read."""
    seen = VMLINUX if sandbox else image.vmlinux
    asked = _REQUEST.dump_json(replace(request, vmlinux=str(seen)))
    until = Deadline.after(_SECONDS, "the functions that touch the objects of the crash")
    found = answered(__name__, asked, mounts=(Mount(image.vmlinux, seen),), sandbox=sandbox, until=until)
    return value_of(_ANSWER, found)


def answer(request: Path, target: Path) -> None:
    """The part inside the sandbox."""
    asked = _REQUEST.validate_json(request.read_bytes())
    with open_binary(Path(asked.vmlinux), Path("/")) as binary:
        target.write_bytes(_ANSWER.dump_json(points_in(binary, asked)))


def points_in(binary: Binary, asked: RaceRequest) -> RacePoints:
    """What answer() writes, of a kernel that is open."""
    return _Search(binary, asked).points()


@dataclass(slots=True)
class _Search:
    binary: Binary
    asked: RaceRequest
    symbols: dict[str, Symbol] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)  # by source
    bodies: dict[str, list[Body]] = field(default_factory=dict)  # by the unit's source
    crashed_hosts: frozenset[str] = frozenset()  # functions of the source file that crashed

    def points(self) -> RacePoints:
        self.symbols = {symbol.name: symbol for symbol in self.binary.functions()}
        types = self._types()
        for name in self.asked.crashed[:1]:
            self._add(self._unit_of(name))
        self.crashed_hosts = frozenset(body.host for some in self.bodies.values() for body in some)
        for unit in self.binary.units_naming((), self.asked.files) if self.asked.files else ():
            self._add(unit)
        most = len(self.units) + _PARTNERS_MOST
        for name in self._partners():
            if len(self.units) < most:
                self._add(self._unit_of(name))
        bodies = [body for some in self.bodies.values() for body in some]
        points = list(_acting(bodies, types)) if types else []
        points += self._calls(bodies, points)
        if not points:
            points = list(_entries(bodies, {*self.asked.changed, *self.asked.crashed}))
        chosen = sorted(points, key=lambda point: self._rank(point))[:_POINTS_MOST]
        splits, whole = self._splits(chosen)
        return RacePoints(points=whole, types=types, splits=splits, left_out=len(points) - len(chosen))

    def _types(self) -> tuple[str, ...]:
        """The structs of the innermost function that works on any, copies inlined around the instruction first.

        The function with most code around a copy also has pointers to what the crash is not about.
        """
        for name in self.asked.crashed:
            unit = self._unit_of(name)
            pointers = unit.pointers() if unit else {}
            inlined = self.asked.inlined if name == self.asked.crashed[0] else ()
            for one in (*inlined, name.partition(".")[0]):
                if found := {*pointers.get(one, {}).values()} - _NO_OBJECTS:
                    return tuple(sorted(found))
        return ()

    def _unit_of(self, function: str) -> Unit | None:
        symbol = self.symbols.get(function)
        return self.binary.unit_at(symbol.address) if symbol else None

    def _add(self, unit: Unit | None) -> None:
        if unit and unit.source not in self.units:
            self.units[unit.source] = unit
            self.bodies[unit.source] = list(unit.bodies())

    def _partners(self) -> list[str]:
        """What most changed functions call to take or to put something: it may be in another file."""
        names = {symbol.address: name for name, symbol in self.symbols.items()}
        callers = Counter(
            names[target]
            for name in self.asked.changed
            if name in self.symbols
            for target in {target for _, target in self._sites(self.symbols[name])}
            if target in names and role_of(names[target]) in _PARTNERS
        )
        # What most of them call is what the series is about.
        enough = max(callers.values(), default=0) / 2
        found = (name for name in callers if callers[name] > enough)
        return sorted(found, key=lambda name: (_PARTNERS.index(role_of(name)), -callers[name], name))

    def _sites(self, symbol: Symbol) -> Iterator[tuple[int, int]]:
        code = self.binary.code(symbol.address, symbol.address + symbol.size)
        return CALL_SITES[self.asked.arch](code, symbol.address)

    def _calls(self, bodies: Sequence[Body], points: Sequence[RacePoint]) -> Iterator[RacePoint]:
        """Calls, in all units, of the functions that act themselves or by what was inlined into them."""
        acting: dict[str, RacePoint] = {}
        for point in points:
            if role_of(point.host) is not Role.USES:
                acting.setdefault(point.host, point)
        targets = {self.symbols[host].address: host for host in acting if host in self.symbols}
        hosts = dict.fromkeys(body.host for body in bodies if not body.copy)
        for host in hosts:
            for address, target in self._sites(self.symbols[host]) if host in self.symbols else ():
                if target in targets:
                    point = acting[targets[target]]
                    given = point if point.kind is PointKind.ENTRY else replace(point, names=(), typed=())
                    yield replace(
                        given, address=address, kind=PointKind.CALL, host=host,
                        function=targets[target], role=role_of(targets[target]),
                    )  # fmt: skip

    def _rank(self, point: RacePoint) -> tuple[bool, bool, int]:
        """What acts before what only uses; of each, first what crashed and what was changed."""
        near = point.host in self.asked.changed or point.host in self.crashed_hosts
        return point.role is Role.USES and point.kind is not PointKind.ENTRY, not near, point.address

    def _splits(self, points: Sequence[RacePoint]) -> tuple[tuple[int, ...], tuple[RacePoint, ...]]:
        """Where pages are split, and the points of which QEMU then tells."""
        inside = [point for point in points if point.kind is not PointKind.ENTRY]
        splits: dict[int, int] = {}
        for point in inside:
            page = point.address // _PAGE
            if page not in splits and (split := self._behind_first_byte(point.address)):
                splits[page] = split
        kept = (point for point in points if point.kind is PointKind.ENTRY or point.address // _PAGE in splits)
        return tuple(sorted(splits.values())), tuple(sorted(kept, key=lambda point: point.address))

    def _behind_first_byte(self, address: int) -> int | None:
        code = self.binary.code(address, address + 1)
        if not code or (self.asked.arch == "x86_64" and code[0] in _ONE_BYTE):
            return None
        return address + 1


def _acting(bodies: Sequence[Body], types: Sequence[str]) -> Iterator[RacePoint]:
    """The bodies that are given an object: functions, and the outermost of the copies that do more than use it."""
    given = {body.function for body in bodies if any(parameter.type in types for parameter in body.parameters)}
    for body in bodies:
        role, copy = role_of(body.function), body.copy
        inner = any(outer in given and role_of(outer) is role for outer in body.around)
        if body.function not in given or (copy and (role is Role.USES or inner)):
            continue
        typed = tuple(at for at, parameter in enumerate(body.parameters) if parameter.type in types)
        yield RacePoint(
            address=body.address,
            kind=PointKind.COPY if copy else PointKind.ENTRY,
            function=body.function,
            host=body.host,
            role=role,
            names=tuple(parameter.name for parameter in body.parameters),
            typed=typed,
        )


def _entries(bodies: Sequence[Body], names: set[str]) -> Iterator[RacePoint]:
    for body in bodies:
        if not body.copy and body.function in names:
            parameters = tuple(parameter.name for parameter in body.parameters)
            yield RacePoint(
                address=body.address, kind=PointKind.ENTRY, function=body.function, host=body.host,
                role=role_of(body.function), names=parameters,
            )  # fmt: skip


if __name__ == "__main__":
    answer(Path(sys.argv[1]), Path(sys.argv[2]))
