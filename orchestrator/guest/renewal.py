"""What makes a restored guest one of its own: its clock, its random numbers, and what it says of itself now."""

import shlex

from orchestrator.deadline import Deadline
from orchestrator.errors import InfraError
from orchestrator.guest.ssh import Guest

_ENTROPY_BYTES = 32


def renew_command(seconds: float, entropy: bytes) -> str:
    """The command that gives the guest the wall clock's time (seconds since 1970) and entropy; see renew.c."""
    return shlex.join(["/patchrig/renew", f"{seconds:.6f}", entropy.hex()])


def renewed(guest: Guest, until: Deadline, *, seconds: float, entropy: bytes) -> str:
    """Renew a restored guest; returns its facts, as in the ready line but for its config.

    Until then it has the random numbers of every other guest of the same saved state. Raises InfraError.
    """
    if len(entropy) < _ENTROPY_BYTES:
        raise InfraError(f"{len(entropy)} bytes are too little entropy for a guest")
    said = guest.run(renew_command(seconds, entropy), until)
    if said.status != 0:
        raise InfraError(f"a restored guest can't be renewed (status {said.status}): {said.text.strip()[:200]}")
    return said.text.strip()


def measured_speed(guest: Guest, until: Deadline) -> float:
    """How fast the guest is now, as speed.c measures it. Raises InfraError."""
    said = guest.run("/patchrig/speed", until)
    try:
        return float(said.text)
    except ValueError as e:
        raise InfraError(f"a guest's speed makes no sense: {said.text[:100]!r}") from e
