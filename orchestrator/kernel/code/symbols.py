# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of a stack -> addresses -> file and line, inlined calls included, from the vmlinux that ran."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.paths import scratch_folder
from orchestrator.host.process import check
from orchestrator.host.sandbox import Sandbox, confined_argv
from orchestrator.kernel.code.symboliser import places_in, symboliser_argv
from orchestrator.model.arch import Arch
from orchestrator.model.stacks import SourceLine, StackFrame

TOOL_SECONDS = 120.0
# Every kernel has this function in this file, so its path tells where the source tree was when it was compiled.
LANDMARK = "start_kernel"
LANDMARK_FILE = "init/main.c"

# Undefined, absolute and debugging symbols are no places in memory.
_NO_PLACE = "AaUNnwv?"
_SYMBOL = re.compile(r"^([0-9a-f]+) (\S) (\S+)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class SymbolTable:
    """Where each function of a vmlinux begins."""

    addresses: Mapping[str, Sequence[int]]  # two static functions may have one name
    starts: frozenset[int]  # of every symbol

    def address(self, frame: StackFrame) -> int | None:
        """The address that a frame stands for, or None where that is not certain.

        The kernel takes for a function's size the way to the next symbol. That tells functions of one name apart, and a
        frame of another kernel from one of this.
        """
        if frame.module:
            return None
        found = self.addresses.get(frame.function, ())
        if frame.size:
            found = [start for start in found if start + frame.size in self.starts]
        if len(found) != 1:
            return None
        # A call returns to what follows it, which may be another line, or after a call without return another function.
        return found[0] + frame.offset - (0 if frame.exact or not frame.offset else 1)


def symbol_table(listing: str) -> SymbolTable:
    """The table in what nm prints."""
    addresses: dict[str, list[int]] = defaultdict(list)
    starts = set()
    for line in listing.splitlines():
        if (symbol := _SYMBOL.match(line)) and symbol[2] not in _NO_PLACE:
            start = int(symbol[1], 16)
            starts.add(start)
            if start not in addresses[symbol[3]]:
                addresses[symbol[3]].append(start)
    return SymbolTable(addresses=addresses, starts=frozenset(starts))


@dataclass(slots=True)
class Symbols:
    """One vmlinux and the tools that read it. Not for several threads at once.

    The vmlinux was made by a series' own makefiles, so the tools read it inside the sandbox, as they build in it.
    """

    vmlinux: Path
    arch: Arch
    sandbox: bool
    _table: SymbolTable | None = None
    _root: str = ""
    _known: dict[int, tuple[SourceLine, ...]] = field(default_factory=dict)

    def places(self, frames: Iterable[StackFrame]) -> dict[StackFrame, tuple[SourceLine, ...]]:
        """The places of the frames of which something is known; files relative to the source tree.

        One process for all frames that were not asked for before. Raises InfraError when a tool fails or the vmlinux
        has gone, Cancelled on an interrupt.
        """
        until = Deadline.after(TOOL_SECONDS, f"the symbols of {self.vmlinux.name}")
        table = self._load(until)
        wanted = {frame: address for frame in frames if (address := table.address(frame)) is not None}
        self._look_up(set(wanted.values()), table.addresses[LANDMARK][0], until)
        return {frame: self._known[address] for frame, address in wanted.items() if self._known.get(address)}

    def lines(self, addresses: Iterable[int]) -> dict[int, tuple[SourceLine, ...]]:
        """The places of the instructions that have some, innermost first. Raises as places() does."""
        until = Deadline.after(TOOL_SECONDS, f"the symbols of {self.vmlinux.name}")
        table, wanted = self._load(until), set(addresses)
        self._look_up(wanted, table.addresses[LANDMARK][0], until)
        return {address: self._known[address] for address in wanted if self._known.get(address)}

    def address(self, frame: StackFrame) -> int | None:
        """Where a frame is in memory, or None where that is not certain. Raises as places() does."""
        return self._load(Deadline.after(TOOL_SECONDS, f"the symbols of {self.vmlinux.name}")).address(frame)

    def starts_of(self, function: str) -> tuple[int, ...]:
        """Where functions of this name begin; none where the kernel has none. Raises as places() does."""
        table = self._load(Deadline.after(TOOL_SECONDS, f"the symbols of {self.vmlinux.name}"))
        return tuple(table.addresses.get(function, ()))

    def _load(self, until: Deadline) -> SymbolTable:
        if self._table is None:
            if not self.vmlinux.is_file():
                raise InfraError(f"{self.vmlinux} is gone", hint="patchrig run ...  # builds it again")
            table = symbol_table(self._run([f"{self.arch.compiler_prefix}nm", str(self.vmlinux)], until))
            if LANDMARK not in table.addresses:
                raise InfraError(f"{self.vmlinux} has no symbol {LANDMARK}")
            self._table = table
        return self._table

    def _look_up(self, wanted: Set[int], landmark: int, until: Deadline) -> None:
        unknown = sorted((wanted | {landmark}) - self._known.keys())
        if not unknown:
            return
        output = self._run(symboliser_argv(self.vmlinux, unknown), until)
        if landmark in unknown:
            self._root = source_root(places_in(output).get(landmark, ()))
        self._known |= dict.fromkeys(unknown, ()) | places_in(output, self._root)

    def _run(self, argv: Sequence[str], until: Deadline) -> str:
        argv = confined_argv(argv, Sandbox(readable=(self.vmlinux,)), sandbox=self.sandbox)
        with scratch_folder() as scratch:
            return check(argv, log=Path(scratch) / "log", until=until)


def source_root(landmark: Sequence[SourceLine]) -> str:
    """What stands before the path of a file of the source tree. Raises InfraError where there is no DWARF."""
    for place in landmark:
        if place.file == LANDMARK_FILE or place.file.endswith(f"/{LANDMARK_FILE}"):
            return place.file.removesuffix(LANDMARK_FILE)
    raise InfraError(f"the kernel has no debug information: {LANDMARK}() has no line in {LANDMARK_FILE}")
