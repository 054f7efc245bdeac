# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that are booted once and then restored for each cell that asks for the same guest."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
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
class _Entry:
    """The snapshot of one guest, and the cells that still want it."""

    users: int
    attempts: int = 0
    making: bool = False
    without_room: bool = False  # a cell has said so
    saved: Snapshot | None = None


@dataclass(slots=True)
class Snapshots:
    """Snapshots of the guests of some cells. A guest is its whole specification: image, initramfs, memory, CPUs, disks.

    The initramfs has the keys of its run in it, so a snapshot is of no use to another run, and lives no longer than its
    cells do: it is removed with the last of them.
    """

    folder: Path
    _entries: dict[VmSpec, _Entry]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def claim(self, spec: VmSpec) -> Iterator["Claim"]:
        """A cell's claim on the snapshot of its guest, for as long as the cell lasts."""
        claim = Claim(self, spec)
        try:
            yield claim
        finally:
            self._leave(claim)

    def take(self, claim: "Claim") -> Snapshot | None:
        """The snapshot, once there is one; None: boot, and save the guest if claim.making says so."""
        while True:
            with self._lock:
                entry = self._entries.get(claim.spec)
                # The last cell has nobody to save its guest for.
                if entry is None or entry.saved or entry.users < 2:
                    return entry.saved if entry else None
                # The last attempt that is allowed is waited for like the first.
                if not entry.making and entry.attempts >= _MOST_ATTEMPTS:
                    return None
                if not entry.making and not self._has_room_for(claim.spec):
                    claim.without_room = not entry.without_room
                    entry.without_room = True
                    return None
                if not entry.making:
                    entry.making = claim.making = True
                    entry.attempts += 1
                    return None
            pause_seconds(POLL_SECONDS)

    def _has_room_for(self, spec: VmSpec) -> bool:
        free_mib = min(shutil.disk_usage(self.folder).free >> 20, available_memory_mib())
        return free_mib >= spec.memory_mib * _TIMES_MEMORY_NOW

    def fresh_folder(self, spec: VmSpec) -> Path:
        """Where the snapshot that is being made goes."""
        number = list(self._entries).index(spec)
        return self.folder / f"{number}.{self._entries[spec].attempts}"

    def kept(self, claim: "Claim", saved: Snapshot | None) -> None:
        """What the cell that was making the snapshot has come to: with None, nobody makes it again."""
        with self._lock:
            entry = self._entries[claim.spec]
            entry.saved, entry.making, claim.making = saved, False, False
            if saved is None:
                entry.attempts = _MOST_ATTEMPTS

    def discard(self, spec: VmSpec, saved: Snapshot) -> None:
        """Throw a snapshot away that can't be used; the next cell that asks for it makes it again."""
        with self._lock:
            entry = self._entries[spec]
            if entry.saved == saved:
                entry.saved = None
        shutil.rmtree(saved.folder, ignore_errors=True)

    def _leave(self, claim: "Claim") -> None:
        claim.give_up()
        claim.forget_memory()
        with self._lock:
            entry = self._entries.get(claim.spec)
            if entry is None:
                return
            entry.users -= 1
            unused = entry.saved if entry.users <= 0 else None
        if unused:
            shutil.rmtree(unused.folder, ignore_errors=True)


@dataclass(slots=True)
class Claim:
    """One cell's place among those that want the same guest."""

    snapshots: Snapshots
    spec: VmSpec
    making: bool = False  # this cell boots the guest, and saves it for the others
    without_room: bool = False  # there was none to save the guest in, and this is the first cell to meet that
    _memory: Path | None = None

    @property
    def folder(self) -> Path:
        """Where guests are saved."""
        return self.snapshots.folder

    def snapshot(self) -> Snapshot | None:
        """The snapshot, waiting while another cell makes it; None: boot."""
        return self.snapshots.take(self)

    def memory(self) -> Path | None:
        """The file that the memory of a guest has to be that will be saved; None for one that will not."""
        if not self.making:
            return None
        folder = self.snapshots.fresh_folder(self.spec)
        self._memory = folder.with_name(f"{folder.name}.memory")
        return self._memory

    def forget_memory(self) -> None:
        if self._memory:
            self._memory.unlink(missing_ok=True)

    def keep(self, vm: Vm, ready: Ready, until: Deadline) -> None:
        """Save the guest for the others, where that is wanted, and let it run on.

        Raises InfraError where that fails; the guest may then stand still.
        """
        if not self.making:
            return
        if not vm.wait_settled(until):
            return
        saved = save(
            vm, ready, self.snapshots.fresh_folder(self.spec), Deadline.after(_SAVE_SECONDS, "saving the guest")
        )
        self.snapshots.kept(self, saved)

    def give_up(self) -> None:
        """The guest could not be saved: nobody tries again."""
        if self.making:
            self.snapshots.kept(self, None)

    def discard(self, saved: Snapshot) -> None:
        self.snapshots.discard(self.spec, saved)


@contextmanager
def snapshots(specs: Iterable[VmSpec], *, restoring: bool = True) -> Iterator[Snapshots]:
    """The snapshots of guests that several cells ask for, for the length of the block; none if not `restoring`."""
    # The memory of several nodes is not one file.
    saveable = (spec for spec in specs if spec.machine.nodes == 1)
    wanted = {spec: users for spec, users in Counter(saveable).items() if users > 1} if restoring else {}
    need_mib = max((spec.memory_mib for spec in wanted), default=0) * _TIMES_MEMORY
    with memory_folder(need_mib << 20) as folder:
        yield Snapshots(Path(folder), {spec: _Entry(users=users) for spec, users in wanted.items()})
