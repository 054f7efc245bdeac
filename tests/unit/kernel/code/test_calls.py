# SPDX-License-Identifier: GPL-2.0-or-later
"""Direct calls in the bytes of two arches."""

import struct

from orchestrator.kernel.code.calls import CALLS


def test_x86_calls_are_found_forwards_and_backwards_and_jumps_are_none() -> None:
    code = b"\x90\xe8" + struct.pack("<i", 0x100) + b"\xe8" + struct.pack("<i", -0x20) + b"\xe9" + struct.pack("<i", 5)

    assert list(CALLS["x86_64"](code, 0x1000)) == [0x1106, 0x0FEB]


def test_an_x86_call_that_is_cut_off_is_none() -> None:
    assert list(CALLS["x86_64"](b"\xe8\x00\x00\x00", 0)) == []


def test_arm64_calls_are_found_forwards_and_backwards_and_branches_are_none() -> None:
    code = struct.pack("<4I", 0xD503201F, 0x94000002, 0x97FFFFFF, 0x14000002) + b"\x01"

    assert list(CALLS["arm64"](code, 0x2000)) == [0x200C, 0x2004]
