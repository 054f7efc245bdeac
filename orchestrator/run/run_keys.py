# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of a run's guests where some of its guest files are there already: one set of keys opens all guests."""

from pathlib import Path

from orchestrator.guest.archive import with_keys
from orchestrator.guest.keys import RunKeys, new_keys, save_keys


def keys_of_run(guest: Path) -> RunKeys:
    """Fresh keys, kept in a run's folder of guest files; what guests start from that is there gets them, too.

    Only the guest's own files have its side of the keys, and a run that goes on may make some of those anew.
    """
    keys = new_keys()
    for initramfs in sorted(guest.glob("initramfs.*")):
        with_keys(initramfs, keys, output=initramfs)
    save_keys(keys, guest)
    return keys
