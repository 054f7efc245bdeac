# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the sites of workloads and the functions that a series changed lie in one kernel, and which of them ran."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.model.configuration import Failure, SiteWay


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """A function of the machine code, or a part of it: what it calls returns to this span."""

    symbol: str
    first: int = 0  # offset of the part from the symbol
    end: int = 0  # 0: all of the function, copies of it under other names (.isra.0) included


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedSite:
    """A site in one kernel: the way by which it is seen there, as probes. Without a way the kernel does not have it."""

    name: str
    way: str = ""  # "get_swap_device() called by do_swap_page()"; "": absent
    returns: tuple[str, ...] = ()  # functions whose return is probed, with the call stack
    failure: Failure | None = None
    callers: tuple[Caller, ...] = ()  # one of them is in the call stack
    entries: tuple[str, ...] = ()  # places whose execution is a call: "do_swap_page+0x12"
    why: str = ""  # of one that is absent: what was looked for


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedSite:
    """A site as a workload names it."""

    name: str
    ways: tuple[SiteWay, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedFunction:
    """A function that the series changed, in the machine code of one kernel."""

    label: str  # its name; "name (file)" where two have that name
    file: str
    first: int  # its lines in the patched file
    last: int
    sources: tuple[str, ...] = ()  # the C files whose object code has a copy of it
    entries: tuple[str, ...] = ()  # where it begins, inlined copies included
    partly: bool = False  # it has more entries than these
    why: str = ""  # why there are none
    left_out: str = ""  # of one without code: "CONFIG_CMA is not set"; "" where nothing says why


@dataclass(frozen=True, kw_only=True, slots=True)
class Located:
    """What can be probed in one kernel."""

    sites: Mapping[str, tuple[LocatedSite, ...]]  # workload -> its sites
    changed: tuple[LocatedFunction, ...] = ()  # in the order of the diff


class SiteState(StrEnum):
    ABSENT = "absent in this kernel"
    NOT_COUNTED = "not counted"  # the guest could not: `missing` in its result says why
    NOT_REACHED = "not reached"
    REACHED = "reached"


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteSeen:
    """What a cell's guest says of one site."""

    name: str
    state: SiteState
    detail: str  # the way by which it is seen; of an absent one, what was looked for
    calls: int = 0
    failed: int | None = None  # None: this way does not tell
    sampled: bool = False  # the probe rested: there were more


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedSeen:
    """Which of the functions that the series changed ran in a cell's guest; each is in one of the lists."""

    ran: tuple[str, ...]
    not_reached: tuple[str, ...]
    no_code: tuple[str, ...] = ()  # this kernel has no machine code of them
    unknown: tuple[str, ...] = ()  # nobody could look: no probe was possible, or there were too many
    early: tuple[str, ...] = ()  # those of `not_reached` that ran before the load began, as in the boot
    meant: tuple[str, ...] = ()  # those in files that the workload is meant to reach
    why_unknown: Mapping[str, str] = field(default_factory=dict)  # one of `unknown` -> the reason
    left_out: Mapping[str, str] = field(default_factory=dict)  # one of `no_code` -> the option, where one is known

    @property
    def observed(self) -> int:
        return len(self.ran) + len(self.not_reached)

    @property
    def never_ran(self) -> tuple[str, ...]:
        """Those of `not_reached` that did not run before the load began either."""
        return tuple(name for name in self.not_reached if name not in self.early)
