# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of a C file and which objects a kernel configuration leaves out, and by which option. Pure.

What can't be told counts as compiled: a version, a size, a macro of the file's own, a condition of make.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Config = Mapping[str, str]
"""Option (without CONFIG_) -> value; one that is not there is off."""

_DIRECTIVE = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b\s*(.*)$")
_COMMENT = re.compile(r"/\*.*?\*/|/\*.*|//.*")
_TOKEN = re.compile(r"\s*(&&|\|\||[!=<>]=|[!()<>,?:+*/%&|^~-]|\w+|\S)")
_OPTION = re.compile(r"CONFIG_(\w+)")
_MACROS = ("defined", "IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE", "IS_MODULE")
# Base, y, option, operator, words.
_ENTRY = re.compile(r"^\s*([\w./-]+?)-(?:(y|objs)|\$\(CONFIG_(\w+)\))\s*([:+]?)=\s*(.*)$")


@dataclass(slots=True)
class _Branch:
    """An #if with its branches up to here."""

    text: str  # of the condition that decides now
    state: bool | None  # of this branch; None: nobody can tell
    before: bool | None  # whether one of the branches above it is taken


def lines_left_out(text: str, config: Config) -> dict[int, str]:
    """Lines, from 1, that the preprocessor drops in this configuration, each with the condition that is false."""
    found: dict[int, str] = {}
    open_: list[_Branch] = []
    for number, line in _logical_lines(text):
        if directive := _DIRECTIVE.match(line):
            _step(open_, directive[1], _COMMENT.sub("", directive[2]).strip(), config)
        elif off := next((one for one in open_ if one.state is False), None):
            found[number] = off.text
    return found


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line with its number; a directive with its continuation lines is one."""
    begun, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        if begun or _DIRECTIVE.match(line):
            begun, first = f"{begun} {line}" if begun else line, first or number
            if line.rstrip().endswith("\\"):
                begun = begun.rstrip().removesuffix("\\")
                continue
            yield first, begun
            begun, first = "", 0
        else:
            yield number, line


def _step(open_: list[_Branch], word: str, condition: str, config: Config) -> None:
    if word in ("if", "ifdef", "ifndef"):
        value = _value(f"defined({condition})" if word != "if" else condition, config)
        value = _not(value) if word == "ifndef" else value
        open_.append(_Branch(_why(condition, config, negated=word == "ifndef"), value, value))
    elif not open_:
        return
    elif word == "endif":
        open_.pop()
    else:
        top = open_[-1]
        own = _value(condition, config) if word == "elif" else True
        why = _why(condition, config) if word == "elif" and top.before is not True else _other(top, config)
        state = False if top.before is True else own if own is False or top.before is False else None
        before = True if top.before is True or state is True else None if None in (top.before, state) else False
        open_[-1] = _Branch(why, state, before)


def _other(top: _Branch, config: Config) -> str:
    """Why what follows a branch that is taken is not."""
    options = _OPTION.findall(top.text)
    on = len(options) == 1 and config.get(options[0], "n") != "n"
    return f"CONFIG_{options[0]} is set" if on else f"{top.text.removesuffix(' is false')} is true"


def _why(condition: str, config: Config, *, negated: bool = False) -> str:
    options = list(dict.fromkeys(_OPTION.findall(condition)))
    if len(options) == 1:
        return f"CONFIG_{options[0]} is {'' if config.get(options[0], 'n') != 'n' else 'not '}set"
    if not options:
        return f"#if {condition}"
    return f"{'!' * negated}{' '.join(condition.split())} is false"


def _value(condition: str, config: Config) -> bool | None:
    """Of a preprocessor's expression: True, False, or None where it is about something else than options."""
    tokens = _TOKEN.findall(condition)
    value, rest = _either(tokens, config)
    return value if not rest else None


_Value = tuple[bool | None, Sequence[str]]


def _either(tokens: Sequence[str], config: Config) -> _Value:
    return _joined(_both, "||", True, tokens, config)


def _both(tokens: Sequence[str], config: Config) -> _Value:
    return _joined(_compared, "&&", False, tokens, config)


