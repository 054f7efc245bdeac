# SPDX-License-Identifier: GPL-2.0-or-later
"""What the YAML files of matrices, workloads and kernel sources say."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


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


Package = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?$")]
Target = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$")]
KunitName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_*?][A-Za-z0-9_*?.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]
Word = Annotated[str, Field(pattern=r"^[^\s\"'\\]+$")]
# Runs the command of a workload that does not speak our protocol.
COMMAND_PROGRAM = PurePosixPath("workloads/command.c")


class Results(StrEnum):
    """How a command says what came of it."""

    EXIT_STATUS = "exit-status"
    KTAP = "ktap"


Counter = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.\-]+$")]


class Allowed(_Schema):
    """A crash title that does not fail a cell, with the reason why."""

    title: str
    reason: Annotated[str, Field(min_length=1)]


class Workload(_Schema):
    """One guest program and what it must prove; configs/workloads/*.yaml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    summary: str
    program: PurePosixPath = COMMAND_PROGRAM
    """Relative to guest-scripts/ or the YAML file: a .c file is compiled statically per arch, others are copied."""
    arguments: tuple[str, ...] = ()
    command: tuple[Word, ...] = ()
    """Instead of `program`: any program of the guest's root, run with all devices swapped on. {seconds} and {seed} are
    the cell's, {limit} is most_seconds scaled with the guest's speed."""
    results: Results = Results.EXIT_STATUS
    """Of a command: exit-status (0 is a pass), or ktap (each subtest is reported, and compared between variants)."""
    most_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """So long a command may take in a guest of the reference speed, if that is longer than the cell's seconds."""
    packages: tuple[Package, ...] = ()
    """Debian packages of the guest's arch that are unpacked into its root with all that they depend on: NAME or
    NAME=VERSION. None of their scripts runs."""
    selftests: tuple[Target, ...] = ()
    """Folders of tools/testing/selftests that are built from the tree under test, into /suites/kselftest."""
    kunit: tuple[KunitName, ...] = ()
    """Names of KUnit suites (globs), or folders of the tree whose suites are meant; suite-kunit gets them too."""
    flavour: str = ""
    """A flavour that its kernels have beside that of their matrix: kselftest, kunit."""
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
    """Names in workloads/ beside the matrix or in configs/workloads/, paths of YAML files, or suites (kselftest:mm)."""
    seconds: Annotated[int, Field(gt=0, le=86_400)] = 20
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    repeat: Annotated[int, Field(gt=0, le=10_000)] = 1
    widen: str = ""
    """How a widened flavour delays: chance=2%,max=30ms,spin=1ms,hold=500ms,rest=10%,only=F+F; all else is so."""
    allow: tuple[Allowed, ...] = ()


class SourceLocation(_Schema):
    """Where a kernel tarball can be had: a URL, or a path relative to the Debian mirror that apt uses."""

    url: str = ""
    debian: str = ""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class KernelSource(_Schema):
    """kernels/NAME.yaml: an ordered list of places, each with its SHA-256."""

    version: str
    places: Annotated[tuple[SourceLocation, ...], Field(min_length=1)]
