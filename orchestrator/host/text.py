# SPDX-License-Identifier: GPL-2.0-or-later
"""Text of strangers (a guest, a Makefile, a patch): shown so that it moves no cursor, and read in bounded pieces."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LONGEST_LINE = 4096
"""Characters of a line that anybody looks at; what follows is cut off."""

# Letters and marks to Unicode that show nothing: a grapheme joiner, fillers, variation selectors. All other characters
# that show nothing, or change how their neighbours are shown, are not printable() to Python: C0, DEL, C1, the controls
# of bidirectional text (CVE-2021-42574), zero-width ones, line and paragraph separators, lone surrogates, tags.
_BLANK = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U0001d173-\U0001d17a"
    "\U000e0100-\U000e01ef"
)
_ESCAPED = re.compile(r"[^\t\n\x20-\x7e\xa1-\xac\xae-\u02ff]")
_BLANKS = re.compile(f"[{_BLANK}]")


def printable(text: str) -> str:
    """The text with everything but what can be seen, tabs and newlines written out: \\x1b, \\u202e, \\ud800."""
    return _ESCAPED.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() and not _BLANKS.match(char) else ascii(char)[1:-1]


def one_line(text: str, most: int = 300) -> str:
    """The text on one line of at most `most` characters, printable: for a title, or an error that quotes somebody."""
    shown = printable(" ".join(text[: 4 * most].split()))
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON in ASCII that a terminal can show, too: half of a surrogate pair, as a console may hold it, is no UTF-8."""
    text = json.dumps(value) if indent is None else _indented(value, " " * indent, "\n")
    return text.replace("\x7f", "\\u007f")


# A newline is in no string of JSON.
_FLAT = json.JSONEncoder(separators=("\n", ": "))


def _indented(value: object, step: str, margin: str) -> str:
    """As json.dumps(indent=...) has it, which is not written in C: here each container is, without those in it."""
    if not isinstance(value, dict | list | tuple) or not value:
        return json.dumps(value)
    members = list(value.values() if isinstance(value, dict) else value)
    inner = {place: one for place, one in enumerate(members) if one and isinstance(one, dict | list | tuple)}
    shallow = [0 if place in inner else one for place, one in enumerate(members)] if inner else members
    text = _FLAT.encode(dict(zip(value, shallow, strict=True)) if isinstance(value, dict) else shallow)
    lines = text[1:-1].split("\n")
    for place, one in inner.items():
        lines[place] = lines[place][:-1] + _indented(one, step, margin + step)
    return f"{text[0]}{margin}{step}{f',{margin}{step}'.join(lines)}{margin}{text[-1]}"


def capped_lines(file: BinaryIO, *, longest: int = LONGEST_LINE) -> Iterator[str]:
    """The lines of a file of any size, without their ends; of one that is longer than `longest` bytes, the start."""
    while piece := file.readline(longest):
        if piece.endswith(b"\n"):
            yield piece.decode(errors="replace").removesuffix("\n").removesuffix("\r")
            continue
        yield piece.decode(errors="replace")
        while piece and not piece.endswith(b"\n"):
            piece = file.readline(1 << 16)


def beginning_of(path: Path, *, most: int = 4 << 20) -> str:
    """The first `most` bytes of a file."""
    with path.open("rb") as file:
        return file.read(most).decode(errors="replace")


def end_of(file: BinaryIO, *, most: int = 1 << 16, start: int = 0) -> str:
    """The last `most` bytes of a file, none before `start`; where some are left out, from the start of a line on."""
    size = file.seek(0, 2)
    file.seek(max(start, size - most))
    text = file.read(most).decode(errors="replace")
    return text if size - start <= most else text.partition("\n")[2] or text
