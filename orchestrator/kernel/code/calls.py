# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions a stretch of machine code calls directly, by its bytes (pure). Tail calls are left out: a caller that
jumps is in no call stack."""

import struct
from collections.abc import Callable, Iterator, Mapping

Calls = Callable[[bytes, int], Iterator[int]]
"""The code and its address -> addresses that are called."""
CallSites = Callable[[bytes, int], Iterator[tuple[int, int]]]
"""The code and its address -> addresses of calls, each with the one that is called."""


def _x86_64_sites(code: bytes, start: int) -> Iterator[tuple[int, int]]:
    """`call rel32` is e8 and four bytes. An e8 inside another instruction leads nowhere where a function begins."""
    at = code.find(b"\xe8")
    while 0 <= at <= len(code) - 5:
        yield start + at, start + at + 5 + struct.unpack_from("<i", code, at + 1)[0]
        at = code.find(b"\xe8", at + 1)


def _arm64_sites(code: bytes, start: int) -> Iterator[tuple[int, int]]:
    """`bl` has 100101 in front of a distance of 26 bits, in instructions."""
    for index, (word,) in enumerate(struct.iter_unpack("<I", code[: len(code) // 4 * 4])):
        if word >> 26 == 0b100101:
            distance = word & 0x3FFFFFF
            yield start + 4 * index, start + 4 * (index + distance - (distance >> 25 << 26))


def x86_64_calls(code: bytes, start: int) -> Iterator[int]:
    return (target for _, target in _x86_64_sites(code, start))


def arm64_calls(code: bytes, start: int) -> Iterator[int]:
    return (target for _, target in _arm64_sites(code, start))


CALLS: Mapping[str, Calls] = {"x86_64": x86_64_calls, "arm64": arm64_calls}
"""By the name of the arch."""
CALL_SITES: Mapping[str, CallSites] = {"x86_64": _x86_64_sites, "arm64": _arm64_sites}
"""By the name of the arch."""
