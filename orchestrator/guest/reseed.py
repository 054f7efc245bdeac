# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes a restored guest one of its own: its clock, its random numbers, and what it says of itself now."""

import re
import shlex

from orchestrator.guest.ssh import Guest
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import GuestNonsense, InfraError
from orchestrator.host.text import one_line

_ENTROPY_BYTES = 32


def reseed_command(seconds: float, entropy: bytes) -> str:
    """The command that gives the guest the wall clock's time (seconds since 1970) and entropy; see reseed.c."""
    return shlex.join(["/patchrig/reseed", f"{seconds:.6f}", entropy.hex()])


def reseed(guest: Guest, until: Deadline, *, seconds: float, entropy: bytes) -> str:
    """Reseed a restored guest; returns its facts, as in the ready line but for its config.

    Until then it has the random numbers of every other guest of the same saved state. Raises InfraError.
    """
    if len(entropy) < _ENTROPY_BYTES:
        raise InfraError(f"{len(entropy)} bytes are too little entropy for a guest")
    said = guest.run(reseed_command(seconds, entropy), until)
    if said.status != 0:
        raise InfraError(f"a restored guest can't be reseeded (status {said.status}): {one_line(said.text, 200)}")
    return said.text.strip()


def measured_speed(guest: Guest, until: Deadline) -> float:
    """How fast the guest is now, as speed.c measures it. Raises InfraError."""
    said = guest.run("/patchrig/speed", until).text.strip()
    if not _SPEED.fullmatch(said):
        raise GuestNonsense(f"a guest's speed makes no sense: {one_line(said, 100)!r}")
    return float(said)


_SPEED = re.compile(r"(?=.*[1-9])\d{1,7}(?:\.\d{1,9})?", re.ASCII)
