# SPDX-License-Identifier: GPL-2.0-or-later
"""DWARF: which functions were inlined into a function, what the parameters of all of them are, and to what they point.

Source: the DWARF 5 standard, sections 3.3 and 4.1; elf.py opens the file and is the importer of pyelftools. Of a kernel
with CONFIG_DEBUG_INFO_REDUCED, which has neither the places of values nor the calls.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_INLINED, _BLOCK = "DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"
_PARAMETER, _VARIABLE = "DW_TAG_formal_parameter", "DW_TAG_variable"
_STRUCTS = ("DW_TAG_structure_type", "DW_TAG_union_type")
_TRANSPARENT = ("DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_typedef", "DW_TAG_restrict_type")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function."""

    name: str
    type: str  # the struct that it points to; "" for anything else


@dataclass(frozen=True, slots=True)
class Body:
    """The first instruction of a function, or of a copy that was inlined into one."""

    function: str
    host: str  # the function of the machine code in which it lies: itself, where it is no copy
    address: int
    parameters: tuple[Parameter, ...]
    around: tuple[str, ...] = ()  # inlined functions that this one was inlined into, outermost first
    copy: bool = False  # it was inlined


@dataclass(slots=True)
class Bodies:
    """The functions of one compiled source file.

    `entry` gives the first address of a DIE; None: it has no code.
    """

    entry: Callable[[Any], int | None]
    _declared: dict[int, tuple[str, tuple[Parameter, ...]]] = field(default_factory=dict)  # by the place of the DIE

    def of(self, die: Any) -> Iterator[Body]:
        """The function of a DIE, and the copies in it."""
        start = self.entry(die)
        if start is not None:
            host, parameters = self._declaration(die)
            yield Body(host, host, start, parameters)
            yield from self._inside(die, host, ())

    def _inside(self, die: Any, host: str, around: tuple[str, ...]) -> Iterator[Body]:
        for child in die.iter_children():
            if child.tag == _INLINED:
                name, parameters = self._declaration(child)
                start = self.entry(child)
                if start is not None:
                    yield Body(name, host, start, parameters, around, copy=True)
                if child.has_children:
                    yield from self._inside(child, host, (*around, name))
            elif child.tag == _BLOCK:
                yield from self._inside(child, host, around)

    def _declaration(self, die: Any) -> tuple[str, tuple[Parameter, ...]]:
        die = origin(die)
        if die.offset not in self._declared:
            children = (child for child in die.iter_children() if child.tag == _PARAMETER)
            parameters = tuple(Parameter(name_of(origin(child)), _pointed(child)) for child in children)
            self._declared[die.offset] = (name_of(die), parameters)
        return self._declared[die.offset]


def pointers_of(die: Any) -> dict[str, str]:
    """The parameters and variables of a function that point to a struct -> the struct; not those of inlined copies."""
    found = {}
    for child in die.iter_children():
        if child.tag in (_PARAMETER, _VARIABLE) and (struct := _pointed(child)):
            found[name_of(origin(child))] = struct
        elif child.tag == _BLOCK:
            found |= pointers_of(child)
    return found


def origin(die: Any) -> Any:
    """Where what is inlined or compiled was declared."""
    while "DW_AT_abstract_origin" in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_abstract_origin")
    return die


def name_of(die: Any) -> str:
    """ "" for what has none."""
    value = die.attributes["DW_AT_name"].value if "DW_AT_name" in die.attributes else b""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _pointed(die: Any) -> str:
    target = _type(origin(die))
    if target is None or target.tag != "DW_TAG_pointer_type":
        return ""
    target = _type(target)
    return name_of(target) if target is not None and target.tag in _STRUCTS else ""


def _type(die: Any) -> Any:
    """Without qualifiers; None for void."""
    while die is not None:
        die = die.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in die.attributes else None
        if die is None or die.tag not in _TRANSPARENT:
            return die
    return None
