# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest says on its console of the two places of a claimed race."""

import re
from collections.abc import Iterable

from orchestrator.model.claims import Meetings, PlaceCounts

_FOUR = r" (\d{1,18}) (\d{1,9}) (\d{1,9}) (\d{1,9})"
_SAID = re.compile(rf"^(?:\[[^\]]*\] ?)*patchrig: sites A{_FOUR} B{_FOUR}$", re.ASCII)


def meetings_in(lines: Iterable[str]) -> Meetings | None:
    """The last that it said; None: nothing. A guest that ends well says it at the end, others when they met."""
    found = None
    for line in lines:
        if m := _SAID.match(line.rstrip("\r\n")):
            numbers = [int(text) for text in m.groups()]
            a, b = numbers[:4], numbers[4:]
            found = Meetings(a=_counts(*a), b=_counts(*b))
    return found


def _counts(hits: int, holds: int, met: int, passes: int) -> PlaceCounts:
    return PlaceCounts(hits=hits, holds=holds, met=met, passes=passes)
