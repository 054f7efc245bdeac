# SPDX-License-Identifier: GPL-2.0-or-later
"""Why kconfig did not grant a symbol: its definition, and which of its dependencies are off. Pure.

A reading of the Kconfig language that is good enough for a message: bool and tristate expressions, `if`, `menu`,
`choice` and `source`; no `visible if`, no ranges.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ReadFile = Callable[[str], Sequence[str]]
"""A Kconfig path as `source` writes it, perhaps with $(SRCARCH) and a wildcard, to the texts of its files."""

_TYPE_WITH_PROMPT = re.compile(r'^(?:bool|tristate|string|int|hex|prompt)\s+(?:"[^"]*"|\'[^\']*\')(?:\s+if\s+(.+))?$')
_FOLLOWS = re.compile(r"^(?:def_bool|def_tristate|default)\s+(?:y\s+if\s+)?([A-Z0-9_]+)$")
_SYMBOL = re.compile(r"[A-Z0-9_]*[A-Z_][A-Z0-9_]*")
_SELECT = re.compile(r"^select\s+(\w+)(?:\s+if\s+(.+))?")
_ON = re.compile(r"^(?:def_bool|default)\s+y$")
_SOURCE = re.compile(r'^[or]*source\s+"?([^"\s]+)"?')
_TOKEN = re.compile(r'\s*(&&|\|\||!=|[<>]=?|[=!()]|"[^"]*"|[\w$()./-]+?(?=[\s=!<>&|()]|$))')
_ROUNDS = 5
_OPENS = ("if", "menu", "choice")
_CLOSES = ("endif", "endmenu", "endchoice")


@dataclass(kw_only=True, slots=True)
class Definition:
    """One `config` block: what it depends on, in its own lines and in the blocks around it."""

    symbol: str
    depends: list[str] = field(default_factory=list)
    selects: list[str] = field(default_factory=list)
    has_prompt: bool = False
    follows: list[str] = field(default_factory=list)  # symbols, any of which turns it on by default
    is_on_by_default: bool = False  # where its dependencies are met
    select_if: dict[str, str] = field(default_factory=dict)  # selected symbol -> the condition for it
    in_choice: bool = False  # one of several, of which another is then off


@dataclass(kw_only=True, slots=True)
class _Block:
    depends: list[str]
    is_choice: bool = False


def definitions(read: ReadFile, top: str) -> Iterator[Definition]:
    """Each `config` block of a Kconfig file and of all that it sources."""
    for text in read(top):
        yield from _definitions_in(text, read, [])


def why_not(symbol: str, found: Sequence[Definition], config: Mapping[str, str]) -> str:
    """One line on why a symbol that was asked for is not so."""
    own = [definition for definition in found if definition.symbol == symbol]
    if not own:
        return "this kernel has no such symbol"
    asked_off = config.get(symbol, "n") != "n"
    selecting = sorted({d.symbol for d in found if symbol in d.selects and config.get(d.symbol, "n") != "n"})
    if any("m" in split_terms_of(definition) for definition in own):
        return "it can only be a module, and these kernels load none"
    if asked_off and selecting:
        return f"selected by {', '.join(f'{name}={config[name]}' for name in selecting)}"
    # With several definitions, the one that lacks least is what the user can fix.
    unmet = min((unmet_terms(definition.depends, config) for definition in own), key=len)
    if unmet:
        return f"unmet: {'; '.join(unmet)}"
    if not any(definition.has_prompt for definition in own):
        return "it can't be asked for: only other symbols select it"
    return "its dependencies are met: a choice, a range or a default of another symbol decides it"


def split_terms_of(definition: Definition) -> tuple[str, ...]:
    """Each term of a definition's dependencies."""
    return tuple(term for expression in definition.depends for term in split_terms(expression))


