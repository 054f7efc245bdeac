# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU tells of chosen instructions while it runs (pure): -d exec,cpu with -dfilter.

QEMU prints the registers before a block of instructions that begins in the filter. No CPU stops for it, and nothing of
the guest changes: with gdb, each stop lets the other CPUs run on.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.model.traced import WINDOW_BYTES, Entry

# "Trace 3: 0x7fcc0a39b2c0 [0000000000000000/ffffffff814e8c90/10c0c2b0/ff020200] name": CPU, and the guest's address.
_BLOCK = re.compile(r"^Trace (\d+): 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")
_REGISTER = re.compile(r"\b(R[A-Z0-9]{1,2}|X\d\d) *=([0-9a-f]{16})\b")
# All of an arch but the stack pointer; and those in which integers and pointers are passed.
_X86 = ("RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", *(f"R{number}" for number in range(8, 16)))
_ARM64 = tuple(f"X{number:02}" for number in range(31))
_ARCHES = ((_X86, ("RDI", "RSI", "RDX", "RCX", "R8", "R9")), (_ARM64, _ARM64[:8]))


# Without nochain a call within one page goes from block to block, and is not seen.
LOGGED = "exec,cpu,nochain"


def log_argv(addresses: Sequence[int], windows: Sequence[int] = (), *, later: bool = False) -> list[str]:
    """QEMU's options; the log is its standard error. Of a window it tells each block that begins in it.

    With `later` it tells nothing until its monitor is given "log LOGGED".
    """
    if not addresses:
        return []
    spans = (f"{address:#x}+{WINDOW_BYTES if address in windows else 1}" for address in addresses)
    return [*(() if later else ("-d", LOGGED)), "-dfilter", ",".join(spans)]


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """What the log tells, in the order in which it was executed. One that was cut off is left out."""
    place: tuple[int, int] | None = None
    registers: dict[str, int] = {}
    for line in lines:
        if block := _BLOCK.match(line):
            place, registers = (int(block[1]), int(block[2], 16)), {}
        elif place:
            registers |= {name: int(value, 16) for name, value in _REGISTER.findall(line)}
            arch = next((arch for arch in _ARCHES if all(name in registers for name in arch[0])), None)
            if arch:
                whole, passed = (tuple(registers[name] for name in names) for names in arch)
                yield Entry(cpu=place[0], address=place[1], arguments=passed, registers=whole)
                place = None
