# SPDX-License-Identifier: GPL-2.0-or-later
"""What an object file brings into a kernel: its code and data, without debug information and local names (pure).

Source: the System V ABI, chapter 4 (object files).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MAGIC, _ELF64, _RELOCATABLE = b"\x7fELF", 2, 1
_RELA, _NOBITS, _REL, _GROUP, _XINDEX = 4, 8, 9, 17, 18
_LINK_ORDER = 0x80
_FUNCTION = 2
_RESERVED = 0xFF00
_TABLES = (".symtab", ".strtab", ".shstrtab", ".comment")
_DEBUG = (".debug_", ".rela.debug_")


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int

    @property
    def counts(self) -> bool:
        return self.name not in _TABLES and not self.name.startswith(_DEBUG)


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    info: int
    other: int
    section: int
    value: int
    size: int

    @property
    def local(self) -> bool:
        return self.info >> 4 == 0


def object_code(content: bytes) -> str | None:
    """Text that two objects have in common only if a kernel that is linked with either of them is the same.

    None for what is no object, or has something that is not understood here.
    """
    try:
        return "\n".join(_Object(content).lines())
    except (_Strange, struct.error, IndexError, ValueError):
        return None


class _Strange(Exception):
    """It is not understood here."""


class _Object:
    def __init__(self, content: bytes) -> None:
        if content[:4] != _MAGIC or content[4] != _ELF64:
            raise _Strange
        self._content = content
        self._order = "<" if content[5] == 1 else ">"
        (kind,) = self._unpacked("H", 16)
        (start,) = self._unpacked("Q", 0x28)
        entry, count, names = self._unpacked("HHH", 0x3A)
        # With more sections than that the numbers stand elsewhere.
        if kind != _RELOCATABLE or entry != 64 or not 0 < count < _RESERVED:
            raise _Strange
        headers = [self._unpacked("IIQQQQIIQQ", start + 64 * at) for at in range(count)]
        text = self._bytes(headers[names][4], headers[names][5])
        self._sections = [
            _Section(_string(text, one[0]), one[1], one[2], one[4], one[5], one[6], one[7], one[8], one[9])
            for one in headers
        ]
        self._symbols = self._read_symbols()

    def lines(self) -> Iterator[str]:
        for at, section in enumerate(self._sections):
            if section.counts:
                yield from self._section(at, section)
        # Local data has numbers in its names that say nothing; functions are called by their names in many places.
        kept = [one for one in self._symbols if not one.local or one.info & 0xF == _FUNCTION]
        yield from sorted(
            repr((one.name, one.info, one.other, self._place(one.section), one.value, one.size)) for one in kept
        )

    def _section(self, at: int, section: _Section) -> Iterator[str]:
        if section.type in (_REL, _XINDEX):
            raise _Strange
        after = self._name(section.link) if section.flags & _LINK_ORDER else ""
        # sh_flags of relocations say no more than that there is a section in sh_info.
        yield repr((self._name(at), section.type, section.flags, section.align, section.entry, after))
        if section.type == _RELA:
            yield self._name(section.info)
            for offset, info, addend in self._entries("QQq", section):
                yield repr((offset, info & 0xFFFFFFFF, addend, self._target(self._symbols[info >> 32])))
        elif section.type == _NOBITS:
            yield str(section.size)
        else:
            yield self._bytes(section.offset, section.size).hex()
        if section.type == _GROUP:
            yield self._symbols[section.info].name

    def _target(self, symbol: _Symbol) -> tuple[object, ...]:
        return (self._place(symbol.section), symbol.value) if symbol.local else (symbol.name,)

    def _place(self, section: int) -> str:
        return self._name(section) if 0 < section < _RESERVED else f"({section})"

    def _name(self, section: int) -> str:
        """With its number among those that count: several may have one name."""
        return f"{sum(one.counts for one in self._sections[:section])} {self._sections[section].name}"

    def _read_symbols(self) -> list[_Symbol]:
        tables = [one for one in self._sections if one.name == ".symtab"]
        if len(tables) != 1:
            raise _Strange
        names = self._sections[tables[0].link]
        text = self._bytes(names.offset, names.size)
        found = [_Symbol(_string(text, name), *rest) for name, *rest in self._entries("IBBHQQ", tables[0])]
        if any(one.section == 0xFFFF for one in found):
            raise _Strange
        return found

    def _entries(self, form: str, section: _Section) -> Iterator[Sequence[int]]:
        return struct.iter_unpack(self._order + form, self._bytes(section.offset, section.size))

    def _bytes(self, offset: int, size: int) -> bytes:
        if offset + size > len(self._content):
            raise _Strange
        return self._content[offset : offset + size]

    def _unpacked(self, form: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + form, self._content, offset)


def _string(table: bytes, at: int) -> str:
    return table[at : table.index(b"\0", at)].decode()
