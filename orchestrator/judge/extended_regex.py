# SPDX-License-Identifier: GPL-2.0-or-later
"""Python's regular expressions as POSIX extended ones, for C code in a guest (pure)."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<look>\(\?(?:[=!]|<[=!]))|(?P<open>\(\?P<\w+>|\(\?:|\()|(?P<close>\))"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<sign>.)",
    re.DOTALL,
)
_CLASSES = {"d": "[0-9]", "w": "[[:alnum:]_]", "s": "[[:space:]]", "S": "[^[:space:]]", "b": r"\b"}
_IN_SET = {"d": "0-9", "w": "[:alnum:]_", "s": "[:space:]"}
_SPECIAL = frozenset(".[]()*+?{}|^$\\")
_QUANTIFIERS = frozenset("*+?}")


def extended(pattern: str) -> str | None:
    """What matches the same at the beginning of a text; None for a pattern that looks ahead or behind.

    Which part of a text a group has is lost. `\\b` is glibc's own.
    """
    parts: list[str] = []
    before = ""
    for token in _TOKEN.finditer(pattern):
        text, kind = token[0], token.lastgroup
        if kind == "look":
            return None
        # Of how much a quantifier takes nothing depends here.
        if not (text == "?" and kind == "sign" and before in _QUANTIFIERS):
            parts.append(_as_extended(text, kind or ""))
        before = text if kind == "sign" else ""
    return f"^({''.join(parts)})"


def group_of(pattern: str, name: str) -> str:
    """What stands in a named group of a pattern. Raises KeyError."""
    depth, start = 0, -1
    for token in _TOKEN.finditer(pattern):
        if start < 0:
            start = token.end() if token[0] == f"(?P<{name}>" else -1
        elif token.lastgroup in ("open", "look"):
            depth += 1
        elif token.lastgroup == "close":
            if not depth:
                return pattern[start : token.start()]
            depth -= 1
    raise KeyError(name)


def _as_extended(text: str, kind: str) -> str:
    match kind:
        case "escape":
            sign = text[1]
            return _CLASSES.get(sign) or (text if sign in _SPECIAL else sign)
        case "open":
            return "("
        case "set":
            return _set(text)
    return text


def _set(text: str) -> str:
    """A set of characters: there a backslash is one of them, and `]` comes first, `-` last."""
    inverse = text.startswith("[^")
    members = list(_members(text[2:-1] if inverse else text[1:-1]))
    first = "]" if "]" in members else ""
    last = "-" if "-" in members else ""
    middle = "".join(member for member in members if member not in ("]", "-"))
    return f"[{'^' if inverse else ''}{first}{middle}{last}]"


def _members(text: str) -> Iterator[str]:
    for member in re.finditer(r"\\(?P<escaped>.)|(?P<span>[^\\]-[^\\\]])|(?P<sign>.)", text, re.DOTALL):
        if sign := member["escaped"]:
            yield _IN_SET.get(sign, sign)
        else:
            yield member[0]
