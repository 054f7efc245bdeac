# SPDX-License-Identifier: GPL-2.0-or-later
"""What a text without a diff is, and what to type to get the diff. Pure."""

import re
from dataclasses import dataclass

from orchestrator.kernel.series.subject import bare_line

_LOOKED_AT = 1 << 20
_MOSTLY = 0.4
_PULL = re.compile(rb"^are available in the (?i:git) repository at:\s+(\S+)(?:[ \t]+(\S+))?[ \t]*$", re.MULTILINE)
_PULL_BASE = re.compile(rb"^The following changes since commit ([0-9a-f]{7,64})", re.MULTILINE)
_COLOUR = re.compile(rb"\x1b\[[0-9;]*[mK](?:diff --git |--- |\+\+\+ |@@ -)")
_SHELL_SAFE = re.compile(r"[A-Za-z0-9@%+=:,./_~^-]+")
# The first that is found in a text: what it is, and the command.
_FORMS = (
    (re.compile(rb"^diff --(?:cc|combined) ", re.MULTILINE),
     "a merge's diff, which can't be applied", "git diff COMMIT^1 COMMIT > all.diff"),
    (re.compile(rb"^\*\*\* \d+(?:,\d+)? \*\*\*\*\r?$", re.MULTILINE),
     "a context diff, which git can't apply", "diff -urN OLD NEW > all.diff"),
    (_COLOUR, "a diff with the colours of a terminal", "git diff --no-color A B > all.diff"),
    (re.compile(rb"^\d+(?:,\d+)?[acd]\d+(?:,\d+)?\r?\n(?:[<>] |\\)", re.MULTILINE),
     "a diff without names and context", "diff -urN OLD NEW > all.diff"),
    (re.compile(rb"\A(?:\d+(?:,\d+)?d\r?\n)*\d+(?:,\d+)?[ac]\r?\n(?s:.)*^\.\r?$", re.MULTILINE),
     "a script for ed", "diff -urN OLD NEW > all.diff"),
    (re.compile(rb"^ \d+ files? changed", re.MULTILINE),
     "a diffstat without its diff", "git format-patch --stdout A..B > series.mbox"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class NoDiff:
    """What a text is that has no diff; `command` may name the file as {path}."""

    what: str
    command: str


HTML = NoDiff(
    what="sent as HTML alone", command="b4 am MESSAGE-ID  # if the list has a text of it; else ask for git send-email"
)


def no_diff_in(text: bytes) -> NoDiff | None:
    """What a text without a diff is; None where it is like no known form."""
    text = text[:_LOOKED_AT]
    if not text.strip():
        return NoDiff(what="empty", command="ls -l {path}")
    if found := _PULL.search(text):
        return _pull_request(text, found)
    if b"\0" in text:
        return _binary(text)
    return next((NoDiff(what=what, command=command) for rule, what, command in _FORMS if rule.search(text)), None)


def _binary(text: bytes) -> NoDiff:
    """ASCII in UTF-16 has a NUL in every other place."""
    for first, name in ((1, "utf-16le"), (0, "utf-16be")):
        if text[first::2].count(0) > len(text) * _MOSTLY and not text[1 - first :: 2].count(0):
            return NoDiff(what="UTF-16 text", command=f"iconv -f {name} -t utf-8 {{path}} > all.diff")
    return NoDiff(what="no text", command="file {path}")


def _pull_request(text: bytes, found: re.Match[bytes]) -> NoDiff:
    words = [bare_line((word or b"").decode(errors="replace")) for word in found.groups()]
    # A stranger wrote them, and somebody may paste the line into a shell.
    url, ref = (word if _SHELL_SAFE.fullmatch(word) and not word.startswith("-") else "" for word in words)
    base = _PULL_BASE.search(text)
    start = base[1].decode()[:12] if base else "BASE"
    fetch = " ".join(("git -C DIR fetch", url or "URL", *([ref] if ref else [])))
    command = f"{fetch}; patchrig run --patch {start}..FETCH_HEAD --tree DIR"
    return NoDiff(what="a pull request, which names commits and has no diff", command=command)