def _joined(
    part: Callable[[Sequence[str], Config], _Value], operator: str, decides: bool, tokens: Sequence[str], config: Config
) -> _Value:
    """Parts with an operator between them, of which one alone may decide."""
    value, rest = part(tokens, config)
    while rest and rest[0] == operator:
        other, rest = part(rest[1:], config)
        value = decides if decides in (value, other) else None if None in (value, other) else not decides
    return value, rest


def _compared(tokens: Sequence[str], config: Config) -> _Value:
    """A part of &&. What is compared or computed, or is a call, can't be told."""
    value, rest = _atom(tokens, config)
    depth, end = 0, 0
    while end < len(rest) and (depth or rest[end] not in ("&&", "||", ")")):
        depth += {"(": 1, ")": -1}.get(rest[end], 0)
        end += 1
    return (None if end else value), rest[end:]


def _atom(tokens: Sequence[str], config: Config) -> _Value:
    if not tokens:
        return None, ()
    first, rest = tokens[0], tokens[1:]
    if first == "!":
        value, rest = _atom(rest, config)
        return _not(value), rest
    if first == "(":
        value, rest = _either(rest, config)
        return (value, rest[1:]) if rest[:1] == [")"] else (None, ())
    if first in _MACROS:
        named = rest[1:2] if rest[:1] == ["("] else rest[:1]
        rest = rest[3:] if rest[:1] == ["("] else rest[1:]
        return _option(named[0], config, module=first != "IS_BUILTIN") if named else None, rest
    if first.isdigit():
        return int(first) != 0, rest
    return _option(first, config), rest


def _option(name: str, config: Config, *, module: bool = True) -> bool | None:
    if found := _OPTION.fullmatch(name):
        return config.get(found[1], "n") in (("y", "m") if module else ("y",)) or config.get(found[1], "n") not in "nym"
    return None


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def object_left_out(path: str, makefiles: Mapping[str, str], config: Config) -> str:
    """Why nothing is compiled from a source file: the option that its makefile asks for; "" where nothing says so.

    `makefiles`: folder -> the text of its Makefile, those that are not there left out.
    """
    folder, _, name = path.rpartition("/")
    goal, reasons = f"{name.rsplit('.', 1)[0]}.o", []
    while folder:
        reasons.append(_unmet(goal, makefiles.get(folder, ""), config))
        folder, _, last = folder.rpartition("/")
        goal = f"{last}/"
    # The option of a folder is that of the feature.
    return next(filter(None, reversed(reasons)), "")


def _unmet(goal: str, makefile: str, config: Config) -> str:
    """The options, any of which would bring a goal into the kernel, where all of them are off."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*$", "", makefile, flags=re.MULTILINE))
    every = [entry for line in text.split("\n") if (entry := _ENTRY.match(line))]
    # mmu-y := nommu.o, and then mmu-$(CONFIG_MMU) := memory.o: where it is on, the first one is gone.
    instead = {at: new[3] for at, old in enumerate(every) for new in every[at + 1 :] if _replaces(old, new, config)}
    entries = [entry for at, entry in enumerate(every) if at not in instead]
    needs = list(dict.fromkeys(_needs(goal, entries, frozenset())))
    off = [name for name in needs if name and config.get(name, "n") == "n"]
    if not needs:
        return next((f"CONFIG_{option} is set" for at, option in instead.items() if goal in every[at][5].split()), "")
    if len(off) < len(needs):
        return ""
    return f"CONFIG_{' and CONFIG_'.join(off)} {'is' if len(off) == 1 else 'are'} not set"


def _replaces(old: re.Match[str], new: re.Match[str], config: Config) -> bool:
    on = bool(new[3]) and config.get(new[3], "n") == "y"
    return on and old[2] == "y" and (old[1], old[4], new[4]) == (new[1], ":", ":")


def _needs(goal: str, entries: Sequence[re.Match[str]], seen: frozenset[str]) -> Iterator[str]:
    """The option of each line that names a goal; "" where one needs none, or where nothing says what a list is for."""
    for entry in entries:
        base, option, words = entry[1], entry[3] or "", entry[5].partition("#")[0].split()
        if goal not in words:
            continue
        if option or base == "obj":
            yield option
        elif base not in seen:
            # A composite object, or a list that another line adds: $(mmu-y).
            others = [*_needs(f"{base}.o", entries, seen | {base}), *_needs(f"$({base}-y)", entries, seen | {base})]
            yield from others or [""]
