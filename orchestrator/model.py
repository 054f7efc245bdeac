"""The values that cross stages. Nothing here does anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.coverage import CoverageMap, Executed, Widening

# --- plan: what the YAML files say -------------------------------------------------------------


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DeviceKind(StrEnum):
    VIRTIO_BLK = "virtio-blk"
    ZRAM = "zram"
    NULL_BLK = "null_blk"
    SWAPFILE = "swapfile"


class SwapDevice(_Schema):
    """One swap device of the guest, made ready (mkswap, non-rotational) before the workload starts."""

    kind: DeviceKind
    size_mib: Annotated[int, Field(gt=0, le=4096)]
    priority: Annotated[int, Field(ge=0, le=32767)] = 10
    latency_us: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Completion latency; only null_blk has one."""


Counter = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.\-]+$")]


class Allowed(_Schema):
    """A crash title that does not fail a cell, with the reason why."""

    title: str
    reason: Annotated[str, Field(min_length=1)]


class Workload(_Schema):
    """One guest program and what it must prove; configs/workloads/*.yaml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    summary: str
    program: PurePosixPath
    """Relative to guest-scripts/ or the YAML file: a .c file is compiled statically per arch, others are copied."""
    arguments: tuple[str, ...] = ()
    devices: Annotated[tuple[SwapDevice, ...], Field(min_length=1)]
    memory_mib: Annotated[int, Field(ge=128, le=65_536)] = 512
    cpus: Annotated[int, Field(ge=1, le=8)] = 4
    cgroup: Mapping[str, str] = {}
    """Control file of the workload's own cgroup -> what is written to it (memory.high: 64M)."""
    settings: Mapping[str, str] = {}
    """Absolute path in the guest -> what is written to it before swapon (/proc/sys/vm/page-cluster: "3")."""
    probe: str = "get_swap_device"
    """Kernel function whose calls are counted per site (a kretprobe that records the call stack)."""
    sites: Mapping[str, tuple[str, ...]] = {}
    """Site -> functions any one of which, in the probe's call stack, says that this is the site."""
    files: tuple[str, ...] = ()
    """Kernel source files that it is meant to reach, its own first: who looks for a bug in one of them runs it."""
    widen_only: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], ...] = ()
    """Where a widened kernel delays it, of the functions that the series changes, unless --widen only= says."""
    exercised: Annotated[Mapping[Counter, Annotated[int, Field(gt=0)]], Field(min_length=1)]
    """Counter -> how much it must grow, else the cell ends as not exercised."""
    allow: tuple[Allowed, ...] = ()
    """What the workload itself makes every kernel say."""


class Variant(StrEnum):
    BASELINE = "baseline"
    PATCHED = "patched"


class Matrix(_Schema):
    """configs/*.yaml as the user wrote it; paths are relative to the file."""

    kernel: str
    """A name in kernels/ (6.19 is kernels/6.19.yaml)."""
    series: tuple[Path, ...] = ()
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = (Variant.PATCHED,)
    flavours: Annotated[tuple[str, ...], Field(min_length=1)] = ("plain",)
    arches: Annotated[tuple[str, ...], Field(min_length=1)] = ("x86_64", "arm64")
    workloads: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names in workloads/ beside the matrix or in configs/workloads/, or paths of YAML files."""
    seconds: Annotated[int, Field(gt=0, le=86_400)] = 20
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    repeat: Annotated[int, Field(gt=0, le=10_000)] = 1
    widen: str = ""
    """How a widened flavour delays: chance=2%,max=30ms,spin=1ms,hold=500ms,rest=10%,only=F+F; all else is so."""
    allow: tuple[Allowed, ...] = ()


class SourcePlace(_Schema):
    """Where a kernel tarball can be had: a URL, or a path relative to the Debian mirror that apt uses."""

    url: str = ""
    debian: str = ""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class KernelSource(_Schema):
    """kernels/NAME.yaml: an ordered list of places, each with its SHA-256."""

    version: str
    places: Annotated[tuple[SourcePlace, ...], Field(min_length=1)]


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
"""Part of the name of a file or folder, also when it is read from a run that came from elsewhere: never ".."."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """One kernel to build: what all cells with the same variant, flavour and arch share."""

    variant: Variant
    flavour: Name
    arch: Name

    @property
    def name(self) -> str:
        return f"{self.variant}.{self.flavour}.{self.arch}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One square of the matrix, one guest."""

    build: Build
    workload: Workload
    seconds: int
    seed: int
    repeat: int  # counts from 1
    repeats: int
    widening: Widening | None = None  # None: this flavour does not widen anything

    @property
    def name(self) -> str:
        suffix = f".{self.repeat}" if self.repeats > 1 else ""
        return f"{self.build.name}.{self.workload.name}{suffix}"


