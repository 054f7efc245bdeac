# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions in a C source text, found by the kernel's coding style: a body's braces stand in column 0 (pure)."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# `static inline void f(void) { }`: a whole function on one line.
_ONE_LINE = re.compile(r"^[A-Za-z_].*\).*\{.*\}\s*$")
# `static inline int f(int x) {`: headers that user space shares are written in that way, too.
_OPENED_BEHIND = re.compile(r"^[A-Za-z_].*\)[^;={}]*\{\s*$")
# Where the lines above a body no longer belong to its head.
_NOT_HEAD = re.compile(r"^\s*$|[;}]\s*$|\*/\s*$")
_COMMENT = re.compile(r"/\*.*?\*/")
_NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")
# SYSCALL_DEFINE2(swapon, ...) and its like: the name is what they are given.
_DEFINED = re.compile(r"(?:COMPAT_)?SYSCALL_DEFINE\d\s*\(\s*(\w+)")
_MADE = re.compile(r"^\s*(?:(?:NOTRACE_)?BPF_CALL_\d|DEFINE_IDTENTRY\w*)\s*\(\s*(\w+)")
_ATTRIBUTES = frozenset({"__attribute__", "__acquires", "__releases", "__must_hold", "__aligned", "__section"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """A function's lines, from the first of its head to the closing brace, counted from 1."""

    name: str
    first: int
    last: int


def function_extents(text: str) -> Iterator[Extent]:
    """The functions in order.

    A body opens with a `{` alone in column 0 or behind a `)`, and closes with a `}` in column 0. An initialiser closes
    with `};`, a struct opens behind its name: neither is one. What `#if` leaves out is listed too; DWARF has no lines
    of it.
    """
    # Compilers and git count by \n alone; some files have a form feed in them.
    lines = text.split("\n")
    opened = head_end = 0
    for number, line in enumerate(lines, start=1):
        if opened:
            if line.startswith("}"):
                if line.rstrip() == "}":
                    yield _extent(lines, opened, head_end, number)
                opened = 0
        elif line.rstrip() == "{":
            opened, head_end = number, number - 1
        elif _ONE_LINE.match(line):
            yield _extent(lines, number, number, number)
        elif _OPENED_BEHIND.match(line):
            opened = head_end = number


def extents_at(numbers: Iterable[int], text: str) -> list[Extent]:
    """For each line that a compiler calls a function's own: the lines of that function.

    One that a macro makes (`DEFINE_SHOW_ATTRIBUTE(swaps);`) is as long as the call of the macro.
    """
    known, lines = list(function_extents(text)), text.split("\n")
    ends = [one.last for one in known]
    found = []
    for number in numbers:
        at = bisect_left(ends, number)
        inside = at < len(known) and known[at].first <= number
        found.append(known[at] if inside else Extent(name="", first=number, last=_call_end(lines, number)))
    return found


def _call_end(lines: Sequence[str], first: int) -> int:
    depth = 0
    for number, line in enumerate(lines[first - 1 :], start=first):
        depth += line.count("(") - line.count(")")
        if depth <= 0:
            return number
    return first


def _extent(lines: Sequence[str], body: int, head_end: int, last: int) -> Extent:
    first = _head(lines, body)
    return Extent(name=_name(lines[first - 1 : head_end]), first=first, last=last)


def _head(lines: Sequence[str], body: int) -> int:
    """The line number of the first line of the head whose body opens at line number `body`."""
    first = body
    # Some heads have an empty line behind them.
    while first > 1 and lines[body - 1].rstrip() == "{" and not lines[first - 2].strip():
        first -= 1
    # Those of which #ifdef has several are one: up to the line before all of them.
    several = first > 1 and lines[first - 2].startswith("#endif")
    end = first
    while first > 1 and not _ends_head(lines, first - 2, several=several):
        first -= 1
    return first if first < end else body


def _ends_head(lines: Sequence[str], at: int, *, several: bool) -> bool:
    """Whether the line at this index is no part of the head below it.

    Code with a comment behind it is one, a comment alone is not, and neither is the last line of a directive.
    """
    directive = lines[at].startswith("#") or (at > 0 and lines[at - 1].endswith("\\"))
    return bool(_NOT_HEAD.search(_COMMENT.sub("", lines[at]))) or (directive and not several)


def _name(head: Sequence[str]) -> str:
    text = " ".join(head)
    if defined := _DEFINED.search(text):
        return f"sys_{defined[1]}"
    if made := _MADE.search(text):
        return made[1]
    return next((name for name in _NAME.findall(text) if name not in _ATTRIBUTES), "")