def missing_symbols(symbol: str, found: Sequence[Definition], config: Mapping[str, str]) -> tuple[str, ...]:
    """The symbols that it needs first, where these can be set by hand: off, and with a question of their own."""
    askable = frozenset(one.symbol for one in found if one.has_prompt)
    needed = dict.fromkeys(() if symbol in askable else _bringing(symbol, found, config, askable))
    todo = [symbol, *needed]
    while todo:
        name = todo.pop()
        own = [one for one in found if one.symbol == name]
        least = min((_off_alone(one, config) for one in own), key=len, default=())
        terms = (
            other
            for term in least
            for other in ([term] if term in askable else _bringing(term, found, config, askable))
        )
        new = [one for one in dict.fromkeys(terms) if one not in needed]
        needed |= dict.fromkeys(new)
        todo += new
    return tuple(needed)


def _bringing(
    symbol: str, found: Sequence[Definition], config: Mapping[str, str], askable: Collection[str]
) -> tuple[str, ...]:
    """What to set so that a symbol is on that has no question: an option that it follows, or that selects it."""
    ways: list[tuple[str, ...]] = [
        (name,) for one in found if one.symbol == symbol for name in one.follows if name in askable
    ]
    for one in (one for one in found if symbol in one.selects and is_on(one.select_if.get(symbol, "y"), config)):
        if one.symbol in askable:
            ways.append((one.symbol,))
        elif one.is_on_by_default and all(term in askable for term in _off_alone(one, config)):
            ways.append(_off_alone(one, config))
    off = [tuple(name for name in way if config.get(name, "n") == "n") for way in ways]
    return min((way for way in off if way), key=len, default=())


def with_consequences(found: Sequence[Definition], config: Mapping[str, str]) -> dict[str, str]:
    """The configuration with what its options select, and what is on by default once they are."""
    full = dict(config)
    for _ in range(_ROUNDS):
        before = len(full), sum(value != "n" for value in full.values())
        for one in found:
            met = all(is_on(term, full) for term in one.depends)
            if one.is_on_by_default and not one.has_prompt and met:
                full[one.symbol] = "y"
            followed = not one.has_prompt and any(full.get(name, "n") != "n" for name in one.follows)
            full |= {one.symbol: "y"} if followed and met else {}
            if full.get(one.symbol, "n") != "n" and met:
                full |= {name: "y" for name in one.selects if is_on(one.select_if.get(name, "y"), full)}
        if before == (len(full), sum(value != "n" for value in full.values())):
            break
    return full


def _off_alone(definition: Definition, config: Mapping[str, str]) -> tuple[str, ...]:
    """The terms that are off and are one symbol each."""
    terms = split_terms_of(definition)
    return tuple(term for term in terms if _SYMBOL.fullmatch(term) and config.get(term, "n") == "n")


def unmet_terms(depends: Sequence[str], config: Mapping[str, str]) -> tuple[str, ...]:
    """The terms of the dependencies that are off, each with the values of its symbols."""
    terms = (term for expression in depends for term in split_terms(expression))
    off = dict.fromkeys(term for term in terms if not is_on(term, config))
    return tuple(f"{term} ({_values(term, config)})" for term in off)


def split_terms(expression: str) -> Iterator[str]:
    """The parts of an expression that && joins at its top level; the whole where || does, which binds less."""
    depth, terms = 0, [""]
    for part in re.split(r"(&&|\|\||\(|\))", expression):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "||" and depth == 0:
            yield expression.strip()
            return
        if part == "&&" and depth == 0:
            terms.append("")
        else:
            terms[-1] += part
    yield from (term.strip() for term in terms if term.strip())


def is_on(expression: str, config: Mapping[str, str]) -> bool:
    """Is the expression y or m in this config? What can't be read counts as on: it is not blamed."""
    tokens = [m[1] for m in _TOKEN.finditer(expression)]
    try:
        value, rest = _either(tokens, config)
    except IndexError:
        return True
    return value if not rest else True


