# SPDX-License-Identifier: GPL-2.0-or-later
"""Which blocks an instrumented guest ran: what it is told before, and what it says afterwards."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from orchestrator.guest.ssh import Guest, GuestUnreachable
from orchestrator.host.deadline import Deadline
from orchestrator.model.blocks import Block, BlockCount, Counted, CoverageMap, DelaySettings, Piece

# Where kernels/overlays/widened has its files, and where run-workload looks for what it tells it.
DEBUGFS = "/sys/kernel/debug/patchrig"
BLOCKS_FILE = "patchrig/blocks"
# Off first: nothing moves while it is read. Without C code in the series it was never on.
_READ_COUNTS = f"[ ! -s /{BLOCKS_FILE} ] || {{ echo 0 >{DEBUGFS}/on && cat {DEBUGFS}/blocks; }}"
# Of a kernel that records the blocks of whole folders: kernels/overlays/reach.
_READ_RECORDED = f"echo 0 >{DEBUGFS}/on && cat {DEBUGFS}/reached"

_Copy = tuple[str, str]
"""A changed function, and the function of the machine code that this copy of it lies in."""


def blocks_text(found: CoverageMap) -> str:
    """The blocks as the kernel reads them, a line each; run-workload turns off delays in those that are not chosen."""
    entries = _entry_blocks(found)
    begins = _begins(block for block in found.blocks if block.partner)
    return "".join(f"{block.offset:x} {block.target} {_flag(block, begins, entries)}\n" for block in found.blocks)


def _entry_blocks(found: CoverageMap) -> Mapping[_Copy, frozenset[int]]:
    """For each copy of a function the offsets of the blocks that lead into what the series changed.

    One is the first with a changed line, as what follows it has what was taken there in hand. And there is one for each
    place where statements are missing: a reference that is not taken has no line. Where no time may be lost it is the
    last block before. The compiler lays code out in the order of the source, mostly. A callback is at the start of its
    block: the line itself comes after it.
    """
    changed = _starts(piece for line in found.lines for piece in line.pieces)
    missing = _starts(found.gaps)
    copies: dict[_Copy, list[Block]] = {}
    for block in sorted(found.blocks, key=lambda block: block.offset):
        copies.setdefault((block.target, block.inside), []).append(block)
    return {copy: frozenset(_entries_of(blocks, changed, missing)) for copy, blocks in copies.items()}


def _entries_of(blocks: Sequence[Block], changed: Collection[int], missing: Collection[int]) -> Iterator[int]:
    first = next((at for at, block in enumerate(blocks) if block.offset in changed), None)
    places = [at for at, block in enumerate(blocks) if block.offset in missing]
    # With neither it is where the function begins.
    for at in places if first is None and places else [first or 0, *places]:
        if loud := [block.offset for block in blocks[: at + 1] if not block.quiet]:
            yield loud[-1]


def _starts(pieces: Iterable[Piece]) -> frozenset[int]:
    """The blocks of pieces that are one block each."""
    return frozenset(offset for piece in pieces if len(piece.terms) == 1 for offset, times in piece.terms if times > 0)


def _begins(blocks: Iterable[Block]) -> frozenset[int]:
    """The first block of each copy."""
    first: dict[_Copy, int] = {}
    for block in sorted(blocks, key=lambda block: block.offset):
        first.setdefault((block.target, block.inside), block.offset)
    return frozenset(first.values())


def _flag(block: Block, begins: Collection[int], entries: Mapping[_Copy, Collection[int]]) -> str:
    """The FLAGS of kernels/overlays/widened: no delay, places, a partner's, before the entry block, this, after it."""
    if block.quiet:
        return "q"
    if block.site:
        return block.site
    if block.partner:
        return "P" if block.offset in begins else "p"
    own = entries[block.target, block.inside]
    return "g" if block.offset in own else "-" if block.offset < min(own, default=block.offset) else "a"


def widen_argument(settings: DelaySettings, seed: int, preferred: Sequence[str] = ()) -> str:
    """The value of run-workload's --widen."""
    times = (settings.sleep_us, settings.spin_us, settings.hold_us, settings.rest_percent)
    numbers = (settings.chance_ppm, *times, settings.partner_percent, seed)
    only = "+".join(settings.only) or "@" * bool(preferred) + "+".join(preferred)
    return f"{':'.join(map(str, numbers))}:{only}"


def counted_of(text: str) -> Counted:
    """The kernel's list of the blocks that ran. Raises ValueError where it is none."""
    executed, early = {}, {}
    for line in text.splitlines():
        count = _COUNT.fullmatch(line)
        if count is None:
            raise ValueError(f"no count of a block: {line[:100]!r}")
        hits, sleeps, spins, refused, before = map(int, count.groups(default="0")[1:])
        offset = int(count[1], 16)
        if hits:
            executed[offset] = BlockCount(hits=hits, sleeps=sleeps, spins=spins, refused=refused)
        if before:
            early[offset] = before
    return Counted(executed=executed, early=early)


def counted_blocks(guest: Guest, until: Deadline, *, recorded: bool = False) -> Counted | None:
    """Which blocks ran; None when the guest does not say, which is no verdict of its own.

    `recorded`: its kernel records the blocks of whole folders.
    """
    try:
        said = guest.run(_READ_RECORDED if recorded else _READ_COUNTS, until)
        return counted_of(said.text) if said.status == 0 else None
    except (GuestUnreachable, ValueError):
        return None


# Offset, function, and numbers of at most 64 bits; a kernel that records whole folders has none for what ran early.
_COUNT = re.compile(r"\s*([0-9a-f]{1,16})\s+\S+" + 4 * r"\s+(\d{1,20})" + r"(?:\s+(\d{1,20}))?\s*", re.ASCII)
