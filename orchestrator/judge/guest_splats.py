# SPDX-License-Identifier: GPL-2.0-or-later
"""By what a guest that nobody watches sees that it has failed: the judge's patterns, for lib/splats.h (pure)."""

import re
from collections.abc import Iterable, Sequence

from orchestrator.judge.extended_regex import extended, group_of
from orchestrator.judge.patterns import CHECK_PLACES, CHECK_TITLES, OUTER, PATTERNS, WORDS, Pattern
from orchestrator.judge.verdict import WAITING
from orchestrator.model.configuration import Allowed
from orchestrator.model.crashes import CrashKind, Severity

# A hang is given its time and looked into, and most data races only turn out to be notes at the end.
GOES_ON = frozenset({*WAITING, CrashKind.KCSAN})
# So many lines behind an allowed splat another one may be a part of it.
_WITHIN = max(pattern.within for pattern in PATTERNS)


def splats_text(allow: Iterable[Allowed]) -> str:
    """The rows: which lines fail a cell with these exceptions. A line is what the first pattern says that matches it.

    A pattern that C code can't match is left out: a guest that does not see a splat goes on, and is judged as ever.
    """
    titles = [allowed.title for allowed in allow]
    lines = [f"within {_WITHIN}", *(f"word {word}" for word in WORDS)]
    for pattern in PATTERNS:
        text = extended(pattern.line.pattern.replace(OUTER, ""))
        if text and not pattern.behind:
            lines.append(f"{_verb(pattern, titles)} {text}")
    return "".join(f"{line}\n" for line in lines)


def _verb(pattern: Pattern, titles: Sequence[str]) -> str:
    if pattern.severity is not Severity.FATAL or pattern.prose or pattern.kind in GOES_ON:
        return "passes"
    return "allowed" if any(_may_be(pattern, title) for title in titles) else "fails"


def _may_be(pattern: Pattern, title: str) -> bool:
    """Whether a splat of this pattern may have the title; in doubt it may."""
    if not pattern.title.startswith("{"):
        others = [place.title for place in CHECK_PLACES] if pattern.title in CHECK_TITLES else []
        return any(title.startswith(one.partition("{")[0]) for one in (pattern.title, *others))
    name = pattern.title[1:].partition("}")[0]
    return re.match(group_of(pattern.line.pattern, name), title) is not None
