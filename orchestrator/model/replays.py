# SPDX-License-Identifier: GPL-2.0-or-later
"""What decides how a deterministic guest runs, and what it said: two of them are compared (pure)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsoleDigest:
    """A console in short."""

    sha256: str
    size: int
    lines: int
    guest_seconds: float  # the stamp of the last line that has one


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayRecord:
    """One run of a deterministic guest."""

    qemu: str  # the first line of its --version
    argv: tuple[str, ...]  # by hand, in the cell's folder
    image: str  # SHA-256
    initramfs: str  # SHA-256
    seed: int
    shift: int  # an instruction takes 2^shift ns of guest time
    console: ConsoleDigest
    key: str = ""  # from which anybody can build it again; "": a run of an earlier version, or there is none

    @property
    def instructions(self) -> int:
        """Of all CPUs up to the last stamp, the time in which all of them waited counted as if they had run."""
        return round(self.console.guest_seconds * 1e9) >> self.shift


def other_inputs(before: ReplayRecord, now: ReplayRecord) -> Iterator[str]:
    """In what the inputs of two runs differ, in words."""
    if before.qemu != now.qemu:
        yield f"another QEMU: {before.qemu!r} and {now.qemu!r}"
    if before.image != now.image:
        yield f"another image: SHA-256 {before.image[:16]} and {now.image[:16]}"
    if before.initramfs != now.initramfs:
        yield f"another initramfs: SHA-256 {before.initramfs[:16]} and {now.initramfs[:16]}"
    if before.argv != now.argv:
        old, new = first_difference(before.argv, now.argv)[1:]
        yield f"another command line of QEMU: {old!r} and {new!r}"


def first_difference(before: Sequence[str], now: Sequence[str]) -> tuple[int, str, str]:
    """The index of the first item that differs, and both; "" for one that is not there."""
    both = min(len(before), len(now))
    at = next((at for at in range(both) if before[at] != now[at]), both)
    return at, (*before[at : at + 1], "")[0], (*now[at : at + 1], "")[0]
