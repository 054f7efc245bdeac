# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run spends its time on."""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a piece of work spends its time on, in the order in which things happen."""

    FETCH = "fetch"  # the source, or files of a guest
    PATCH = "patch"  # waiting for the tree, applying the series
    CONFIGURE = "configure"
    COMPILE = "compile"
    PACK = "pack"  # what a guest starts from: changed lines, initramfs, copies in the run's folder
    BOOT = "boot"  # QEMU's start to the ready line
    RESTORE = "restore"  # a guest from a snapshot instead
    SETUP = "setup"  # the SSH session, the workload's devices and settings
    WORKLOAD = "workload"
    EVIDENCE = "evidence"  # of a hang
    COLLECT = "collect"  # what is left to read, and QEMU's end
    JUDGE = "judge"


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A phase from its start to its end, in seconds since the run began."""

    phase: Phase
    start: float
    end: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """What something that is no cell spent its time on: the kernel source, a build."""

    name: str
    spans: tuple[Span, ...]
