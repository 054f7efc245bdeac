# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known after a guest has ended, the console apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import PlainSerializer

from orchestrator.model.blocks import Early, Executed
from orchestrator.model.interfaces import InterfaceUse
from orchestrator.model.probes import ChangedSeen, SiteSeen
from orchestrator.model.stacks import StackFrame
from orchestrator.model.subtests import SuiteResult


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """A page whose record was not what was written last."""

    page: int
    kind: Literal["wrong", "stale", "torn", "foreign", "nonzero", "lost-update"]
    expected: str
    seen: str
    promise: str = ""  # what user space was promised, and by whom; "" where the workload does not say


@dataclass(frozen=True, kw_only=True, slots=True)
class UnexpectedError:
    """A system call that failed in a way that the kernel must not show."""

    call: str
    errno: str
    count: int
    promise: str = ""  # as of a mismatch


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounting:
    """What the guest's kernel said of its memory before the load and after it, both with all devices off.

    The names of figures say where they come from: vmstat.nr_shmem is a line of /proc/vmstat.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    left_pages: tuple[str, ...] = ()  # the first few pages that nobody maps, and that are charged to the load's cgroup
    lacking: Mapping[str, str] = field(default_factory=dict)  # figure -> why this guest can't give it


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadResult:
    """The JSON line that a workload ends with."""

    operations: int
    verified: int
    mismatch_count: int
    mismatches: tuple[Mismatch, ...]  # the first few
    errors: tuple[UnexpectedError, ...]
    swapoffs: int
    swapoff_longest_ms: float
    swapoff_stuck: bool
    # pydantic writes no Mapping but a dict.
    counters: Annotated[Mapping[str, int], PlainSerializer(dict, return_type=dict[str, int])]
    """Name -> growth from before to after."""
    lacking: Mapping[str, str] = field(default_factory=dict)  # counter -> why this kernel can't count that
    missing: str = ""  # what the guest could not provide, in one line ("" when nothing)
    changed: Mapping[str, int | None] = field(default_factory=dict)
    """Number of a function that the series changed -> how often it was seen to run; None: it could not be probed."""
    interfaces: tuple[InterfaceUse, ...] = ()  # of the series
    accounting: Accounting | None = None  # None: the load did not come to its end, or the program does not take it


class Fault(StrEnum):
    """Whose doing it is that a cell was lost."""

    MACHINE = "machine"  # which may lose the next one, too
    GUEST = "guest"  # what it says of itself makes no sense
    OURS = "patchrig"


class Ending(StrEnum):
    """How the watch over one guest ended."""

    REPORTED = "reported"
    SWAPOFF_STUCK = "swapoff-stuck"
    NO_PROGRESS = "no-progress"
    TIMED_OUT = "timed-out"
    GUEST_GONE = "guest-gone"
    SSH_LOST = "ssh-lost"
    NEVER_READY = "never-ready"
    PROGRAM_DIED = "program-died"
    STOPPED = "stopped"  # by us or by itself, at a splat of the kernel: the console says which
    INTERRUPTED = "interrupted"
    LOST = "lost"  # our own trouble; `detail` says which


@dataclass(frozen=True, kw_only=True, slots=True)
class StuckTask:
    """A task of a hung guest that two looks found in the same place, or running without an end."""

    task: str
    pid: int
    running: bool  # it used a CPU in between; else it sleeps uninterruptibly
    stack: tuple[StackFrame, ...]  # () where the kernel did not show it


@dataclass(frozen=True, kw_only=True, slots=True)
class Standstill:
    """What the host gave a guest in the time in which it should have got on and did not."""

    seconds: float
    ran: float  # CPU seconds that QEMU's threads got, all together
    waited: float  # seconds in which they were ready and another program had the CPU, all together


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """All that is known after a guest has ended, the console apart."""

    ending: Ending
    detail: str = ""
    fault: Fault | None = None  # of a run that ended as LOST
    hint: str = ""  # what to type next, where that is known
    broken: str = ""  # how the workload broke the protocol: then nothing that it reported proves anything
    result: WorkloadResult | None = None
    exit_status: int | None = None
    boot_seconds: float | None = None  # QEMU's start to the first SSH command done
    restored: bool = False  # from a snapshot; else it was booted
    guest_seconds: float = 0.0
    speed: float | None = None  # the guest's fixed loop, iterations per microsecond
    accelerator: str = ""
    evidence: tuple[str, ...] = ()  # names of the files in evidence/
    starved: float | None = None  # share of the time wanted on a CPU that QEMU waited for one; None: not known
    stuck: tuple[StuckTask, ...] = ()
    moved: Mapping[str, int] = field(default_factory=dict)  # counters of a hung guest that grew between two looks
    standstill: Standstill | None = None  # None: it got on, or this host does not tell
    suite: SuiteResult | None = None  # None: the workload is no test suite
    executed: Executed | None = None  # None: not an instrumented kernel, or the guest was gone before it could be asked
    early: Early = field(default_factory=dict)
    mutant_counts: Mapping[int, int] | None = None  # mutant -> how often its place ran; None: the guest did not say
    sites: tuple[SiteSeen, ...] = ()  # those of the workload
    changed: ChangedSeen | None = None  # None: a baseline, or no result
