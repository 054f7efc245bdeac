# SPDX-License-Identifier: GPL-2.0-or-later
"""What to say about a name that nobody knows: what is allowed, and which name was probably meant."""

import difflib
from collections.abc import Collection, Sequence


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """One line for an error: the unknown name, the nearest known one, and all that are allowed."""
    allowed = ", ".join(sorted(known)) or "none"
    return f"unknown {what} {name!r}{did_you_mean(name, known)}; allowed: {allowed}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    return f", did you mean {by_folded[near[0]]!r}?" if near else ""


def repeated(names: Sequence[str]) -> tuple[str, ...]:
    """The names that occur more than once, in order."""
    return tuple(name for name in dict.fromkeys(names) if names.count(name) > 1)
