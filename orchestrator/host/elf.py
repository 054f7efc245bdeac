# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF and DWARF: what a program needs, and which functions of which sources are in it.

The one importer of pyelftools. Source: the DWARF 5 standard, sections 2.17, 3.3.8 and 6.2.
"""

import struct
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path, PurePosixPath
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import InterpSegment

from orchestrator.host.actions import Bodies, Body, name_of, pointers_of
from orchestrator.host.errors import InfraError


@dataclass(frozen=True, slots=True)
class Subprogram:
    """A function of the source: where it is declared tells those of one name apart."""

    name: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the machine code, with the functions that were inlined into it."""

    place: Subprogram
    inlined: frozenset[Subprogram]
    ranges: tuple[tuple[int, int], ...]  # it may lie in several parts


@dataclass(frozen=True, slots=True)
class Copy:
    """Machine code of a function of the source: its own, or what was inlined into another one."""

    place: Subprogram
    entry: int  # where it is entered
    ranges: tuple[tuple[int, int], ...]
    inlined: bool


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function of the machine code, as the symbol table has it."""

    name: str
    address: int
    size: int


def needed_libraries(path: Path) -> list[str]:
    """The shared libraries and the loader that a program asks for; none for what is no ELF file."""
    with path.open("rb") as file:
        try:
            elf = ELFFile(file)
        except ELFError:
            return []
        dynamic = (section for section in elf.iter_sections() if isinstance(section, DynamicSection))
        # pyelftools gives a DT_NEEDED tag the attribute, its type does not say so.
        names = [str(vars(tag)["needed"]) for section in dynamic for tag in section.iter_tags("DT_NEEDED")]
        segments = (segment for segment in elf.iter_segments() if isinstance(segment, InterpSegment))
        return names + [Path(segment.get_interp_name()).name for segment in segments]


@contextmanager
def open_binary(path: Path, root: Path) -> Iterator["Binary"]:
    """A linked program with debug information, for the length of the block; sources below `root` are named from there.

    Raises InfraError for a file that is none.
    """
    with path.open("rb") as file:
        try:
            elf = ELFFile(file)
        except ELFError as error:
            raise InfraError(f"{path} is no ELF file: {error}") from error
        if not elf.has_dwarf_info():
            raise InfraError(f"{path} has no debug information", hint="CONFIG_DEBUG_INFO_DWARF5=y")
        yield Binary(elf, root)


class Binary:
    """An open program."""

    def __init__(self, elf: Any, root: Path) -> None:
        self._elf = elf
        self._root = str(root)
        self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)

    def units(self) -> Iterator["Unit"]:
        """Each compiled source file, in the order of the link."""
        for unit in self._dwarf.iter_CUs():
            if unit.get_top_DIE().tag == "DW_TAG_compile_unit":
                yield Unit(self._dwarf, unit, self._root)

    def symbols(self, *names: str) -> dict[str, int]:
        """The addresses of those of the symbols that there are."""
        return {symbol.name: symbol.address for symbol, _ in self._symbols() if symbol.name in names}

    def functions(self) -> list[Symbol]:
        """The functions of the symbol table, by address."""
        found = [symbol for symbol, kind in self._symbols() if kind == _FUNCTION and symbol.address]
        return sorted(found, key=lambda symbol: symbol.address)

    def _symbols(self) -> Iterator[tuple[Symbol, int]]:
        # Read as a whole: pyelftools takes seconds for one after the other.
        for table in self._elf.iter_sections():
            if isinstance(table, SymbolTableSection):
                names = self._elf.get_section(table["sh_link"]).data()
                for name, info, _, _, address, size in _SYMBOL.iter_unpack(table.data()):
                    yield Symbol(_string(names, name), address, size), info & 0xF

    def code(self, start: int, end: int) -> bytes:
        """The bytes between two addresses; b"" where the file has none."""
        for section in self._elf.iter_sections():
            at = start - section["sh_addr"]
            if section["sh_type"] == "SHT_PROGBITS" and section["sh_addr"] and 0 <= at < section["sh_size"]:
                self._elf.stream.seek(section["sh_offset"] + at)
                return bytes(self._elf.stream.read(min(end - start, section["sh_size"] - at)))
        return b""

    def units_naming(self, names: Collection[str], files: Collection[str] = ()) -> Iterator["Unit"]:
        """The units that may mention one of the names, and those of the source files, given below the root.

        Each that does is among them. A name is a 4-byte offset into the strings, so it is searched for as such:
        pyelftools takes minutes to parse all units.
        """
        info = self._dwarf.debug_info_sec.stream.getvalue()
        mentions = sorted(hit for name in names for hit in self._mentions(info, name, whole=False))
        own = sorted(hit for file in files for hit in self._mentions(info, file, whole=True))
        # Clang numbers its strings: each unit may have any.
        every = self._dwarf.debug_str_offsets_sec is not None
        for unit in self._dwarf.iter_CUs():
            end = unit.cu_offset + unit.size
            first, last = (unit.cu_offset + at for at in _OWN_NAME)
            named = _between(mentions, unit.cu_offset, end) or _between(own, first, last)
            if (named or every) and unit.get_top_DIE().tag == "DW_TAG_compile_unit":
                yield Unit(self._dwarf, unit, self._root)

    def unit_at(self, address: int) -> "Unit | None":
        """The unit that has the code at an address, by .debug_aranges."""
        table = self._dwarf.get_aranges()
        offset = table.cu_offset_at_addr(address) if table else None
        return Unit(self._dwarf, self._dwarf.get_CU_at(offset), self._root) if offset is not None else None

    def _mentions(self, info: bytes, text: str, *, whole: bool) -> Iterator[int]:
        """Where an offset of the text stands; `whole`: of the path that it is the end of."""
        if not whole and len(text) < _OFFSET:
            # GCC puts what is shorter than an offset in the place of one.
            yield from _places_of(info, text.encode() + b"\0")
        for section in (self._dwarf.debug_str_sec, self._dwarf.debug_line_str_sec if whole else None):
            strings = section.stream.getvalue() if section else b""
            for at in _places_of(strings, text.encode("utf-8", "surrogateescape") + b"\0"):
                offset = strings.rfind(b"\0", 0, at) + 1 if whole else at
                yield from _places_of(info, struct.pack("<I", offset))


class Unit:
    """One compiled source file."""

    def __init__(self, dwarf: Any, unit: Any, root: str) -> None:
        self._dwarf = dwarf
        self._unit = unit
        self._root = root
        self._top = unit.get_top_DIE()
        self._folder = _text(self._top, "DW_AT_comp_dir")
        self._program = dwarf.line_program_for_CU(unit)
        self._names: dict[int, str] = {}
        self._places: dict[int, Subprogram] = {}

    @property
    def source(self) -> str:
        return self._from_root(_text(self._top, "DW_AT_name"))

    def files(self) -> set[str]:
        """The source files that its instructions may come from."""
        return {self._file(number) for number in range(len(self._program["file_entry"]))} if self._program else set()

    def lines(self, file: str) -> set[int]:
        """The lines of a file that this unit has instructions of, calls of inlined functions not included."""
        found, before = set(), None
        for entry in self._program.get_entries() if self._program else ():
            state = entry.state
            if state is None:
                continue
            if before is not None and state.address > before.address and self._file(before.file) == file:
                found.add(int(before.line))
            before = None if state.end_sequence else state
        return found

    def places(self) -> Iterator[Subprogram]:
        """Each function that it has instructions of, inlined or not."""
        seen = set[Subprogram]()
        for die in self._subprograms():
            for place in (self._place(die), *self._inlined(die)):
                if place not in seen:
                    seen.add(place)
                    yield place

    def functions(self, wanted: Callable[[Subprogram, frozenset[Subprogram]], bool]) -> Iterator[Function]:
        """The functions of the machine code that `wanted` chooses by their place and by what was inlined."""
        for die in self._subprograms():
            place, inlined = self._place(die), frozenset(self._inlined(die))
            if wanted(place, inlined):
                yield Function(place=place, inlined=inlined, ranges=self._ranges(die))

    def bodies(self) -> Iterator[Body]:
        """Each function of the machine code, followed by the copies that were inlined into it."""
        bodies = Bodies(self._start)
        for die in self._subprograms():
            yield from bodies.of(die)

    def pointers(self) -> dict[str, dict[str, str]]:
        """Function, inlined ones included -> its parameters and variables that point to a struct -> the struct."""
        dies = (die for die in self._top.iter_children() if die.tag == "DW_TAG_subprogram")
        return {name: pointers_of(die) for die in dies if (name := name_of(die))}

    def _start(self, die: Any) -> int | None:
        ranges = self._ranges(die)
        return self._entry(die.attributes.get("DW_AT_entry_pc"), ranges[0][0]) if ranges else None

    def copies(self, wanted: Callable[[Subprogram], bool]) -> Iterator[Copy]:
        """All machine code of the functions that `wanted` chooses, own and inlined.

        An inlined copy refers to its function by the 4-byte offset of that: only what has these bytes is parsed.
        """
        tops = [die for die in self._top.iter_children() if die.tag == "DW_TAG_subprogram"]
        chosen = {die.offset for die in tops if wanted(self._place(die))}
        if not chosen:
            return
        start = self._unit.cu_offset
        self._dwarf.debug_info_sec.stream.seek(start)
        content = self._dwarf.debug_info_sec.stream.read(self._unit.size)
        hits = sorted(hit for offset in chosen for hit in _places_of(content, struct.pack("<I", offset - start)))
        for at, die in enumerate(tops):
            end = tops[at + 1].offset - start if at + 1 < len(tops) else len(content)
            if ranges := self._ranges(die):
                if die.offset in chosen:
                    yield Copy(self._place(die), ranges[0][0], ranges, inlined=False)
                if _between(hits, die.offset - start, end):
                    yield from self._inlined_copies(die, wanted)

    def _inlined_copies(self, die: Any, wanted: Callable[[Subprogram], bool]) -> Iterator[Copy]:
        for child in die.iter_children():
            # One without ranges left no instruction behind.
            ranges = self._ranges(child) if child.tag == "DW_TAG_inlined_subroutine" else ()
            if ranges and wanted(place := self._place(child)):
                entry = child.attributes.get("DW_AT_entry_pc")
                yield Copy(place, self._entry(entry, ranges[0][0]), ranges, inlined=True)
            if child.tag in ("DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"):
                yield from self._inlined_copies(child, wanted)

    def _entry(self, entry: Any, low: int) -> int:
        if entry is None:
            return low
        # DWARF 5, 2.18: an address, or an offset from the low one.
        return int(entry.value) if entry.form in ("DW_FORM_addr", "DW_FORM_addrx") else low + int(entry.value)

    def _subprograms(self) -> Iterator[Any]:
        for die in self._top.iter_children():
            if die.tag == "DW_TAG_subprogram" and self._ranges(die):
                yield die

    def _inlined(self, die: Any) -> Iterator[Subprogram]:
        for child in die.iter_children():
            if child.tag == "DW_TAG_inlined_subroutine":
                yield self._place(child)
            if child.tag in ("DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"):
                yield from self._inlined(child)

    def _place(self, die: Any) -> Subprogram:
        while "DW_AT_abstract_origin" in die.attributes:
            die = die.get_DIE_from_attribute("DW_AT_abstract_origin")
        if die.offset not in self._places:
            file, line = _number(die, "DW_AT_decl_file"), _number(die, "DW_AT_decl_line")
            self._places[die.offset] = Subprogram(name=_text(die, "DW_AT_name"), file=self._file(file), line=line)
        return self._places[die.offset]

    def _ranges(self, die: Any) -> tuple[tuple[int, int], ...]:
        if "DW_AT_ranges" in die.attributes:
            return self._listed_ranges(die)
        if "DW_AT_low_pc" not in die.attributes or "DW_AT_high_pc" not in die.attributes:
            return ()
        start, high = int(die.attributes["DW_AT_low_pc"].value), die.attributes["DW_AT_high_pc"]
        end = int(high.value) if high.form == "DW_FORM_addr" else start + int(high.value)
        return ((start, end),) if end > start else ()

    def _listed_ranges(self, die: Any) -> tuple[tuple[int, int], ...]:
        lists = self._dwarf.range_lists()
        base = _number(self._top, "DW_AT_low_pc")
        found = []
        for entry in lists.get_range_list_at_offset(die.attributes["DW_AT_ranges"].value, cu=self._unit):
            if isinstance(entry, BaseAddressEntry):
                base = entry.base_address
            else:
                shift = 0 if entry.is_absolute else base
                found.append((entry.begin_offset + shift, entry.end_offset + shift))
        return tuple((start, end) for start, end in found if end > start)

    def _file(self, number: int) -> str:
        if number not in self._names:
            entries = self._program["file_entry"]
            # Before DWARF 5 both tables count from 1, and folder 0 is where the compiler ran.
            old = self._program["version"] < 5
            if not 0 <= number - old < len(entries):
                return ""
            entry = entries[number - old]
            folders = [_bytes(folder) for folder in self._program["include_directory"]]
            folder = "" if old and not entry.dir_index else folders[entry.dir_index - old]
            self._names[number] = self._from_root(str(PurePosixPath(folder) / _bytes(entry.name)))
        return self._names[number]

    def _from_root(self, path: str) -> str:
        whole = normpath(PurePosixPath(self._folder) / path)
        return whole.removeprefix(f"{self._root}/")


# Where a unit's own name is: behind a header of 11 or 12 bytes, an abbreviation, the producer and the language.
_OWN_NAME = (12, 32)
_OFFSET = 4
# Elf64_Sym, little-endian.
_SYMBOL = struct.Struct("<IBBHQQ")
_FUNCTION = 2


def _string(strings: bytes, at: int) -> str:
    return strings[at : strings.index(b"\0", at)].decode("utf-8", "surrogateescape")


def _places_of(content: bytes, pattern: bytes) -> Iterator[int]:
    at = content.find(pattern)
    while at >= 0:
        yield at
        at = content.find(pattern, at + 1)


def _between(places: Sequence[int], first: int, end: int) -> bool:
    at = bisect_right(places, first)
    return at < len(places) and places[at] < end


def _text(die: Any, name: str) -> str:
    return _bytes(die.attributes[name].value) if name in die.attributes else ""


def _number(die: Any, name: str) -> int:
    return int(die.attributes[name].value) if name in die.attributes else 0


def _bytes(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
