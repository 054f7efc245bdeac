# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that are booted once and then restored for each cell that asks for the same guest."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.host.deadline import POLL_SECONDS, Deadline, pause_seconds
from orchestrator.host.paths import memory_folder
from orchestrator.run.capacity import available_memory_mib
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import Ready, Snapshot, Vm
from orchestrator.vm.snapshot import save

# A snapshot that can't be used is made once more, and then no more.
_MOST_ATTEMPTS = 2
# So often does a guest's memory have to fit into the folder: its own, the saved one's, and room for those of others.
_TIMES_MEMORY = 4
# And so often when one is to be saved: since the folder was made, other guests and builds came there.
_TIMES_MEMORY_NOW = 2
_SAVE_SECONDS = 60.0


@dataclass(slots=True)
class _Shared:
    """The snapshot of one guest, and the cells that still want it."""

    spec: VmSpec
    place: Path  # its snapshots lie beside it, under names that begin with this one
    users: int
    attempts: int = 0
    making: bool = False
    without_room: bool = False  # a cell has said so
    saved: Snapshot | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has_room(self) -> bool:
        free_mib = min(shutil.disk_usage(self.place.parent).free >> 20, available_memory_mib())
        return free_mib >= self.spec.memory_mib * _TIMES_MEMORY_NOW


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Snapshots of the guests of some cells. A guest is its whole specification: image, initramfs, memory, CPUs, disks.

    The initramfs has the keys of its run in it, so a snapshot is of no use to another run, and lives no longer than its
    cells do: it is removed with the last of them. Without a folder there are none, and all guests are booted.
    """

    folder: Path = Path()
    _guests: Mapping[VmSpec, _Shared] = field(default_factory=dict)

    @contextmanager
    def claim(self, spec: VmSpec) -> Iterator["Claim"]:
        """A cell's claim on the snapshot of its guest, for as long as the cell lasts."""
        claim = Claim(self._guests.get(spec) or _Shared(spec=spec, place=self.folder, users=1))
        try:
            yield claim
        finally:
            claim.leave()


@dataclass(slots=True)
class Claim:
    """One cell's place among those that want the same guest."""

    _guest: _Shared
    making: bool = False  # this cell boots the guest, and saves it for the others
    without_room: bool = False  # there was none to save the guest in, and this is the first cell to meet that
    _memory: Path | None = None

    def snapshot(self) -> Snapshot | None:
        """The snapshot, waiting while another cell makes it; None: boot, and save the guest if `making` says so."""
        guest = self._guest
        while True:
            with guest.lock:
                # The last cell has nobody to save its guest for.
                if guest.saved or guest.users < 2:
                    return guest.saved
                # The last attempt that is allowed is waited for like the first.
                if not guest.making:
                    if guest.attempts >= _MOST_ATTEMPTS:
                        return None
                    if guest.has_room():
                        guest.making = self.making = True
                        guest.attempts += 1
                    else:
                        self.without_room = not guest.without_room
                        guest.without_room = True
                    return None
            pause_seconds(POLL_SECONDS)

    def fresh_folder(self) -> Path:
        """Where the snapshot that is being made goes."""
        return self._guest.place.with_name(f"{self._guest.place.name}.{self._guest.attempts}")

    def memory(self) -> Path | None:
        """The file that the memory of a guest has to be that will be saved; None for one that will not."""
        if not self.making:
            return None
        folder = self.fresh_folder()
        self._memory = folder.with_name(f"{folder.name}.memory")
        return self._memory

    def forget_memory(self) -> None:
        if self._memory:
            self._memory.unlink(missing_ok=True)

    def keep(self, vm: Vm, ready: Ready, until: Deadline) -> None:
        """Save the guest for the others, where that is wanted, and let it run on.

        Raises InfraError where that fails; the guest may then stand still.
        """
        if self.making and vm.wait_settled(until):
            self.kept(save(vm, ready, self.fresh_folder(), Deadline.after(_SAVE_SECONDS, "saving the guest")))

    def kept(self, saved: Snapshot | None) -> None:
        """What the cell that was making the snapshot has come to: with None, nobody makes it again."""
        with self._guest.lock:
            self._guest.saved, self._guest.making, self.making = saved, False, False
            if saved is None:
                self._guest.attempts = _MOST_ATTEMPTS

    def give_up(self) -> None:
        """The guest could not be saved: nobody tries again."""
        if self.making:
            self.kept(None)

    def discard(self, saved: Snapshot) -> None:
        """Throw a snapshot away that can't be used; the next cell that asks for it makes it again."""
        with self._guest.lock:
            if self._guest.saved == saved:
                self._guest.saved = None
        shutil.rmtree(saved.folder, ignore_errors=True)

    def leave(self) -> None:
        """The cell has ended; the last takes the snapshot with it."""
        self.give_up()
        self.forget_memory()
        with self._guest.lock:
            self._guest.users -= 1
            unused = self._guest.saved if self._guest.users <= 0 else None
        if unused:
            shutil.rmtree(unused.folder, ignore_errors=True)


@contextmanager
def snapshots(specs: Iterable[VmSpec], *, restoring: bool = True) -> Iterator[Snapshots]:
    """The snapshots of guests that several cells ask for, for the length of the block; none if not `restoring`."""
    # The memory of several nodes is not one file.
    saveable = [spec for spec in specs if spec.machine.nodes == 1]
    wanted = [(spec, users) for spec, users in Counter(saveable).items() if users > 1] if restoring else []
    need_mib = max((spec.memory_mib for spec, _ in wanted), default=0) * _TIMES_MEMORY
    with memory_folder(need_mib << 20) as name:
        folder = Path(name)
        shared = [_Shared(spec=spec, place=folder / str(at), users=users) for at, (spec, users) in enumerate(wanted)]
        yield Snapshots(folder, {guest.spec: guest for guest in shared})
