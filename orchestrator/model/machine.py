# SPDX-License-Identifier: GPL-2.0-or-later
"""What a flavour makes of a guest's machine, and what the guest says of itself in return."""

from collections.abc import Iterator
from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A guest beside its memory, its CPUs and its kernel's config; the defaults are those of the flavour `plain`."""

    page_kib: int = 4
    nodes: int = 1  # NUMA nodes with memory
    memcg: str = "v2"  # the cgroup hierarchy with the memory controller
    # Where huge pages are used; "none": the kernel has none; "": it may decide (Linux 6.19: nowhere below 512 MiB).
    thp: str = ""

    def facts(self) -> str:
        """As in the ready line."""
        return " ".join(f"{name}={getattr(self, name)}" for name in _FACTS)


PLAIN = Machine()
_FACTS = {
    "page_kib": "pages of {} KiB",
    "nodes": "{} NUMA node(s)",
    "memcg": "the memory controller of cgroup {}",
    "thp": "transparent huge pages: {}",
}


def differences(asked: Machine, got: Machine) -> Iterator[str]:
    """In words, each in which a guest is not what was asked for."""
    for name, words in _FACTS.items():
        wanted, has = getattr(asked, name), getattr(got, name)
        if wanted not in ("", has):
            yield f"the guest has {words.format(has)}; asked for: {wanted}"


def both(one: Machine, other: Machine) -> Machine:
    """A machine with what either has that is not as in `plain`."""
    changed = {
        field.name: value
        for machine in (one, other)
        for field in fields(Machine)
        if (value := getattr(machine, field.name)) != getattr(PLAIN, field.name)
    }
    return Machine(**changed)
