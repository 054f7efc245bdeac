# SPDX-License-Identifier: GPL-2.0-or-later
"""The words of a workload's command, in which {seconds} and the like stand for what is known when it starts (pure)."""

import re
from collections.abc import Mapping

NAMES = ("seconds", "seed", "limit")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def filled(word: str, values: Mapping[str, int]) -> str:
    """The word with a value in place of each {name} that has one; other braces stay."""
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), word)


def placeholder_problem(word: str) -> str:
    """What is wrong with the placeholders of a word; "" when nothing is."""
    wrong = [name for name in _PLACEHOLDER.findall(word) if name not in NAMES]
    return f"unknown {{{wrong[0]}}} in {word!r}; allowed: {', '.join(f'{{{name}}}' for name in NAMES)}" if wrong else ""
