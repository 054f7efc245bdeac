# SPDX-License-Identifier: GPL-2.0-or-later
"""How QEMU is started: in the sandbox, and beside it a relay from a Unix socket to the guest's SSH server."""

import os
import select
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from orchestrator.host import process
from orchestrator.host.errors import ToolMissing
from orchestrator.host.paths import scratch_folder
from orchestrator.host.sandbox import (
    Limits,
    Mount,
    Sandbox,
    hand_over,
    hand_over_all,
    identity,
    plain_argv,
    sandbox_argv,
    terminal_sandbox_argv,
    tool_mounts,
)
from orchestrator.vm.argv import (
    IMAGE,
    INITRAMFS,
    MEMORY,
    RUNTIME,
    SANDBOX_SSH_PORT,
    VmFiles,
    VmSpec,
    bare_argv,
    program_of,
    qemu_argv,
    seen,
    standalone_argv,
)
from orchestrator.vm.deterministic import deterministic_argv

KVM = Path("/dev/kvm")
RELAY = "socat"
# The programs between us and QEMU, and beside it; each but the relay becomes the next, or waits for it.
AROUND_QEMU = frozenset({"setpriv", "bwrap", "prlimit", "choom", "env", "sh", "dash", "bash", RELAY})
# QEMU forwards TCP ports only. In the sandbox's own network its port is reached through this socket and no other way.
# The relay ends with the sandbox, and that with QEMU.
_BESIDE_RELAY = (
    f"cd {RUNTIME} && umask 077 && "
    f'{{ ({RELAY} UNIX-LISTEN:ssh,fork,backlog=64 TCP:127.0.0.1:{SANDBOX_SSH_PORT},nodelay &); exec "$@"; }}',
    "sh",
)
_DISKS = PurePosixPath("/guest/disks")
# What QEMU itself needs beside the guest's memory: most of it is address space for translated code.
_OWN_MIB = 8192
# Its logs, a snapshot's state, and the headers of a dump of its memory.
_OWN_FILES_MIB = 1024
# The kernel frees a guest's memory in less than a second.
_GONE_SECONDS = 10.0


@contextmanager
def guest_files(vm: VmSpec, *, console_log: Path, qemu_log: Path) -> Iterator[VmFiles]:
    """A folder for a guest's sockets, with its empty disks, that only we and its QEMU can enter."""
    with scratch_folder() as name, ExitStack() as stack:
        runtime = Path(name)
        # Another name of the folder, which is short wherever it lies.
        opened = os.open(runtime, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, opened)
        sockets = Path(f"/proc/self/fd/{opened}")
        files = VmFiles(runtime=runtime, sockets=sockets, console_log=console_log, qemu_log=qemu_log)
        for index, size_mib in enumerate(vm.disk_mib):
            with files.disk(index).open("wb") as disk:
                disk.truncate(size_mib << 20)
        yield files


@contextmanager
def running(vm: VmSpec, files: VmFiles, *, bare: bool = False) -> Iterator[process.Child]:
    """QEMU for the length of the block; all that it started is gone afterwards.

    `bare`: without a kernel. Raises ToolMissing, and OSError for a file that is not there.
    """
    for tool in (program_of(vm), *((RELAY,) if vm.sandbox else ())):
        if process.find_tool(tool) is None:
            raise ToolMissing(tool)
    vm = replace(vm, image=_readable(vm.image, vm, files), initramfs=_readable(vm.initramfs, vm, files))
    if vm.sandbox:
        hand_over_all(files.runtime)
    with _lifeline() as alive, files.console_log.open("ab") as log:
        argv = guest_argv(vm, files, console=log.fileno(), bare=bare)
        with process.spawn(argv, log=files.qemu_log, descriptors=(log.fileno(), alive.fileno())) as child:
            # From here on they are those of QEMU, and of nobody else.
            log.close()
            alive.close()
            yield child


@contextmanager
def _lifeline() -> Iterator[BinaryIO]:
    """A file to be inherited; in the end, wait until all who have it are gone. In the sandbox they are no children."""
    ends = os.pipe()
    with os.fdopen(ends[0], "rb") as gone, os.fdopen(ends[1], "wb") as alive:
        try:
            yield alive
        finally:
            alive.close()
            poll = select.poll()
            poll.register(gone, select.POLLIN)
            poll.poll(_GONE_SECONDS * 1000)


def guest_argv(vm: VmSpec, files: VmFiles, *, console: int, bare: bool = False) -> list[str]:
    """QEMU as it is run. `console`: the descriptor of its console log."""
    argv_of = bare_argv if bare else deterministic_argv if vm.schedule else qemu_argv
    argv = argv_of(vm, files, console=console)
    if not vm.sandbox:
        return plain_argv(argv, Sandbox(folder=files.runtime))
    # QEMU opens a memory file for writing even where it only wants a private copy of it.
    memory = (Mount(files.memory, MEMORY),) if files.memory else ()
    return sandbox_argv(["sh", "-c", *_BESIDE_RELAY, *argv], _inside(vm, (Mount(files.runtime, RUNTIME), *memory)))


def terminal_argv(vm: VmSpec, disks: Sequence[Path]) -> list[str]:
    """A guest with its console on the terminal, and with disks that are there already."""
    names = [seen(vm, disk, _DISKS / disk.name) for disk in disks]
    image, initramfs = seen(vm, vm.image, IMAGE), seen(vm, vm.initramfs, INITRAMFS)
    argv = standalone_argv(vm, image=image, initramfs=initramfs, disks=names, workload=())
    if not vm.sandbox:
        return argv
    hand_over(*disks)
    own = tuple(Mount(disk.absolute(), _DISKS / disk.name) for disk in disks)
    return terminal_sandbox_argv(argv, _inside(vm, own))


def _inside(vm: VmSpec, writable: tuple[Mount, ...]) -> Sandbox:
    return Sandbox(
        readable=(
            *tool_mounts((program_of(vm), RELAY)),
            Mount(vm.image.absolute(), IMAGE),
            Mount(vm.initramfs.absolute(), INITRAMFS),
        ),
        writable=writable,
        devices=(KVM,) if vm.kvm else (),
        limits=limits_of(vm),
    )


def limits_of(vm: VmSpec) -> Limits:
    """What QEMU may use: never less than it needs for the guest that was asked for."""
    largest = max((vm.memory_mib, *vm.disk_mib))
    return Limits(
        process_bytes=(vm.memory_mib + _OWN_MIB) << 20,
        file_bytes=(largest + _OWN_FILES_MIB) << 20,
        ended_first=False,
    )


def new_memory(vm: VmSpec, memory: Path) -> None:
    """Make the file that is to be a guest's memory."""
    with memory.open("xb") as file:
        file.truncate(vm.memory_mib << 20)
    if vm.sandbox:
        hand_over(memory)


def _readable(path: Path, vm: VmSpec, files: VmFiles) -> Path:
    """The file, or a copy where QEMU, which is nobody in the sandbox, may not read it."""
    if not (vm.sandbox and identity()) or path.stat().st_mode & stat.S_IROTH:
        return path
    copy = files.runtime / path.name
    shutil.copyfile(path, copy)
    return copy
