# SPDX-License-Identifier: GPL-2.0-or-later
"""A part of a run's cells, for one of several machines."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """The part with this number, of so many: counted from 1."""

    number: int
    count: int

    @property
    def text(self) -> str:
        return f"{self.number}/{self.count}"
