# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine has room for, guests and compilers together."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.model.cells import Cell
from orchestrator.run.capacity import Room, available_memory_mib, cores_of
from tests.unit.samples import cell


def guest(*, memory_mib: int = 512, cpus: int = 4) -> Cell:
    base = cell()
    return replace(base, workload=base.workload.model_copy(update={"memory_mib": memory_mib, "cpus": cpus}))


def fits(room: Room, *cells: Cell) -> int:
    return sum(room.take(one) is not None for one in cells)


@pytest.mark.parametrize(
    ("room", "guests"),
    [
        (Room(cores=2, memory_mib=100_000), 1),
        (Room(cores=8, memory_mib=100_000), 2),
        (Room(cores=2, memory_mib=100_000, one_thread=True), 2),  # deterministic guests
        (Room(cores=12, memory_mib=1024 + 3 * 712), 3),  # a guest, QEMU's own, and 1 GiB for everything else
        (Room(cores=12, memory_mib=1024 + 3 * 712 - 1), 2),
        (Room(cores=8, memory_mib=100), 1),  # there is always one
        (Room(cores=8, memory_mib=1024 + 2 * 712 + 2047, building=True), 1),  # eight compilers beside them
        (Room(cores=8, memory_mib=1024 + 2 * 712 + 2048, building=True), 2),
        (Room(cores=2, memory_mib=100, jobs=5), 5),  # the user's word
    ],
)
def test_guests_are_let_in_as_long_as_there_is_room(room: Room, guests: int) -> None:
    assert fits(room, *(guest() for _ in range(20))) == guests


def test_each_cpu_of_a_guest_has_a_core() -> None:
    assert [cores_of(guest(cpus=cpus)) for cpus in (1, 4, 8)] == [1, 4, 8]
    assert fits(Room(cores=7, memory_mib=100_000), guest(cpus=4), guest(cpus=4), guest(cpus=2)) == 2


def test_memory_is_what_the_guests_need_together_and_not_the_largest_times_their_number() -> None:
    room = Room(cores=16, memory_mib=1024 + (2048 + 200) + 2 * (128 + 200))

    assert fits(room, guest(memory_mib=2048), guest(memory_mib=128), guest(memory_mib=128), guest(memory_mib=128)) == 3


def test_a_large_root_takes_room_too() -> None:
    room = Room(cores=8, memory_mib=1024 + 2 * 712 + 300)

    assert room.take(guest(), lambda: 300)
    assert not room.take(guest(), lambda: 1)
    assert room.take(guest())


def test_room_that_is_given_back_can_be_taken_again() -> None:
    room = Room(cores=4, memory_mib=100_000)
    first, second = guest(), guest()

    share = room.take(first)
    assert share
    assert not room.take(second)
    room.give_back(share)
    assert room.take(second)


GIB = 1 << 30


def machine(root: Path, *, own: str = "", limits: Mapping[str, tuple[str, int, int]]) -> Path:
    """A /proc and /sys with 8 GiB free, and cgroups: path -> limit, bytes in use, bytes of unused file pages."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {8 * GIB >> 10} kB\n")
    (root / "proc/self/cgroup").write_text(f"0::/{own}\n")
    for path, (limit, used, files) in limits.items():
        folder = root / "sys/fs/cgroup" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {files}\n")
    return root


@pytest.mark.parametrize(
    ("own", "limits", "gib"),
    [
        ("", {}, 8),  # the root cgroup has no such files
        ("", {"": ("max", 5 * GIB, 0)}, 8),
        ("", {"": (str(6 * GIB), 5 * GIB, 2 * GIB)}, 3),  # in a container it is all that is seen
        ("a/b", {"a": (str(4 * GIB), 3 * GIB, 0), "a/b": ("max", 3 * GIB, 0)}, 1),  # the limit of the one around it
        ("a", {"a": (str(GIB), 2 * GIB, 0)}, 0),
    ],
)
def test_memory_is_what_the_machine_and_our_cgroups_leave(
    own: str, limits: Mapping[str, tuple[str, int, int]], gib: int, tmp_path: Path
) -> None:
    assert available_memory_mib(machine(tmp_path, own=own, limits=limits)) == gib * 1024
