# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of a diff, taken apart where git does not tell: where it begins and ends, and what git would pass over.

git apply skips whatever it takes for prose, so a hunk that a mail program or an editor damaged is left out without a
word. That is found here, by counting lines as git does. What a diff reads and writes, git says (diff_paths.py). Pure.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_START = re.compile(rb"^(?:diff --git |--- [^\n]+\n\+\+\+ )", re.MULTILINE)
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_FILE_HEADERS = (
    b"diff --git ", b"index ", b"--- ", b"+++ ", b"old mode ", b"new mode ", b"new file mode ", b"deleted file mode ",
    b"rename ", b"copy ", b"similarity index ", b"dissimilarity index ",
)  # fmt: skip
# What every diff has, and no file's content changes the ends of.
_OWN_LINES = re.compile(rb"^(?:diff --git |\+\+\+ |@@ -\d)[^\n]*\n", re.MULTILINE)
# What a line of a hunk takes off the counts in its header: of the old file, of the new file.
_TAKES = {b" ": (1, 1), b"\n": (1, 1), b"-": (1, 0), b"+": (0, 1), b"\\": (0, 0)}
_BINARY = re.compile(rb"(?:literal|delta) \d+\n?$")
# Forms that git apply takes for prose, and what they are.
_NOT_FOR_GIT = (
    (re.compile(rb"diff --(?:cc|combined) "), "a merge's diff, which can't be applied; git show -m makes one that can"),
    (re.compile(rb"\*\*\* \d+(?:,\d+)? \*\*\*\*$"), "a context diff; diff -u makes one that git can apply"),
    (re.compile(rb"Only in [^\s:]+: \S+$"), "a file that this diff leaves out; diff -urN makes one that has it"),
)  # fmt: skip
_GNU_BINARY = re.compile(rb"Binary files .+ and .+ differ$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stray:
    """A line that git apply would pass over, though it is part of the change."""

    line: int  # of the diff, from 1
    why: str


@dataclass(kw_only=True, slots=True)
class DiffText:
    """A diff as it stands in a text: from its first header to the end of its last hunk."""

    text: bytes = b""
    lines: list[bytes] = field(default_factory=list)
    segments: list[tuple[int, int]] = field(default_factory=list)  # lines of each file, from 0, end not included
    binaries: list[int] = field(default_factory=list)  # the lines `literal N` and `delta N`, from 0
    strays: list[Stray] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)  # the lines of file headers


def split_lines(text: bytes) -> list[bytes]:
    r"""Split at \n only: a lone \r is content."""
    return list(io.BytesIO(text))


def normal_line_ends(text: bytes) -> bytes:
    r"""LF for CRLF, when all lines end so, or all that are the diff's own: who sends it on adds lines with LF.

    Other CRLF among LF are content: a patch to a file that has them.
    """
    lines = text.count(b"\n")
    if not lines:
        return text.rstrip(b"\r")
    with_return = text.count(b"\r\n")
    all_end_so = lines == with_return or (with_return and _own_lines_end_so(text))
    return text.replace(b"\r\n", b"\n") if all_end_so else text


def _own_lines_end_so(text: bytes) -> bool:
    own = _OWN_LINES.findall(text)
    return bool(own) and all(line.endswith(b"\r\n") for line in own)


def has_diff(text: bytes) -> bool:
    return bool(_START.search(normal_line_ends(text)))


def find_diff(text: bytes, *, prose: bool = True) -> DiffText:
    """The diff in a text; an empty one where there is none. Before it may be `prose`, or more of what diff printed."""
    normal = normal_line_ends(text)
    start = _START.search(normal)
    if not start:
        return DiffText()
    head = split_lines(normal[: start.start()])
    found = _Scan(split_lines(normal[start.start() :])).scanned()
    # Before the first header, too: a merge's diff, a file that only one side has.
    found.strays[:0] = [Stray(line=1, why=why) for line in head for why in _not_for_git(line, prose=prose)]
    return found


def done_in(diff: DiffText, segment: tuple[int, int]) -> bytes:
    """What a diff does to one file, without names, dates, and the numbers of lines."""
    done: list[bytes] = []
    in_hunks = False
    for line in diff.lines[slice(*segment)]:
        hunk = _HUNK.match(line)
        in_hunks = in_hunks or bool(hunk)
        if in_hunks or not line.startswith((b"diff ", b"index ", b"--- ", b"+++ ")):
            done.append(b"@@\n" if hunk else line)
    return b"".join(done)


