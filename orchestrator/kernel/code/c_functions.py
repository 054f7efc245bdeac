# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions in a C source text, found by the kernel's coding style: a body's braces stand in column 0 (pure)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# `static inline void f(void) { }`: a whole function on one line.
_ONE_LINE = re.compile(r"^[A-Za-z_].*\).*\{.*\}\s*$")
# Where the lines above a body no longer belong to its head.
_NOT_HEAD = re.compile(r"^\s*$|^#|[;}]\s*$|\*/\s*$")
_NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")
# SYSCALL_DEFINE2(swapon, ...) and its like: the name is what they are given.
_DEFINED = re.compile(r"(?:COMPAT_)?SYSCALL_DEFINE\d\s*\(\s*(\w+)")
_ATTRIBUTES = frozenset({"__attribute__", "__acquires", "__releases", "__must_hold", "__aligned", "__section"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """A function's lines, from the first of its head to the closing brace, counted from 1."""

    name: str
    first: int
    last: int


def function_extents(text: str) -> Iterator[Extent]:
    """The functions in order.

    A body opens with a `{` alone in column 0 and closes with a `}` there. An initialiser closes with `};`, a struct
    opens at the end of a line: neither is one. What `#if` leaves out is listed too; DWARF has no lines of it.
    """
    lines = text.splitlines()
    opened = 0
    for number, line in enumerate(lines, start=1):
        if opened:
            if line.startswith("}"):
                if line.rstrip() == "}":
                    first = _head(lines, opened)
                    yield Extent(name=_name(lines[first - 1 : opened - 1]), first=first, last=number)
                opened = 0
        elif line.rstrip() == "{":
            opened = number
        elif _ONE_LINE.match(line):
            first = _head(lines, number)
            yield Extent(name=_name(lines[first - 1 : number]), first=first, last=number)


def _head(lines: Sequence[str], body: int) -> int:
    """The line number of the first line of the head whose body opens at line number `body`."""
    first = body
    while first > 1 and not _NOT_HEAD.search(lines[first - 2]):
        first -= 1
    return first


def _name(head: Sequence[str]) -> str:
    text = " ".join(head)
    if defined := _DEFINED.search(text):
        return f"sys_{defined[1]}"
    return next((name for name in _NAME.findall(text) if name not in _ATTRIBUTES), "")
