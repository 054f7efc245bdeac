# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of a run's guests where some of its guest files are there already: one set of keys opens all guests."""

from pathlib import Path

from orchestrator.guest.archive import with_keys
from orchestrator.guest.keys import RunKeys, has_keys, load_keys, new_keys, save_keys


def keys_of_run(guest: Path) -> RunKeys:
    """Fresh keys, kept in a run's folder of guest files; what guests start from that is there gets them, too.

    Only the guest's own files have its side of the keys, and a run that goes on may make some of those anew.
    """
    keys = new_keys()
    for initramfs in sorted(guest.glob("initramfs.*")):
        with_keys(initramfs, keys, output=initramfs)
    save_keys(keys, guest)
    return keys


def keys_to_repeat(guest: Path, *, deterministic: bool) -> RunKeys:
    """The keys of a run's guests for cells that run again from its folder.

    A copy of the folder may lack them, as what CI servers keep does: then the guest files get fresh ones.
    """
    if deterministic:
        # Nobody logs in to these guests, and another key in their files would make them other guests.
        return new_keys()
    return load_keys(guest) if has_keys(guest) or not guest.is_dir() else keys_of_run(guest)