def _not_for_git(line: bytes, *, prose: bool = False) -> Iterator[str]:
    # In the text of a mail, only the first of these is never a sentence.
    for rule, why in _NOT_FOR_GIT[: 1 if prose else None]:
        if rule.match(line.rstrip(b"\r\n")):
            yield why


class _Scan:
    """One pass over the lines from the first header on."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.found = DiffText()
        self.end = 0
        self.in_git_header = False
        self.after_hunk = False

    def scanned(self) -> DiffText:
        at = 0
        while at < len(self.lines):
            at = self._step(at)
        self._end_segment(self.end)
        lines = self.lines[: self.end]
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        self.found.lines, self.found.text = lines, b"".join(lines)
        return self.found

    def _step(self, at: int) -> int:
        """Read what begins at a line; returns the line behind it."""
        line = self.lines[at]
        if hunk := _HUNK.match(line):
            return self._hunk(at, int(hunk[1] or 1), int(hunk[2] or 1))
        if self._begins_file(at):
            self._header(at)
        elif line.startswith(b"GIT binary patch") and self.found.segments:
            return self._binary(at + 1)
        elif self.after_hunk and line[:1] in (b" ", b"+", b"-") and not line.startswith((b"---", b"-- ", b"--\n")):
            self._stray_change(at)
            return at + 1
        elif line.startswith(b"@@"):
            self._stray(at, "no hunk header, though it looks like one: edited by hand, or mangled by a mail program?")
        elif line.startswith(b"\\") and self.after_hunk:
            self.end = at + 1
            return at + 1
        elif self.in_git_header and line.startswith(_FILE_HEADERS):
            self._header(at)
        else:
            self._prose(at)
        self.after_hunk = False
        return at + 1

    def _begins_file(self, at: int) -> bool:
        line = self.lines[at]
        if line.startswith(b"diff --git "):
            self._end_segment(at)
            self.found.segments.append((at, at))
            self.in_git_header = True
            return True
        pair = line.startswith(b"--- ") and self._starts(at + 1, b"+++ ") and self._starts(at + 2, b"@@ -")
        if pair and not self.in_git_header:
            self._end_segment(at)
            self.found.segments.append((at, at))
            self.found.headers.append(self.lines[at + 1])
        return pair

    def _starts(self, at: int, prefix: bytes) -> bool:
        return at < len(self.lines) and self.lines[at].startswith(prefix)

    def _end_segment(self, at: int) -> None:
        if self.found.segments:
            self.found.segments[-1] = (self.found.segments[-1][0], at)

    def _header(self, at: int) -> None:
        self.found.headers.append(self.lines[at])
        self.end = at + 1

    def _hunk(self, at: int, old: int, new: int) -> int:
        self.in_git_header = False
        self.after_hunk = True
        at += 1
        while at < len(self.lines) and (old > 0 or new > 0):
            takes = _TAKES.get(self.lines[at][:1])
            if takes is None:
                # A broken hunk. All of it goes to git, which says so.
                self.end = len(self.lines)
                return self.end
            old, new, at = old - takes[0], new - takes[1], at + 1
        self.end = at
        return at

    def _binary(self, at: int) -> int:
        self.in_git_header = self.after_hunk = False
        while at < len(self.lines) and _BINARY.match(self.lines[at]):
            self.found.binaries.append(at)
            while at < len(self.lines) and self.lines[at].strip():
                at += 1
            at += 1  # git wants the empty line, too
        self.end = min(at, len(self.lines))
        return self.end

    def _stray_change(self, at: int) -> None:
        # A context line too many changes nothing by itself; what follows it may.
        if self.lines[at][:1] != b" ":
            self._stray(at, "a changed line that no hunk counts: edited by hand, or mangled by a mail program?")

    def _prose(self, at: int) -> None:
        line = self.lines[at].rstrip(b"\r\n")
        for why in _not_for_git(line):
            self._stray(at, why)
        # In git's own form the line says what git apply will report.
        if _GNU_BINARY.match(line) and not self.in_git_header:
            self._stray(at, "a binary file that this diff leaves out; git diff --binary makes one that has it")
        elif self.in_git_header and _GNU_BINARY.match(line):
            self.end = at + 1

    def _stray(self, at: int, why: str) -> None:
        self.found.strays.append(Stray(line=at + 1, why=why))
