# SPDX-License-Identifier: GPL-2.0-or-later
"""Files by which user space reads and sets what the kernel does: those that a series adds or changes, and their use."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceNames:
    """The interface files of a series, and texts that may be worth writing to them."""

    files: tuple[str, ...] = ()  # TREE:NAME, or a path: cgroup:memory.swap.tiers; guest-scripts/README.md has the trees
    words: tuple[str, ...] = ()  # one line each

    @property
    def shown(self) -> tuple[str, ...]:
        """The files as a reader knows them."""
        return tuple(dict.fromkeys(shown_name(file) for file in self.files))


@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceUse:
    """What a guest did with one interface file of the series; a name may stand for several files."""

    name: str  # as it was given
    path: str = ""  # where it was found; of a cgroup's or a process's file the last part; "": not found
    why: str = ""  # why it was not used, or not written to
    reads: int = 0
    writes: int = 0  # that it took
    refused: int = 0

    @property
    def used(self) -> bool:
        return self.reads + self.writes + self.refused > 0


def shown_name(file: str) -> str:
    """ "memory.swap.tiers" of cgroup:memory.swap.tiers."""
    return file if file.startswith("/") else file.partition(":")[2] or file
