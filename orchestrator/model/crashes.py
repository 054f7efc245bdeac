# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash on a kernel's console, and the same crash in all cells of a run."""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.model.stacks import StackFrame


class CrashKind(StrEnum):
    """The family of a kernel splat."""

    KASAN = "kasan"
    KCSAN = "kcsan"
    KFENCE = "kfence"
    KMSAN = "kmsan"
    UBSAN = "ubsan"
    LOCKDEP = "lockdep"
    RCU = "rcu"
    ATOMIC = "atomic"
    MEMORY = "memory"
    LIST = "list"
    REFCOUNT = "refcount"
    ODEBUG = "odebug"
    SLUB = "slub"
    OOPS = "oops"
    BUG = "bug"
    WARNING = "warning"
    PANIC = "panic"
    HANG = "hang"
    LOCKUP = "lockup"
    STALL = "stall"
    LEAK = "leak"
    REBOOT = "reboot"
    SWAP = "swap"
    OTHER = "other"


class Severity(StrEnum):
    NOTE = "note"  # reported, fails nothing
    COVERAGE = "coverage"  # fails nothing, but from here on a check of the kernel's own is off
    FATAL = "fatal"  # fails the cell


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """One kernel splat on the console."""

    kind: CrashKind
    title: str  # the same for the same bug on both arches and in the next run: no addresses, no pids
    function: str  # first frame that is not infrastructure; "" when there is none
    line: int  # of the console text, from 1
    severity: Severity
    frames: tuple[str, ...] = ()
    corrupted: bool = False
    follow_up: bool = False  # came after a first fatal crash of the same guest
    allowed: str = ""  # the matrix's reason for not failing on it
    noted: str = ""  # why it is a note, where others of its kind fail a cell
    text: str = ""  # the lines around it
    task: str = ""  # the command that ran, or that hangs; "" where the report does not say
    stack: tuple[StackFrame, ...] = ()  # the frames with their offsets; an exact one may come first
    first: int = 0  # of the stack, the frame of `function`, or else the first that is not infrastructure
    accesses: tuple[int, ...] = ()  # of the stack, the first frame of each of the two sides of a data race
    excerpt: tuple[str, ...] = ()  # the source around the first frame that is no infrastructure
    unexplained: str = ""  # why file and line, or the functions that the series changed, are not known

    @property
    def fails(self) -> bool:
        """Whether it fails its cell."""
        return self.severity is Severity.FATAL and not self.allowed


class Comparison(StrEnum):
    """Whose a splat is, where a run has cells with the series and cells without."""

    ONLY_WITH = "only with the series"
    BOTH = "with and without"
    ONLY_WITHOUT = "only without"
    # No matching cell of the other variant ran to its end, so its silence says nothing.
    NOT_KNOWN_WITHOUT = "with the series, not known without"
    NOT_KNOWN_WITH = "without the series, not known with"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """In how many cells of one variant something was seen, of how many that tell."""

    seen: int
    cells: int  # that show it, or ran to their end without it


@dataclass(frozen=True, kw_only=True, slots=True)
class CrashEntry:
    """One splat of the kernel, however many cells and repeats show it."""

    title: str
    kind: CrashKind
    severity: Severity
    count: int  # cells
    cells: tuple[str, ...]  # their names
    reports: int  # on all consoles together; one console gives a title ten times at most
    follow_up: bool  # it never came first
    allowed: str = ""
    compared: Comparison | None = None  # None where only one variant ran
    with_series: Tally | None = None
    without_series: Tally | None = None

    @property
    def fails(self) -> bool:
        """Whether it fails its cells."""
        return self.severity is Severity.FATAL and not self.allowed
