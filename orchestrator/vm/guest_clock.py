# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's own clock, as the stamps on its console tell it."""

import re
from collections.abc import Iterable

from orchestrator.vm.qemu import READY

_STAMP = re.compile(r"^\[ *(\d{1,10}\.\d{6})\]")


def stamp_of(line: str) -> float | None:
    """Guest seconds at which a line of the console was printed; None where it has no stamp."""
    stamp = _STAMP.match(line)
    return float(stamp[1]) if stamp else None


def ready_at(lines: Iterable[str]) -> float | None:
    """Guest seconds at which the guest was ready for its workload; None where it was not, or did not say when."""
    return next((stamp_of(line) for line in lines if READY.search(line)), None)


def seconds_since_ready(lines: Iterable[str]) -> float | None:
    """Guest seconds from the ready line to the last line that has a stamp; None where the guest did not get ready."""
    ready: float | None = None
    last = 0.0
    for line in lines:
        last = stamp_of(line) or last
        if ready is None and READY.search(line):
            ready = stamp_of(line)
    return None if ready is None else max(0.0, last - ready)
