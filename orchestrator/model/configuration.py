# SPDX-License-Identifier: GPL-2.0-or-later
"""What the YAML files of matrices, workloads and kernel sources say."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DeviceKind(StrEnum):
    VIRTIO_BLK = "virtio-blk"
    ZRAM = "zram"
    NULL_BLK = "null_blk"
    SWAPFILE = "swapfile"


LARGEST_DEVICE_MIB = 4096
MOST_MEMORY_MIB = 65_536


class SwapDevice(_Schema):
    """One swap device of the guest, made ready (mkswap, non-rotational) before the workload starts."""

    kind: DeviceKind
    size_mib: Annotated[int, Field(gt=0, le=LARGEST_DEVICE_MIB)]
    priority: Annotated[int, Field(ge=0, le=32767)] = 10
    latency_us: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Completion latency; only null_blk has one."""
    discard: bool = False
    """The kernel discards slots that are free again (swapon -d); only null_blk takes that."""


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


Function = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]


class Failure(StrEnum):
    """What a function returns when it fails."""

    NULL_POINTER = "returns-null"
    FALSE = "returns-false"
    NEGATIVE = "returns-negative"


class SiteWay(_Schema):
    """One way to see that a site was reached: a call of a function, from anywhere or by certain callers."""

    call: Function
    """The kernel function whose calls are counted; inlined copies count, too."""
    by: tuple[Function, ...] = ()
    """Only calls by one of these functions, directly or through one other function."""
    below: tuple[Function, ...] = ()
    """Only calls with one of these functions anywhere in the call stack."""
    failure: Failure | None = None
    """What it returns when it fails; such calls are counted apart (site.NAME.failed)."""

    @property
    def callers(self) -> tuple[str, ...]:
        return (*self.by, *self.below)

    @property
    def functions(self) -> tuple[str, ...]:
        """Those that the site stands for: its callers, or what is called where no caller is named."""
        return self.callers or (self.call,)


OLD_PROBE = "get_swap_device"


def _is_old(ways: object) -> bool:
    return isinstance(ways, list | tuple) and bool(ways) and all(isinstance(way, str) for way in ways)


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
    memory_mib: Annotated[int, Field(ge=128, le=MOST_MEMORY_MIB)] = 512
    cpus: Annotated[int, Field(ge=1, le=8)] = 4
    cgroup: Mapping[str, str] = {}
    """Control file of the workload's own cgroup -> what is written to it (memory.high: 64M)."""
    settings: Mapping[str, str] = {}
    """Absolute path in the guest -> what is written to it before swapon (/proc/sys/vm/page-cluster: "3")."""
    probe: str = ""
    """Old: whose calls are counted for sites that are lists of functions. Write `sites: NAME: [{call: ...}]`."""
    sites: Mapping[str, tuple[SiteWay, ...]] = {}
    """Site -> ways to see that it was reached, in order: the first that the kernel under test has is used."""
    files: tuple[str, ...] = ()
    """Kernel source files that it is meant to reach, its own first: who looks for a bug in one of them runs it."""
    interfaces: bool = False
    """It uses the files of /sys, /proc and the cgroups that a series adds or changes: --interfaces FILE lists them."""
    widen_only: tuple[Function, ...] = ()
    """Where a widened kernel delays it, of the functions that the series changes, unless --widen only= says."""
    not_with: Mapping[str, Annotated[str, Field(min_length=1)]] = {}
    """Part of a flavour (memcg-v1) -> why the workload can't do its work there. Such cells are left out, and listed."""
    exercised: Annotated[Mapping[Counter, Annotated[int, Field(gt=0)]], Field(min_length=1)]
    """Counter -> how much it must grow, else the cell ends as not exercised."""
    instead: Mapping[Counter, Annotated[Mapping[Counter, Annotated[int, Field(gt=0)]], Field(min_length=1)]] = {}
    """Counter of `exercised` that a kernel may lack -> counters that prove the same there, with their minimum."""
    exercised_with: Mapping[str, Mapping[Counter, Annotated[int, Field(gt=0)]]] = {}
    """Part of a flavour (thp-always) -> the same, of what proves that its cells were different."""
    allow: tuple[Allowed, ...] = ()
    """What the workload itself makes every kernel say."""

    @model_validator(mode="before")
    @classmethod
    def _from_old_keys(cls, value: Any) -> Any:
        """Sites as they were written until 2026-11: a list of functions, any one in the probe's call stack."""
        sites = value.get("sites") if isinstance(value, dict) else None
        if not isinstance(sites, Mapping):
            return value
        probe = value.get("probe") or OLD_PROBE
        old = {name: ways for name, ways in sites.items() if _is_old(ways)}
        new = {name: [{"call": probe, "below": ways, "failure": Failure.NULL_POINTER}] for name, ways in old.items()}
        return {**value, "sites": {**sites, **new}, **({"probe": probe} if old else {})}

    def site_functions(self, site: str) -> frozenset[str]:
        """All functions that any of its ways names as the site."""
        return frozenset(name for way in self.sites[site] for name in way.functions)


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
    config: tuple[str, ...] = ()
    """Kernel options beside those of the flavours: CONFIG_CMA=y. One that a kernel does not have so is an error."""
    config_wanted: tuple[str, ...] = ()
    """Kernel options that are set where kconfig grants them; patchrig fills this where it chooses for a series."""


class SourceLocation(_Schema):
    """Where a kernel tarball can be had: a URL, or a path relative to the Debian mirror that apt uses."""

    url: str = ""
    debian: str = ""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = ""
    """Of the archive."""
    content_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = ""
    """Where the archive's own is not known: of what is in it, as kernels/README.md says."""
    without: tuple[str, ...] = ()
    """Files and folders of the archive that content_sha256 does not cover: they are not unpacked."""


class KernelSource(_Schema):
    """kernels/NAME.yaml: an ordered list of places, each with a hash."""

    version: str
    commits: Mapping[str, Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]] = {}
    """Release near this version -> its commit in git (v6.19: 05f7e89a...), by which a mail's base-commit is known."""
    places: Annotated[tuple[SourceLocation, ...], Field(min_length=1)]
