# SPDX-License-Identifier: GPL-2.0-or-later
"""Which interface files a series adds or changes, by its diff (pure).

A file is the series' if the series adds a line of its entry, or changes a function that the entry names. Entries are
found by the forms in which kernel code writes them; what a macro of its own makes is not seen.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from orchestrator.kernel.code.interface_words import interface_words
from orchestrator.model.interfaces import InterfaceNames
from orchestrator.model.series_diff import ChangedFile, SeriesDiff

# As INTERFACES_MAX in guest-scripts/lib/run.h; a name may be that of several files.
MOST_FILES = 16
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_TABLE = re.compile(r"\bstruct\s+(cftype|ctl_table)\s+(\w+)\s*\[[^\]]{0,80}\]\s*=\s*\{")
_NAME = re.compile(r"\.(?:name|procname)\s*=\s*\"([^\"]+)\"")
_SUBSYSTEM = re.compile(r"\b(\w+)_cgrp_subsys\b")
_OWN_SUBSYSTEM = re.compile(r"\bstruct\s+cgroup_subsys\s+(\w+)_cgrp_subsys\s*=")
_REGISTERED = re.compile(r"\bregister_sysctl\w*\(\s*\"([^\"]+)\"\s*,\s*(\w+)")
_INITIALISED = re.compile(r"\b(\w+)\s*(?:\[[^\]]{0,80}\]\s*)?=\s*\{")
_SHOWN = re.compile(r"(/(?:sys|proc)/[\w./-]*[\w])")
_CLOSED = {"{": "}", "(": ")"}
# A series may have any text: no search for what closes something goes further.
_LONGEST = {"{": 20_000, "(": 2_000}

# Calls and macros with a name as their first argument -> the tree in which the file appears, and how its path ends.
_CALLS = (
    (re.compile(r"\b(?:__|[A-Z]+_)+ATTR(?:_[A-Z]+)*\(\s*(\w+)"), "sysfs:{}"),
    (re.compile(r"\b(?:module|core)_param\w*\(\s*(\w+)"), "parameter:parameters/{}"),
    (re.compile(r"\bdebugfs_create_(?!dir\b)\w+\(\s*\"([^\"%]+)\""), "debugfs:{}"),
    (re.compile(r"\bproc_create\w*\(\s*\"([^\"%]+)\""), "proc:{}"),
    (re.compile(r"\b(?:REG|ONE)\(\s*\"(\w+)\""), "process:{}"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """An interface file as the source has it; offsets in the text."""

    file: str
    first: int
    end: int
    names: frozenset[str]  # of functions and structures that it mentions


@dataclass(frozen=True)
class _Source:
    """One patched file and what the series changed in it."""

    path: str
    text: str
    added: frozenset[int]  # numbers of lines

    @cached_property
    def blocks(self) -> dict[str, str]:
        """Initialised structure -> its initialiser."""
        starts = ((match[1], match.end() - 1) for match in _INITIALISED.finditer(self.text))
        return {name: self.text[first : _end(self.text, first)] for name, first in starts}

    def is_added(self, entry: _Entry) -> bool:
        first = self.text.count("\n", 0, entry.first) + 1
        last = self.text.count("\n", 0, entry.end) + 1
        return any(number in self.added for number in range(first, last + 1))

    def is_changed(self, entry: _Entry, functions: Collection[str]) -> bool:
        """Whether the series changes a function that the entry names, directly or by a structure of functions."""
        named = set(entry.names)
        for name in entry.names:
            named |= set(_WORD.findall(self.blocks.get(name, "")))
            # DEFINE_SHOW_ATTRIBUTE() and DEFINE_PROC_SHOW_ATTRIBUTE() make the structure.
            stem = name.removesuffix("_proc_ops").removesuffix("_fops")
            named |= {f"{stem}_{what}" for what in ("show", "open", "write")} if stem != name else set()
        return not named.isdisjoint(functions)


def interface_names(diff: SeriesDiff) -> InterfaceNames:
    """The interface files that a series adds, then those whose handlers it changes, and texts for them."""
    functions = {function.name for function in diff.functions}
    added: list[str] = []
    changed: list[str] = []
    for file in diff.files:
        if file.path not in diff.texts:
            continue
        source = _Source(file.path, diff.texts[file.path], frozenset(file.lines("new")))
        for entry in _entries(source):
            if source.is_added(entry):
                added.append(entry.file)
            elif source.is_changed(entry, functions):
                changed.append(entry.file)
    files = _documented(dict.fromkeys([*added, *changed]), diff.files)
    return InterfaceNames(files=files[:MOST_FILES], words=interface_words(diff) if files else ())


def _documented(files: Iterable[str], changed: Iterable[ChangedFile]) -> tuple[str, ...]:
    """A path in place of a name, where a document or comment of the series says it."""
    lines = (text for file in changed for text in file.lines("new").values())
    paths = dict.fromkeys(path for line in lines for path in _SHOWN.findall(line))
    found: dict[str, None] = {}
    for file in files:
        tree, _, name = file.partition(":")
        known = [path for path in paths if path.endswith(f"/{name}")] if tree in ("sysfs", "sysctl") else []
        found |= dict.fromkeys(known or [file])
    return tuple(found)


def _entries(source: _Source) -> Iterator[_Entry]:
    for table in _TABLE.finditer(source.text):
        yield from _of_table(source, table)
    for form, file in _CALLS:
        for match in form.finditer(source.text):
            if not _in_macro(source.text, match.start()):
                end = _end(source.text, source.text.index("(", match.start()))
                names = set(_WORD.findall(source.text[match.start() : end]))
                names |= {f"{match[1]}_show", f"{match[1]}_store"} if file.startswith("sysfs") else set()
                found = file.format(match[1])
                yield _Entry(file=found, first=match.start(), end=end, names=frozenset(names - {match[1]}))


def _of_table(source: _Source, table: re.Match[str]) -> Iterator[_Entry]:
    """Each braced entry of an array with a name in it."""
    at, end = table.end(), _end(source.text, table.end() - 1)
    while 0 <= (first := source.text.find("{", at)) < end:
        at = _end(source.text, first)
        entry = source.text[first:at]
        if name := _NAME.search(entry):
            file = _cgroup_file(source, name[1]) if table[1] == "cftype" else _sysctl(source, table[2], name[1])
            yield _Entry(file=file, first=first, end=at, names=frozenset(_WORD.findall(entry)))


def _cgroup_file(source: _Source, name: str) -> str:
    """The kernel puts the controller's name before the file's; without it the guest looks for the end of the name."""
    subsystems = dict.fromkeys(_OWN_SUBSYSTEM.findall(source.text) or _SUBSYSTEM.findall(source.text))
    return f"cgroup:{next(iter(subsystems))}.{name}" if len(subsystems) == 1 else f"cgroup:{name}"


def _sysctl(source: _Source, table: str, name: str) -> str:
    folders = [match[1] for match in _REGISTERED.finditer(source.text) if match[2] == table]
    return f"sysctl:{folders[0]}/{name}" if folders else f"sysctl:{name}"


def _in_macro(text: str, at: int) -> bool:
    """Whether a place is in a #define, which is no file yet."""
    start = text.rfind("\n", 0, at) + 1
    while start > 1 and text[:start].endswith("\\\n"):
        start = text.rfind("\n", 0, start - 1) + 1
    return text[start:].startswith("#")


def _end(text: str, at: int) -> int:
    """Behind the brace or parenthesis that closes the one at this place; where none does, the end of the search."""
    opened, closed, depth = text[at], _CLOSED[text[at]], 0
    most = min(len(text), at + _LONGEST[opened])
    for place in re.compile(f"[{re.escape(opened + closed)}]").finditer(text, at, most):
        depth += 1 if place[0] == opened else -1
        if depth == 0:
            return place.end()
    return most
