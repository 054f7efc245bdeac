# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a change of C code is one of comments and blanks alone. Pure."""

import re

from orchestrator.model.series_diff import ChangedFile, DiffLine

# A string, or a comment, or a word, or another character.
_PART = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?(?:\*/|\Z)|//[^\n]*|\w+|\S', re.DOTALL)
# Where a hunk begins inside a comment: its lines as the kernel writes them, and its end.
_INSIDE = re.compile(r"^\s*\*(?:\s.*)?$", re.MULTILINE)
_END = re.compile(r"\A(?:(?!/\*).)*?\*/", re.DOTALL)
_C = (".c", ".h")


def changes_only_comments(file: ChangedFile) -> bool:
    """Whether the code of a file is the same with the change and without it."""
    return file.path.endswith(_C) and bool(file.hunks) and all(map(_is_same_code, file.hunks))


def changes_no_code(file: ChangedFile) -> bool:
    """Whether a file of code has the same code: comments, or its mode, are all that is changed."""
    return changes_only_comments(file) or (file.path.endswith(_C) and not file.hunks)


def _is_same_code(hunk: tuple[DiffLine, ...]) -> bool:
    # A macro's lines end where they end.
    if any(line.text.endswith("\\") and line.kind != " " for line in hunk):
        return False
    return _code("\n".join(line.text for line in hunk if line.kind != "+")) == _code(
        "\n".join(line.text for line in hunk if line.kind != "-")
    )


def _code(text: str) -> list[str]:
    text = _END.sub("", _INSIDE.sub("", text))
    return [part for part in _PART.findall(text) if not part.startswith(("/*", "//"))]
