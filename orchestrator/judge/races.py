"""Data races, of which mm has many on purpose or since ever: which of them are the series' own (pure).

A detector that makes every kernel red says nothing of a series. A race counts against it only if one of the two tasks
was in a function that the series changes; all others are noted, with this reason, and the report still says whether
the baseline shows them.
"""

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.model import Crash, CrashKind, Severity, Variant

WITHOUT_SERIES = "a data race of the kernel without the series"
ELSEWHERE = "a data race outside of the functions that the series changes"


def weighed(crashes: Iterable[Crash], variant: Variant) -> tuple[Crash, ...]:
    """The crashes with their places known; data races that are not the series' own are notes, with the reason.

    Where it is not known what the frames stand for, or what the series changed, a race stays as it is: fatal.
    """
    return tuple(_weighed(crash, variant) for crash in crashes)


def _weighed(crash: Crash, variant: Variant) -> Crash:
    if crash.kind is not CrashKind.KCSAN:
        return crash
    if variant is Variant.BASELINE:
        return replace(crash, severity=Severity.NOTE, noted=WITHOUT_SERIES)
    places = [place for frame in crash.stack for place in frame.places]
    if not places or crash.unexplained or any(place.changed for place in places):
        return crash
    return replace(crash, severity=Severity.NOTE, noted=ELSEWHERE)
