# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mutant a guest's kernel is, and which places of mutants its load passed: kernels/overlays/mutants."""

import re
from collections.abc import Mapping

from orchestrator.guest.ssh import Guest, GuestUnreachable
from orchestrator.host.deadline import Deadline
from orchestrator.host.text import one_line

_NUMBER = "/sys/module/kernel/parameters/patchrig_mutant"
_PASSED = "/proc/patchrig_reached"
_LINE = re.compile(r"(\d{1,5}) (\d{1,10})", re.ASCII)
_SHOWN = 80


def tell_mutant(guest: Guest, number: int, until: Deadline) -> str:
    """Make the guest's kernel that mutant and read it back; why that failed, or "".

    From then on its places are counted. Raises GuestUnreachable.
    """
    said = guest.run(f"echo {number} > {_NUMBER} && cat {_NUMBER}", until).text.strip()
    if said == str(number):
        return ""
    return f"the guest does not take the number of mutant {number}: it says {one_line(said, _SHOWN)!r}"


def passed_places(guest: Guest, number: int, until: Deadline) -> Mapping[int, int] | None:
    """Mutant -> how often its place was passed since the guest was told its own number.

    None where the guest does not say, or no longer has that number.
    """
    try:
        first, *lines = guest.run(f"cat {_PASSED}", until).text.splitlines() or [""]
    except GuestUnreachable:
        return None
    found = [_LINE.fullmatch(line) for line in lines]
    if first != str(number) or None in found:
        return None
    return {int(line[1]): int(line[2]) for line in found if line}
