# SPDX-License-Identifier: GPL-2.0-or-later
"""Which shared state a C function reads or writes, by its words: members, flags, globals, what helpers work on (pure).

No parser: whatever stands in a file, a function has words. Two functions that work on the same state use the same words
for it, and a word that many functions use tells little.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.kernel.code.c_functions import Extent, function_extents


class State(NamedTuple):
    """Something that several functions may work on."""

    kind: str  # "member", "flag", "global", "call", "helper"
    name: str  # "swap_info_struct.flags", ".flags" of any struct; of helpers what they work on: "swapcache"


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What the source texts define outside of functions."""

    variables: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()


Touched = Mapping[State, bool]
"""What a function works on, and whether it writes it."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function of the source and the state that it works on."""

    file: str
    name: str
    lines: int
    touched: Touched


NOTHING_KNOWN = Names()
_NO_CODE = re.compile(r"/\*.*?(?:\*/|\Z)|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
_TYPED = re.compile(r"\bstruct\s+(\w+)\s*\*+\s*(?:const\s+)?(\w+)")
_MEMBER = re.compile(r"(?:\b(\w+)|[\])])\s*(?:->|\.)\s*([a-z_]\w*)\b(?!\s*\()")
_CALL = re.compile(r"\b([a-z_]\w*)\s*\(")
_FLAG = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b(?!\s*\()")
_WORD = re.compile(r"(?<![\w.>])[a-z_]\w*\b(?!\s*\()")
# What stands behind something that is written, and a call in front of it that may write it.
_ASSIGNED = re.compile(r"\s*(?:\[[^\]]*\])?\s*(?:=(?!=)|[-+|&^]=|<<=|>>=|\+\+|--)")
_HANDED_OVER = re.compile(r"(\w+)\s*\(\s*(?:[^()]*,\s*)?&?\s*$")
# `si->flags |= FLAG`, `map[offset] = FLAG`: a variable of the function itself is no shared state.
_FLAG_WRITTEN = re.compile(r"(?:(?:->|\.)\w+|\])\s*(?:[|&]=|=(?!=))[^;={}]*$|\b(?:set|clear|change)_bit\w*\([^;]*$")
# Variables of a file: `static atomic_t swapin_readahead_hits = ...;`, `DEFINE_SPINLOCK(swap_lock);`.
_GLOBAL = re.compile(
    r"^(?!typedef\b|return\b|#)[a-z][\w \t]{0,120}[\w*] \*?([a-z_]\w*)(?:\[[^\]]*\])*(?:\s*=[^;]*|\s+__\w+)?;"
    r"|^(?:static\s+)?(?:DEFINE|DECLARE|LIST|HLIST)\w*\((?:[^,()\n]+,\s*)?([a-z_]\w*)",
    re.MULTILINE,
)
# It has run before any workload starts.
_AT_BOOT = re.compile(r"\b__(?:mem)?init\b")
_CONTROL = frozenset({"if", "for", "while", "switch", "return", "sizeof", "typeof", "defined", "likely", "unlikely"})
_WRITES = frozenset(
    {
        *("set", "clear", "add", "del", "delete", "free", "alloc", "store", "erase", "insert", "remove", "prepare"),
        *("mark", "inc", "dec", "charge", "uncharge", "replace", "init", "kill", "move", "split", "release", "sub"),
        *("put", "xchg", "cmpxchg", "lock", "trylock", "unlock", "once", "dup", "duplicate", "invalidate"),
        *("resurrect", "unmap", "map", "unuse", "writeback", "update", "reset", "splice", "isolate", "putback", "drop"),
    }
)
_READS = frozenset(
    {"get", "tryget", "test", "load", "find", "lookup", "is", "has", "read", "peek", "confirm", "check", "same", "next"}
)
# What the same state is handed over as, or how.
_MANNERS = frozenset(
    {
        *("folio", "page", "nr", "irq", "irqsave", "irqrestore", "bh", "locked", "unlocked", "nolock", "one", "batch"),
        *("range", "noprof", "raw", "safe", "rcu", "maybe", "do", "try", "fast", "slow", "async", "and", "by"),
        *("none", "all", "live", "many", "nested", "start", "end", "begin", "finish", "not", "non", "in", "to", "from"),
    }
)
_WRITERS_OF_ARGUMENT = re.compile(
    r"^(?:atomic|WRITE|list|hlist|plist|xa|xas|set|clear|test_and|rb|percpu|cmpxchg|xchg)_?"
)


def functions_in(file: str, text: str, names: Names) -> Iterator[Function]:
    """The functions of a C source text."""
    lines = text.split("\n")
    for extent in function_extents(text):
        body = "\n".join(lines[extent.first - 1 : extent.last])
        if not _AT_BOOT.search(body, 0, body.find("{") + 1):
            yield _function(file, extent, body, names)


def _function(file: str, extent: Extent, body: str, names: Names) -> Function:
    # The head of its definition reads like a call of the function itself.
    touched = touched_by(body, names=names)
    return Function(file=file, name=extent.name, lines=extent.last - extent.first + 1, touched=touched)


def names_in(texts: Iterable[str]) -> Names:
    """The names that source texts define outside of functions."""
    texts = tuple(texts)
    variables = frozenset(found[1] or found[2] for text in texts for found in _GLOBAL.finditer(text))
    functions = frozenset(extent.name for text in texts for extent in function_extents(text))
    return Names(variables=variables, functions=functions)


def touched_by(code: str, *, names: Names = NOTHING_KNOWN, types: Mapping[str, str] | None = None) -> Touched:
    """What a piece of C works on. `types`: variables of structs, beside those that it declares."""
    code = _NO_CODE.sub(" ", code)
    types = {**(types or {}), **types_in(code)}
    found: dict[State, bool] = {}
    for state, written in _states(code, types, names):
        found[state] = found.get(state, False) or written
    return found


def types_in(code: str) -> dict[str, str]:
    """Variable -> the struct that it points to."""
    return {name: struct for struct, name in _TYPED.findall(code)}


def _states(code: str, types: Mapping[str, str], names: Names) -> Iterator[tuple[State, bool]]:
    for member in _MEMBER.finditer(code):
        written = _is_written(code, member)
        yield State("member", f".{member[2]}"), written
        if struct := types.get(member[1] or ""):
            yield State("member", f"{struct}.{member[2]}"), written
    for call in _CALL.finditer(code):
        if call[1] in names.functions:
            yield State("call", call[1]), writes(call[1])
        if call[1] not in _CONTROL and (subject := subject_of(call[1])):
            yield subject, writes(call[1])
    for flag in _FLAG.finditer(code):
        yield State("flag", flag[0]), bool(_FLAG_WRITTEN.search(code, max(flag.start() - 80, 0), flag.start()))
    for word in _WORD.finditer(code):
        if word[0] in names.variables:
            yield State("global", word[0]), _is_written(code, word)


def _is_written(code: str, at: re.Match[str]) -> bool:
    if _ASSIGNED.match(code, at.end()):
        return True
    handed = _HANDED_OVER.search(code, max(at.start() - 60, 0), at.start())
    return handed is not None and (bool(_WRITERS_OF_ARGUMENT.match(handed[1])) or writes(handed[1]))


def subject_of(name: str) -> State | None:
    """What a function works on, by its name: swap_cache_get_folio() and swapcache_clear() on "swapcache"."""
    left = [one for one in _singular(name) if one not in _WRITES and one not in _READS]
    subject = [one for one in left if one not in _MANNERS]
    return State("helper", "".join(subject)) if subject else None


def writes(name: str) -> bool:
    """Whether a function changes what it works on, by its name."""
    own = set(_singular(name))
    return bool(own & _WRITES)


def _singular(name: str) -> list[str]:
    return [_one(word) for word in name.lower().split("_") if word]


def _one(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
