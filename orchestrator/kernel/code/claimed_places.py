# SPDX-License-Identifier: GPL-2.0-or-later
"""From the places of a claimed race to functions of the source, and from there to blocks of machine code (pure)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.kernel.code.c_functions import function_extents
from orchestrator.model.blocks import Block, CoverageMap
from orchestrator.model.claims import SIDES, ClaimedPlace, Place

# What SYSCALL_DEFINE makes of a name, and a stack shows; function_extents() has `sys_NAME`. Source: Linux 6.19,
# include/linux/syscalls.h and arch/*/include/asm/syscall_wrapper.h.
_SYSTEM_CALL = re.compile(r"^__(?:do|se|x64|arm64)_(?=sys_)")


def place_in(place: Place, texts: Mapping[str, str]) -> ClaimedPlace | str:
    """The place in these sources; a text that says why it is in none of them.

    A system call is found by the name in its SYSCALL_DEFINE, and by each name that a stack may have for it.
    """
    names = _names(place.function)
    found = [
        ClaimedPlace(place=place, name=one.name, file=file, first=one.first, last=one.last)
        for file, text in sorted(texts.items())
        if not place.file or file == place.file
        for one in function_extents(text)
        if one.name in names
    ]
    if not found:
        where = f"{place.file} has" if place.file else "no C file of this kernel has"
        return f"{where} {'no' if place.file else 'a'} function {place.function}()"
    if place.line:
        inside = [one for one in found if one.first <= place.line <= one.last]
        spans = " and ".join(f"{one.file}:{one.first}-{one.last}" for one in found)
        return inside[0] if inside else f"line {place.line} is not in {place.function}(), which is {spans}"
    if len({one.file for one in found}) > 1:
        files = ", ".join(dict.fromkeys(one.file for one in found))
        return f"{place.function}() is in several files: {files}; name one of them, as in {found[0].file}:{place.text}"
    return found[0]


def defines(text: str, function: str) -> bool:
    """Whether a source text has the function of a place."""
    names = _names(function)
    # Most texts have none of the words, and are not searched for functions.
    words = {name.removeprefix("sys_") for name in names}
    if not any(f"{word}(" in text or f"({word}" in text for word in words):
        return False
    return any(one.name in names for one in function_extents(text))


def _names(function: str) -> tuple[str, ...]:
    """What function_extents() may call it."""
    return function, f"sys_{function}", _SYSTEM_CALL.sub("", function)


def marked(found: CoverageMap, places: Sequence[ClaimedPlace]) -> CoverageMap:
    """Only the blocks at the places, each with the sides that it is of: two tasks in one function may race, too."""
    sides: dict[int, str] = {}
    for side, place in zip(SIDES, places, strict=True):
        for block in _blocks_at(place, found.blocks):
            sides[block.offset] = sides.get(block.offset, "") + side
    blocks = tuple(replace(block, site=sides[block.offset]) for block in found.blocks if block.offset in sides)
    claim = "|".join(place.place.text for place in places)
    return replace(found, blocks=blocks, claim=claim)


def _blocks_at(place: ClaimedPlace, blocks: Sequence[Block]) -> list[Block]:
    """Those that begin in the function; with a line, in each copy of it those that begin last up to that line."""
    own = [block for block in blocks if block.file == place.file and place.first <= block.line <= place.last]
    wanted = place.place.line
    if not wanted:
        return own
    last: dict[str, int] = {}
    for block in own:
        if block.line <= wanted:
            last[block.inside] = max(last.get(block.inside, 0), block.line)
    return [block for block in own if block.line == last.get(block.inside)]


def missing(found: CoverageMap, places: Sequence[ClaimedPlace]) -> str:
    """Why one of the places can't be counted in a kernel that was built; "" where both can."""
    for side, place in zip(SIDES, places, strict=True):
        own = [block for block in found.blocks if side in block.site]
        if not own:
            return f"{side}: {place.place.text}: this kernel has no code of it that can be counted"
        if all(block.quiet for block in own):
            return f"{side}: {place.place.text}: a delay there makes a correct kernel look wrong: a no-delay block"
    return ""
