# SPDX-License-Identifier: GPL-2.0-or-later
"""What a restored guest is told."""

from orchestrator.guest.reseed import reseed_command


def test_a_restored_guest_gets_the_time_and_entropy_in_hex() -> None:
    said = reseed_command(1795625223.25, bytes(range(32)))

    assert said == f"/patchrig/reseed 1795625223.250000 {bytes(range(32)).hex()}"
