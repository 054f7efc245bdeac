# SPDX-License-Identifier: GPL-2.0-or-later
"""The schedule of a deterministic guest: what its cell's seed decides about the order in which its CPUs run (pure)."""

import hashlib
from dataclasses import dataclass

# Instructions per second of guest time are 10^9 / 2^shift: 250 million, or 125 million.
_SHIFTS = (2, 3)
_MOST_ROUNDS = 1 << 20
# Iterations per microsecond of guest_speed() at shift 0, all CPUs together: measured 39.7 (x86_64) and 47.4 (arm64) at
# shift 2. Four CPUs share them.
_SPEED = 80.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Each field moves the points at which QEMU lets the next CPU of the guest run."""

    shift: int  # an instruction takes 2^shift ns of guest time
    skew: bool  # the timer ticks of the CPUs do not come at the same moment
    rounds: int  # of a loop before the workload starts: where between two ticks it does
    seed: int  # of QEMU's own random numbers

    @property
    def speed(self) -> float:
        """What time limits are scaled with; a measured speed would make them another input."""
        return _SPEED / (1 << self.shift)


def schedule_of(seed: int) -> Schedule:
    """Of the cell's seed, and of nothing else."""
    digest = hashlib.sha256(f"schedule {seed}".encode()).digest()
    return Schedule(
        shift=_SHIFTS[digest[0] % len(_SHIFTS)],
        skew=bool(digest[1] & 1),
        rounds=int.from_bytes(digest[2:6], "big") % _MOST_ROUNDS,
        seed=int.from_bytes(digest[6:10], "big"),
    )
