# SPDX-License-Identifier: GPL-2.0-or-later
"""What the functions of a C source text call, by its words alone (pure)."""

import re
from collections.abc import Iterator

from orchestrator.kernel.code.c_functions import function_extents

_WORD = re.compile(r"\b[A-Za-z_]\w*\b")


def calls_in(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Each function with the words in it, its own name left out: what it calls or passes on is among them."""
    lines = text.split("\n")
    for extent in function_extents(text):
        words = frozenset(_WORD.findall("\n".join(lines[extent.first - 1 : extent.last])))
        yield extent.name, words - {extent.name}
