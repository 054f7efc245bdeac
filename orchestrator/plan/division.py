# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells a shard has (pure)."""

import hashlib
import re
from collections.abc import Iterable

from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.shards import Shard

_TEXT = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")


def shard_of(text: str) -> Shard:
    """The shard that "2/5" names. Raises UserError."""
    found = _TEXT.fullmatch(text.strip())
    shard = Shard(int(found[1]), int(found[2])) if found else None
    if shard is None or shard.number > shard.count:
        raise UserError(f"--shard {text}: must be I/N, with I from 1 to N", hint="--shard 2/5  # the second of five")
    return shard


def cells_of(cells: Iterable[Cell], shard: Shard | None) -> tuple[Cell, ...]:
    """The cells of a shard, in their order; all of them for None.

    What a cell is decides on its shard, and no other cell does: cells that are added move none.
    """
    return tuple(cell for cell in cells if shard is None or number_of(cell, shard.count) == shard.number)


def number_of(cell: Cell, count: int) -> int:
    """The number of the shard, of so many, that a cell belongs to."""
    # With the repeat, also where there is one only: a second one must not move the first.
    identity = f"{cell.build.name} {cell.workload.name} {cell.repeat}"
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % count + 1