def _definitions_in(text: str, read: ReadFile, around: list[_Block]) -> Iterator[Definition]:
    blocks = list(around)
    current: Definition | None = None
    target = _Block(depends=[])
    for line in _logical_lines(text):
        word = line.split(None, 1)[0]
        if word in ("config", "menuconfig"):
            if current:
                yield current
            current = Definition(
                symbol=line.split()[1],
                depends=[term for block in blocks for term in block.depends],
                in_choice=any(block.is_choice for block in blocks),
            )
            target = _Block(depends=current.depends)
        elif word in (*_OPENS, *_CLOSES, "comment", "source", "rsource", "osource", "orsource"):
            if current:
                yield current
            current, target = None, _structure(line, word, blocks)
            if m := _SOURCE.match(line):
                for sourced in read(m[1]):
                    yield from _definitions_in(sourced, read, blocks)
        else:
            _attribute(line, current, target)
    if current:
        yield current


def _structure(line: str, word: str, blocks: list[_Block]) -> _Block:
    block = _Block(depends=[line[3:].strip()] if word == "if" else [], is_choice=word == "choice")
    if word in _OPENS:
        blocks.append(block)
    elif word in _CLOSES and blocks:
        blocks.pop()
    return block


def _attribute(line: str, current: Definition | None, target: _Block) -> None:
    if line.startswith("depends on "):
        target.depends.append(line.removeprefix("depends on ").strip())
    elif current and (m := _TYPE_WITH_PROMPT.match(line)):
        current.has_prompt = True
        if m[1]:
            current.depends.append(m[1].strip())
    elif current and _ON.match(line):
        current.is_on_by_default = True
    elif current and (m := _FOLLOWS.match(line)) and m[1] != "y":
        current.follows.append(m[1])
    elif current and (m := _SELECT.match(line)):
        current.selects.append(m[1])
        if m[2]:
            current.select_if[m[1]] = m[2].strip()


def _logical_lines(text: str) -> Iterator[str]:
    help_indent: int | None = None
    in_help = False
    for raw in text.replace("\\\n", " ").splitlines():
        line = raw.expandtabs()
        indent = len(line) - len(line.lstrip())
        stripped = line.strip()
        if in_help and stripped:
            help_indent = indent if help_indent is None else help_indent
            in_help = indent >= help_indent > 0
        if in_help or not stripped or stripped.startswith("#"):
            continue
        if stripped in ("help", "---help---"):
            in_help, help_indent = True, None
            continue
        yield stripped.split(" #")[0].strip()


def _either(tokens: list[str], config: Mapping[str, str]) -> tuple[bool, list[str]]:
    value, rest = _both(tokens, config)
    while rest and rest[0] == "||":
        other, rest = _both(rest[1:], config)
        value = value or other
    return value, rest


def _both(tokens: list[str], config: Mapping[str, str]) -> tuple[bool, list[str]]:
    value, rest = _factor(tokens, config)
    while rest and rest[0] == "&&":
        other, rest = _factor(rest[1:], config)
        value = value and other
    return value, rest


def _factor(tokens: list[str], config: Mapping[str, str]) -> tuple[bool, list[str]]:
    if tokens[0] == "!":
        value, rest = _factor(tokens[1:], config)
        return not value, rest
    if tokens[0] == "(":
        value, rest = _either(tokens[1:], config)
        return value, rest[1:]
    if len(tokens) > 2 and tokens[1] in ("=", "!="):
        same = _value(tokens[0], config) == _value(tokens[2], config)
        return same == (tokens[1] == "="), tokens[3:]
    if len(tokens) > 2 and tokens[1][0] in "<>":
        return True, tokens[3:]  # A version or a number: rarely what is unmet.
    return _value(tokens[0], config) != "n", tokens[1:]


def _value(token: str, config: Mapping[str, str]) -> str:
    if token in ("y", "m", "n") or token.startswith('"') or token.isdigit():
        return token.strip('"')
    if token.startswith("$"):
        return "y"
    return config.get(token, "n").strip('"')


def _values(term: str, config: Mapping[str, str]) -> str:
    names = dict.fromkeys(re.findall(r"\b[A-Z][A-Z0-9_]*\b", term))
    return ", ".join(f"{name}={config.get(name, 'n')}" for name in names)
