"""Which blocks an instrumented guest ran: what it is told before, and what it says afterwards."""

from collections.abc import Iterable, Mapping

from orchestrator.coverage import Block, BlockCount, Executed, Widening

# Where kernels/overlays/widened has its files, and where run-workload looks for what it tells it.
DEBUGFS = "/sys/kernel/debug/patchrig"
BLOCKS_FILE = "patchrig/blocks"
# Off first: nothing moves while it is read. Without C code in the series it was never on.
READ_COUNTS = f"[ ! -s /{BLOCKS_FILE} ] || {{ echo 0 >{DEBUGFS}/on && cat {DEBUGFS}/blocks; }}"


def blocks_text(blocks: Iterable[Block]) -> str:
    """What the kernel is told of its blocks, a line each; run-workload makes those quiet that are not chosen."""
    ordered = tuple(blocks)
    # The first block of each copy of a function: the compiler lays code out in the order of the source, mostly.
    first: dict[tuple[str, str], int] = {}
    for block in ordered:
        copy = (block.target, block.inside)
        first[copy] = min(block.offset, first.get(copy, block.offset))
    return "".join(f"{block.offset:x} {block.target} {_flag(block, first)}\n" for block in ordered)


def _flag(block: Block, first: Mapping[tuple[str, str], int]) -> str:
    if block.quiet:
        return "q"
    return "e" if first[block.target, block.inside] == block.offset else "-"


def widen_argument(widening: Widening, seed: int) -> str:
    """The value of run-workload's --widen."""
    knobs = (widening.chance_ppm, widening.sleep_us, widening.spin_us, widening.hold_us, widening.rest_percent, seed)
    return f"{':'.join(map(str, knobs))}:{'+'.join(widening.only)}"


def executed_of(text: str) -> Executed:
    """The kernel's list of the blocks that ran. Raises ValueError where it is none."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) != 6:
            raise ValueError(f"no count of a block: {line[:100]!r}")
        hits, sleeps, spins, refused = (int(word) for word in words[2:])
        found[int(words[0], 16)] = BlockCount(hits=hits, sleeps=sleeps, spins=spins, refused=refused)
    return found