# --- kernel ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelImage:
    """A kernel that can be booted. The files belong to the cache: copy, don't change."""

    build: Build
    image: Path
    vmlinux: Path
    config: Path
    log: Path
    release: str
    hashes: Mapping[str, str]  # source, series, config, toolchain, image -> SHA-256
    seconds: float  # what the build took; 0 when it came from the cache
    new_warnings: tuple[str, ...] = ()
    coverage: CoverageMap | None = None  # what can be counted, of a kernel that is instrumented


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildFailure:
    """The series or the config is bad: an outcome for every cell of this build, not an exception."""

    build: Build
    outcome: "Outcome"  # NOT_APPLIED or BUILD_FAILED
    title: str  # one line: patch, file and hunk; or the first compiler error
    detail: str
    log: Path | None


# --- stacks ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A line of the source that a frame of a stack stands for."""

    function: str
    file: str  # relative to the source tree
    line: int
    inlined: bool = False  # into the function of the next place
    changed: bool = False  # the series under test changed this function


@dataclass(frozen=True, kw_only=True, slots=True)
class StackFrame:
    """One line of a stack as the kernel printed it, and what it stands for in the source."""

    function: str  # suffixes of the compiler included
    offset: int  # bytes
    size: int  # of the function, in bytes; 0 where the kernel did not print it
    exact: bool = False  # the instruction that was executed; else where a call will return to
    module: str = ""
    places: tuple[Place, ...] = ()  # innermost first, one for each inlined call; () where nothing is known

    def __str__(self) -> str:
        size = f"/{self.size:#x}" if self.size else ""
        module = f" [{self.module}]" if self.module else ""
        return f"{self.function}+{self.offset:#x}{size}{module}"


# --- what took how long -----------------------------------------------------------------------


class Phase(StrEnum):
    """What a piece of work spends its time on, in the order in which things happen."""

    FETCH = "fetch"  # the source, or files of a guest
    PATCH = "patch"  # waiting for the tree, applying the series
    CONFIGURE = "configure"
    COMPILE = "compile"
    PACK = "pack"  # what a guest starts from: changed lines, initramfs, copies in the run's folder
    BOOT = "boot"  # QEMU's start to the ready line
    RESTORE = "restore"  # a saved guest instead
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


# --- guest -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """A page whose record was not what was written last."""

    page: int
    kind: Literal["wrong", "stale", "torn", "foreign", "nonzero", "lost-update"]
    expected: str
    seen: str


