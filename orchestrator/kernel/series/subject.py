# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mail's subject says of its patch: version, number, total; or that it is a reply. Pure.

The rules are those of b4 and of git am; see also the kernel's Documentation/process/submitting-patches.rst.
"""

import re
from dataclasses import dataclass

# "Re:", also as mail programs write it in other languages, with a count, or with a full-width colon.
_REPLY = re.compile(
    r"(?:re|aw|antw|antwort|sv|vs|rv|ref|res|odp|ynt|fw|fwd|wg|tr|doorst|回复|答复|转发)(?:\[\d+\]|\(\d+\))?\s*[:：]\s*",  # noqa: RUF001
    re.IGNORECASE,
)
# Any other word before the bracket is no part of how git writes a patch: somebody's mail program put it there.
_WORD_BEFORE = re.compile(r"\w+:\s*(?=\[)")
_BRACKET = re.compile(r"\[([^\]\[]*)\]\s*")
# Mercurial writes "1 of 3".
_NUMBER = re.compile(r"(?<![\w./])(\d{1,6})(?:\s*/\s*|\s+of\s+)(\d{1,6})(?![\w./])", re.IGNORECASE)
# Without its square brackets, as somebody's mail program or hand leaves it: only a number tells.
_NO_BRACKET = re.compile(r"[({]?((?:RFC )?PATCH\b[^][(){}:/]*\b\d{1,6}/\d{1,6})[)}]?:?\s+", re.IGNORECASE)
_VERSION = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=PATCH)|(?<=RFC))V(\d{1,4}(?:\.\d{1,4})?)(?![\w.])", re.IGNORECASE)
_WORD = re.compile(r"PATCH|\bRFC\b|\bRESEND\b|\bREPOST\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A subject, taken apart."""

    title: str
    reply: bool = False  # also a forward
    patch: bool = False  # it has a bracket that says so: [PATCH], [RFC v2], [net-next,v3,2/7]
    version: str = "1"
    number: int | None = None
    total: int | None = None

    @property
    def place(self) -> str:
        """ "2/7", or "" for a patch that stands alone."""
        return f"{self.number}/{self.total}" if self.number is not None else ""


def parse_subject(text: str) -> Subject:
    """Take a decoded subject apart; what is in brackets and is no patch's (a list's name) is passed over."""
    rest = bare_line(text)
    reply = False
    marks: list[str] = []
    while True:
        if not marks and (found := _REPLY.match(rest)):
            reply = True
        elif found := _BRACKET.match(rest):
            marks += [found[1]] * _is_mark(found[1])
        elif not marks and (found := _NO_BRACKET.match(rest)):
            marks.append(found[1])
        elif not marks and (found := _WORD_BEFORE.match(rest)) and _mark_follows(rest[found.end() :]):
            reply = True
        else:
            break
        rest = rest[found.end() :]
    number = next((found for mark in marks if (found := _NUMBER.search(mark))), None)
    return Subject(
        title=rest,
        reply=reply,
        patch=bool(marks),
        version=_version(" ".join(marks)),
        number=int(number[1]) if number else None,
        total=int(number[2]) if number else None,
    )


def bare_line(text: str) -> str:
    """One line without control characters: it is shown on terminals."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def _is_mark(bracket: str) -> bool:
    return any(rule.search(bracket) for rule in (_WORD, _NUMBER, _VERSION))


def _mark_follows(rest: str) -> bool:
    found = _BRACKET.match(rest)
    return bool(found) and _is_mark(found[1] if found else "")


def _version(marks: str) -> str:
    found = _VERSION.findall(marks)
    # [PATCH v6.12 v2 1/3]: the first is a stable kernel's.
    return next((one for one in found if "." not in one), found[0] if found else "1")
