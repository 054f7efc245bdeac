# SPDX-License-Identifier: GPL-2.0-or-later
"""Data races, of which mm has many on purpose or since ever: which of them are the series' own (pure).

A detector that makes every kernel red says nothing of a series. A race counts against it only if one of the two tasks
was in a function that the series changes; all others are noted, with this reason, and the report still says whether
the baseline shows them.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.stacks import SourceLine

WITHOUT_SERIES = "a data race of the kernel without the series"
ELSEWHERE = "a data race of code that the series does not change"


def weighed(crashes: Iterable[Crash], variant: Variant) -> tuple[Crash, ...]:
    """The crashes with their places known; data races that are not the series' own are notes, with the reason.

    Where it is not known what the frames stand for, or what the series changed, a race stays as it is: fatal. Of a
    console with very many splats only the first are explained; a later race is what the first of its title is.
    """
    crashes = tuple(crashes)
    foreign = {crash.title for crash in crashes if _is_foreign(crash)}
    return tuple(_weighed(crash, variant, foreign) for crash in crashes)


def _weighed(crash: Crash, variant: Variant, foreign: Collection[str]) -> Crash:
    if crash.kind is not CrashKind.KCSAN:
        return crash
    if variant is Variant.BASELINE:
        return replace(crash, severity=Severity.NOTE, noted=WITHOUT_SERIES)
    if _is_foreign(crash) or (not _places(crash) and crash.title in foreign):
        return replace(crash, severity=Severity.NOTE, noted=ELSEWHERE)
    return crash


def _is_foreign(crash: Crash) -> bool:
    """Whether both accesses are known to be in code that the series does not change."""
    sides = _places(crash)
    known = len(sides) == len(crash.accesses) > 0 and not crash.unexplained
    return known and not any(place.changed for places in sides for place in places)


def _places(crash: Crash) -> list[tuple[SourceLine, ...]]:
    return [places for at in crash.accesses if (places := crash.stack[at].places)]