@dataclass(frozen=True, kw_only=True, slots=True)
class UnexpectedError:
    """A system call that failed in a way that the kernel must not show."""

    call: str
    errno: str
    count: int


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
    counters: Mapping[str, int]  # name -> growth from before to after
    missing: str = ""  # what the guest could not provide, in one line ("" when nothing)


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
    STOPPED = "stopped"  # by us, at a complaint of the kernel: the console says which
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
class GuestRun:
    """All that is known after a guest has ended, the console apart."""

    ending: Ending
    detail: str = ""
    fault: Fault | None = None  # of a run that ended as LOST
    hint: str = ""  # what to type next, where that is known
    broken: str = ""  # how the workload broke the protocol: then nothing that it reported proves anything
    result: WorkloadResult | None = None
    exit_status: int | None = None
    boot_seconds: float | None = None  # QEMU's start to the first SSH command done
    restored: bool = False  # from a saved guest; else it was booted
    guest_seconds: float = 0.0
    speed: float | None = None  # the guest's fixed loop, iterations per microsecond
    accelerator: str = ""
    evidence: tuple[str, ...] = ()  # names of the files in evidence/
    starved: float | None = None  # share of the time wanted on a CPU that QEMU waited for one; None: not known
    waiting_in: tuple[str, ...] = ()  # "swapoff: wait_for_completion", one for each task that sleeps
    stuck: tuple[StuckTask, ...] = ()
    moved: Mapping[str, int] = field(default_factory=dict)  # counters of a hung guest that grew between two looks
    standstill: Standstill | None = None  # None: it got on, or this host does not tell
    executed: Executed | None = None  # None: not an instrumented kernel, or the guest was gone before it could be asked


# --- judge -------------------------------------------------------------------------------------


class CrashKind(StrEnum):
    """The family of a kernel complaint."""

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
    """One kernel complaint on the console."""

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


# --- verdict and report ------------------------------------------------------------------------


class Outcome(StrEnum):
    """A cell's verdict. Declared from best to worst; worst() relies on it."""

    PASSED = "passed"
    SKIPPED = "skipped"
    NOT_EXERCISED = "not-exercised"
    FAILED = "failed"
    HUNG = "hung"
    CORRUPTED = "corrupted"
    CRASHED = "crashed"
    BOOT_FAILED = "boot-failed"
    BUILD_FAILED = "build-failed"
    NOT_APPLIED = "not-applied"
    LOST = "lost"

    @classmethod
    def worst(cls, outcomes: "tuple[Outcome, ...]") -> "Outcome":
        return max(outcomes, key=list(cls).index, default=cls.LOST)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The outcome, why in one line, and what a reader needs to believe it."""

    outcome: Outcome
    title: str
    reasons: tuple[str, ...] = ()


CellFolder = Annotated[str, Field(pattern=r"^(cells/[A-Za-z0-9][A-Za-z0-9_.+-]*)?$")]


@dataclass(frozen=True, kw_only=True, slots=True)
class CellReport:
    """One finished cell: a line in cells.jsonl, a case in junit.xml, a row of the table."""

    cell: Cell
    verdict: Verdict
    run: GuestRun | None  # None: never booted
    crashes: tuple[Crash, ...] = ()
    seconds: float = 0.0  # on the host, from QEMU's start to the verdict
    kernel: Mapping[str, str] = field(default_factory=dict)  # release and hashes of the image
    folder: CellFolder = ""  # relative to the run's folder; "" where the cell never began
    spans: tuple[Span, ...] = ()


class Comparison(StrEnum):
    """Whose a complaint is, where a run has cells with the series and cells without."""

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
    """One complaint of the kernel, however many cells and repeats show it."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """Everything of one invocation; run.json without the cells."""

    id: str  # 2026-11-22T190102Z-7f3a
    folder: Path
    argv: tuple[str, ...]
    matrix_path: str
    matrix: Matrix
    started: str  # ISO 8601, UTC
    seconds: float
    versions: Mapping[str, str]  # patchrig, python, qemu, gcc, host kernel
    builds: tuple[KernelImage | BuildFailure, ...]
    cells: tuple[CellReport, ...]
    interrupted: bool = False
    crashes: tuple[CrashEntry, ...] = ()  # each once, worst first
    timings: tuple[Timing, ...] = ()  # of all that is no cell
    series: Mapping[str, str] | None = None  # what the series does to each file, as Series.by_file; None: not told
