# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign: what is done to patchrig, and how often."""

from tests.faults import afterwards, bitflips, hostdisk, hostile_guests, hostile_series, kills, other_user, signals
from tests.faults.campaign import Fault

FAULTS = (
    Fault(
        name="F1",
        what="`kill -9` of a build at each change to a file, and at random",
        tries=kills.builds_killed,
        full=500,
        short=3,
        minutes=20,
    ),
    Fault(
        name="F2",
        what="`kill -9` of `clean` and `clean --all` at each change to a file, and beside a build",
        tries=kills.cleans_killed,
        full=25,
        short=3,
        minutes=8,
    ),
    Fault(
        name="F3",
        what="ENOSPC, EIO, EROFS at each write, rename, fsync",
        tries=hostdisk.disks_failing,
        full=400,
        short=3,
        minutes=12,
    ),
    Fault(
        name="F4",
        what="power loss: what was not fsynced is empty",
        tries=hostdisk.power_lost,
        full=100,
        short=1,
        minutes=6,
    ),
    Fault(
        name="F5",
        what="a bit turns over in an image, a root file system, a tree, a journal, a result",
        tries=bitflips.bits_flipped,
        full=1000,
        short=6,
        minutes=18,
    ),
    Fault(
        name="F6",
        what="two at once on one cache, one is killed",
        tries=kills.pairs,
        full=200,
        short=2,
        minutes=10,
    ),
    Fault(
        name="F7",
        what="hostile series, then a clean baseline; as ourselves and as an ordinary user",
        tries=hostile_series.series_tried,
        full=1000,
        short=2,
        minutes=20,
    ),
    Fault(
        name="F8",
        what="hostile guests; 100,000 fuzzed lines, a console of 1 GiB, a line of 64 MiB, 200 escape sequences",
        tries=hostile_guests.guests_tried,
        full=100_000,
        short=2000,
        minutes=8,
    ),
    Fault(
        name="F9",
        what="`kill -9` of QEMU, make and cc1, each in five phases",
        tries=signals.children_killed,
        full=30,
        short=2,
        minutes=4,
    ),
    Fault(
        name="F10",
        what="INT, TERM, HUP, STOP and CONT; the clock is set",
        tries=signals.signals_sent,
        full=42,
        short=2,
        minutes=6,
    ),
    Fault(
        name="F11",
        what="another user of the host reads, writes, connects, signals",
        tries=other_user.visited,
        full=100,
        short=2,
        minutes=3,
    ),
    Fault(
        name="F12",
        what="what is left behind: processes, mounts, scratch folders, held locks, setuid files",
        tries=afterwards.nothing_left,
        full=100,
        short=2,
        minutes=3,
    ),
)
