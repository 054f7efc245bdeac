# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions a kernel of the flavour `reach` can record, and which of them each workload runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from orchestrator.model.outcomes import Outcome

DEFAULT_FOLDERS = ("mm/",)
"""Folders of the kernel source whose code is recorded unless the command line names others."""

DID_ALL = (Outcome.PASSED, Outcome.SUBTESTS_FAILED)
"""Outcomes of cells that came to the end of what they are meant to do, best first."""


class Recorded(StrEnum):
    """Whether a function's blocks are recorded."""

    YES = "yes"
    BOOT = "boot"  # its code is freed after the boot: no workload can run it
    FOLDED = "folded"  # it was inlined, and the compiler left no block of its own
    NO = "no"  # its code has no callback: a folder or function that the kernel keeps free of them


class SourceFunction(NamedTuple):
    """A function of the source; a tuple, as maps have thousands of them."""

    file: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeFunction:
    """A function of a built kernel, inlined copies included."""

    file: str
    name: str
    recorded: Recorded
    blocks: tuple[int, ...] = ()  # offsets of the blocks' callbacks from _stext
    lines: Mapping[int, tuple[int, ...]]  # line -> the blocks any of which runs it; only lines that can be told

    @property
    def source(self) -> SourceFunction:
        return SourceFunction(self.file, self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedCode:
    """All functions that have code in the recorded folders."""

    folders: tuple[str, ...]
    functions: tuple[CodeFunction, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelIdentity:
    """The kernel that a map is of: any other source, config or arch has another map."""

    source: str  # SHA-256
    version: str
    arch: str
    build: str  # SHA-256 of all that decides about the code: source, config, overlay
    flavour: str = "reach"  # each flavour has a map of its own: reach+numa runs other code
    selftests: tuple[str, ...] = ()  # folders of kselftest whose `config` it has, too: others make another kernel


class Ran(NamedTuple):
    """How much of a function a workload ran, at least one block."""

    blocks: int
    lines: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadReach:
    """What one workload, or suite, ran on one kernel."""

    workload: str
    content: str  # SHA-256 of the workload's YAML file and program: another one is another load
    seconds: int  # of all runs together
    outcome: str  # of the cell; of several, the best of DID_ALL
    ran: Mapping[SourceFunction, Ran]
    suite: str = ""  # as --suite takes it; "": it is no suite
    guest_seconds: float = 0.0  # that the longest run took

    @property
    def called(self) -> str:
        """What the command line calls it."""
        return self.suite or self.workload


class Extent(NamedTuple):
    """What of a function could have run."""

    recorded: Recorded
    blocks: int
    lines: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReachMap:
    """What each of some workloads ran on one kernel, and all functions that they could have run."""

    kernel: KernelIdentity
    folders: tuple[str, ...]
    functions: Mapping[SourceFunction, Extent]
    workloads: tuple[WorkloadReach, ...]

    def runs(self, function: SourceFunction) -> tuple[str, ...]:
        """The workloads that run a function, in order."""
        return tuple(one.workload for one in self.workloads if function in one.ran)


class Unseen(StrEnum):
    """Why a map does not tell whether a changed function runs."""

    BOOT = "runs at boot only"
    FOLDED = "the compiler left no block of its own"
    EXCLUDED = "the kernel keeps its code free of instrumentation"
    OUTSIDE = "outside the folders of the map"
    NOT_BUILT = "its file is not compiled in this configuration"
    NOT_IN_MAP = "not in the kernel of the map, or without code of its own"


@dataclass(frozen=True, kw_only=True, slots=True)
class UnseenFunction:
    """A changed function of which a map tells nothing."""

    function: SourceFunction
    why: Unseen
    caller: str = ""  # a function that is run and calls it: likely it runs, too


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedWorkload:
    """A workload, by what it is known to run of the functions that a series changes."""

    workload: str
    mapped: bool  # False: no map knows it
    reached: int = 0  # changed functions
    likely: int = 0  # further ones that are not in the map, and have a caller that it runs
    first: int = 0  # of all these, those that no workload before it runs
    reason: str = ""  # "12 of 19 changed functions"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedReach:
    """What maps tell of the functions that a series changes."""

    maps: tuple[str, ...] = ()  # "6.19.6 x86_64"; (): there are none, and nothing else is known
    same_source: bool = False  # they are of the very source under test
    changed: int = 0
    ranked: tuple[RankedWorkload, ...] = ()  # best first
    unreached: tuple[SourceFunction, ...] = ()  # no workload of the maps runs them
    elsewhere: tuple[tuple[SourceFunction, tuple[str, ...]], ...] = ()  # only workloads do that are not run now
    unseen: tuple[UnseenFunction, ...] = ()
    thin: tuple[str, ...] = ()  # workloads that did less than they are meant to when they were recorded
    hint: str = ""  # the command that makes a map, or adds to it; "" where nothing is to be added
