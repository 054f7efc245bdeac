# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that are booted once and then restored for each cell that asks for the same guest."""

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.guest import ssh
from orchestrator.guest.keys import RunKeys
from orchestrator.guest.reseed import measured_speed, renewed
from orchestrator.host.deadline import POLL_SECONDS, Deadline, pause_seconds
from orchestrator.host.errors import InfraError
from orchestrator.host.paths import memory_folder
from orchestrator.run.capacity import available_memory_mib
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import Ready, Snapshot, Vm, ready_of, restore
from orchestrator.vm.snapshot import save

# A state that can't be used is made once more, and then no more.
_MOST_ATTEMPTS = 2
_ENTROPY_BYTES = 32
# So often does a guest's memory have to fit into the folder: its own, the saved one's, and room for those of others.
_TIMES_MEMORY = 4
# And so often when one is to be saved: since the folder was made, the states of other guests, and builds, came there.
_TIMES_MEMORY_NOW = 2
_SAVE_SECONDS = 60.0
_MUCH_SLOWER = 0.5


@dataclass(slots=True)
class _Entry:
    """The saved state of one guest, and the cells that still want it."""

    users: int
    attempts: int = 0
    making: bool = False
    told: bool = False  # that there was no room for it
    saved: Snapshot | None = None


@dataclass(slots=True)
class Snapshots:
    """The saved guests of some cells. A guest is its whole specification: image, initramfs, memory, CPUs, disks.

    The initramfs has the keys of its run in it, so a state is of no use to another run, and lives no longer than its
    cells do: it is removed with the last of them.
    """

    folder: Path
    _entries: dict[VmSpec, _Entry]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def place(self, spec: VmSpec) -> Iterator["Claim"]:
        """A cell's claim on the state of its guest, for as long as the cell lasts."""
        place = Claim(self, spec)
        try:
            yield place
        finally:
            self._leave(place)

    def take(self, place: "Claim") -> Snapshot | None:
        """The saved guest, once there is one; None: boot, and save the guest if place.making says so."""
        while True:
            with self._lock:
                entry = self._entries.get(place.spec)
                # The last cell has nobody to save its guest for.
                if entry is None or entry.saved or entry.users < 2:
                    return entry.saved if entry else None
                # The last attempt that is allowed is waited for like the first.
                if not entry.making and entry.attempts >= _MOST_ATTEMPTS:
                    return None
                if not entry.making and not self._has_room_for(place.spec):
                    place.without_room = not entry.told
                    entry.told = True
                    return None
                if not entry.making:
                    entry.making = place.making = True
                    entry.attempts += 1
                    return None
            pause_seconds(POLL_SECONDS)

    def _has_room_for(self, spec: VmSpec) -> bool:
        free_mib = min(shutil.disk_usage(self.folder).free >> 20, available_memory_mib())
        return free_mib >= spec.memory_mib * _TIMES_MEMORY_NOW

    def fresh_folder(self, spec: VmSpec) -> Path:
        """Where the state that is being made goes."""
        number = list(self._entries).index(spec)
        return self.folder / f"{number}.{self._entries[spec].attempts}"

    def kept(self, place: "Claim", saved: Snapshot | None) -> None:
        """What the cell that was making the state has come to: with None, nobody makes it again."""
        with self._lock:
            entry = self._entries[place.spec]
            entry.saved, entry.making, place.making = saved, False, False
            if saved is None:
                entry.attempts = _MOST_ATTEMPTS

    def discard(self, spec: VmSpec, saved: Snapshot) -> None:
        """Throw a state away that can't be used; the next cell that asks for it makes it again."""
        with self._lock:
            entry = self._entries[spec]
            if entry.saved == saved:
                entry.saved = None
        shutil.rmtree(saved.folder, ignore_errors=True)

    def _leave(self, place: "Claim") -> None:
        place.give_up()
        place.forget_memory()
        with self._lock:
            entry = self._entries.get(place.spec)
            if entry is None:
                return
            entry.users -= 1
            unused = entry.saved if entry.users <= 0 else None
        if unused:
            shutil.rmtree(unused.folder, ignore_errors=True)


