# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that is restored from a snapshot: with its own clock and random numbers, and its speed of now."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.guest import ssh
from orchestrator.guest.keys import RunKeys
from orchestrator.guest.reseed import measured_speed, reseed
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import Ready, Snapshot, Vm, ready_of, restore

_ENTROPY_BYTES = 32
_MUCH_SLOWER = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """A guest that was restored, has random numbers of its own, and can be told what to do."""

    vm: Vm
    guest: ssh.Guest
    ready: Ready


@contextmanager
def restored(
    spec: VmSpec, saved: Snapshot, keys: RunKeys, *, console_log: Path, qemu_log: Path, until: Deadline
) -> Iterator[Restored]:
    """The guest of a snapshot, with its own clock and random numbers. Raises InfraError for a snapshot of no use."""
    with ExitStack() as stack:
        vm = stack.enter_context(restore(spec, saved, console_log=console_log, qemu_log=qemu_log, until=until))
        guest = stack.enter_context(connected(vm, keys, until))
        facts = reseed(guest, until, seconds=time.time(), entropy=os.urandom(_ENTROPY_BYTES))
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
    # What a restored guest can't have changed, it is not asked again.
    ready = ready_of(f"{facts} config={before.config} {before.machine.facts()}")
    # What it was when it was saved is what was asked for.
    if (ready.cpus, ready.memory_mib) != (before.cpus, before.memory_mib):
        was = f"it had {before.cpus} CPUs and {before.memory_mib} MiB when it was saved"
        raise InfraError(f"the guest has {ready.cpus} CPUs and {ready.memory_mib} MiB of memory: {was}")
    return ready


def connected(vm: Vm, keys: RunKeys, until: Deadline) -> ssh.Connection:
    """An SSH session in the guest for the length of a block."""
    return ssh.connect(vm.ssh_address(until), user_key=keys.user_key, pinned_host=keys.pinned_host, until=until)
