# SPDX-License-Identifier: GPL-2.0-or-later
"""What may be worth writing to the interface files of a series, by the lines that it adds (pure)."""

import re
from collections.abc import Iterable, Iterator

from orchestrator.model.series_diff import SeriesDiff

# As WORDS_MAX and WORD_SIZE in guest-scripts/lib/interface.h.
MOST_WORDS = 40
_LONGEST = 150
_C = (".c", ".h")

# "echo TEXT > FILE" of a document.
_ECHO = re.compile(r"\becho\s+(?:-n\s+)?(\"[^\"]*\"|'[^']*'|[^\s>|;]+)\s*>>?\s*\S")
_COMPARED = re.compile(
    r"\b(?:sysfs_streq|strcmp|strncmp|strcasecmp|strncasecmp|strstarts|str_has_prefix|strstr)\s*\([^;\"]{0,120}\"([^\"]+)\""
)
_SCANNED = re.compile(r"\bsscanf\s*\([^;\"]{0,120}\"([^\"]+)\"")
_MATCHED = re.compile(r"\{\s*\w+\s*,\s*\"([^\"]+)\"\s*\}")
_OF_ARRAY = re.compile(r"\]\s*=\s*\"([^\"]+)\"")
_CONVERSION = re.compile(r"%[-0-9.*]*(?:h|hh|l|ll|z|t)?([a-z])")
_SEPARATORS = re.compile(r"\b(?:strsep|strtok|strpbrk|strspn|strcspn)\s*\([^;\"]{0,120}\"([^\"]+)\"")
_CHARACTER = re.compile(r"'([^\\'\w\s])'")
_SIGNS = "+-!~"
_PRINTABLE = re.compile(r"[ -~]+")


def interface_words(diff: SeriesDiff) -> tuple[str, ...]:
    """Lines to write: examples of documents, words that the code compares with, and the form that it parses."""
    lines = [(file.path, text) for file in diff.files for text in file.lines("new").values()]
    code = "\n".join(text for path, text in lines if path.endswith(_C))
    words = [
        *_examples(text for _, text in lines),
        *(word for form in (_COMPARED, _SCANNED, _MATCHED, _OF_ARRAY) for word in map(_filled, form.findall(code))),
        *_parsed(code),
    ]
    good = (word for word in words if len(word) <= _LONGEST and _PRINTABLE.fullmatch(word) and "\\" not in word)
    return tuple(dict.fromkeys(good))[:MOST_WORDS]


def _examples(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        for quoted in _ECHO.findall(line):
            yield quoted[1:-1] if quoted[0] in "\"'" else quoted


def _filled(form: str) -> str:
    """A format with something in the place of each conversion."""
    return _CONVERSION.sub(lambda match: "a" if match[1] in "sc" else "1", form)


def _parsed(code: str) -> Iterator[str]:
    """Items with the signs and marks that the code looks for, alone and in a list."""
    characters = dict.fromkeys(_CHARACTER.findall(code))
    signs = [one for one in characters if one in _SIGNS]
    marks = [one for one in characters if one in ":=@/"]
    # Of the text before the first escape: a line has no line ends, and blanks are as good as tabs.
    between = dict.fromkeys(one for text in _SEPARATORS.findall(code) for one in text.split("\\")[0])
    items = [f"{sign}{item}" for sign in signs for item in ("a", *(f"b{mark}1" for mark in marks))]
    items += [] if signs else [f"a{mark}1" for mark in marks]
    yield from items
    yield from (separator.join(items) for separator in between if separator not in marks)