@dataclass(slots=True)
class Claim:
    """One cell's place among those that want the same guest."""

    states: Snapshots
    spec: VmSpec
    making: bool = False  # this cell boots the guest, and saves it for the others
    without_room: bool = False  # there was none to save the guest in, and this is the first cell to meet that
    _memory: Path | None = None

    @property
    def folder(self) -> Path:
        """Where guests are saved."""
        return self.states.folder

    def saved(self) -> Snapshot | None:
        """The saved guest, waiting while another cell makes it; None: boot."""
        return self.states.take(self)

    def memory(self) -> Path | None:
        """The file that the memory of a guest has to be that will be saved; None for one that will not."""
        if not self.making:
            return None
        folder = self.states.fresh_folder(self.spec)
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
        saved = save(vm, ready, self.states.fresh_folder(self.spec), Deadline.after(_SAVE_SECONDS, "saving the guest"))
        self.states.kept(self, saved)

    def give_up(self) -> None:
        """The guest could not be saved: nobody tries again."""
        if self.making:
            self.states.kept(self, None)

    def discard(self, saved: Snapshot) -> None:
        self.states.discard(self.spec, saved)


@contextmanager
def snapshots(specs: Iterable[VmSpec], *, restoring: bool = True) -> Iterator[Snapshots]:
    """The states of the guests that several cells ask for, for the length of the block; none if not `restoring`."""
    wanted = {spec: users for spec, users in Counter(specs).items() if users > 1} if restoring else {}
    need_mib = max((spec.memory_mib for spec in wanted), default=0) * _TIMES_MEMORY
    with memory_folder(need_mib << 20) as folder:
        yield Snapshots(Path(folder), {spec: _Entry(users=users) for spec, users in wanted.items()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """A guest that was restored, renewed, and can be told what to do."""

    vm: Vm
    guest: ssh.Guest
    ready: Ready


@contextmanager
def restored(
    spec: VmSpec, saved: Snapshot, keys: RunKeys, *, console_log: Path, qemu_log: Path, until: Deadline
) -> Iterator[Restored]:
    """A clone of the saved guest with its own clock and random numbers. Raises InfraError for a state of no use."""
    with ExitStack() as stack:
        vm = stack.enter_context(restore(spec, saved, console_log=console_log, qemu_log=qemu_log, until=until))
        guest = stack.enter_context(connected(vm, keys, until))
        facts = renewed(guest, until, seconds=time.time(), entropy=os.urandom(_ENTROPY_BYTES))
        ready = remeasured_if_slow(_checked(saved, facts), guest, _MUCH_SLOWER * saved.ready.speed, until)
        yield Restored(vm=vm, guest=guest, ready=ready)


def remeasured_if_slow(ready: Ready, guest: ssh.Guest, least: float, until: Deadline) -> Ready:
    """A guest that seems slower than `least` is measured again, as its speed multiplies all limits.

    The loop takes 20 ms, of which another process of this machine may have had most.
    """
    if ready.speed >= least:
        return ready
    return replace(ready, speed=max(ready.speed, measured_speed(guest, until)))


def _checked(saved: Snapshot, facts: str) -> Ready:
    """What the guest says of itself now: its speed too, as this machine may be busier than when it was saved."""
    before = saved.ready
    ready = ready_of(f"{facts} config={before.config}")
    # What it was when it was saved is what was asked for.
    if (ready.cpus, ready.memory_mib) != (before.cpus, before.memory_mib):
        was = f"it had {before.cpus} CPUs and {before.memory_mib} MiB when it was saved"
        raise InfraError(f"the guest has {ready.cpus} CPUs and {ready.memory_mib} MiB of memory: {was}")
    return ready


def connected(vm: Vm, keys: RunKeys, until: Deadline) -> ssh.Connection:
    """An SSH session in the guest for the length of a block."""
    return ssh.connect(vm.ssh_address(until), user_key=keys.user_key, pinned_host=keys.pinned_host, until=until)
