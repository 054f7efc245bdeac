# SPDX-License-Identifier: GPL-2.0-or-later
"""Saving a guest that is up, so that others can be restored from it."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.sandbox import hand_over
from orchestrator.vm.qemu import Ready, Snapshot, Vm
from orchestrator.vm.qmp import go_on, save_devices


def save(vm: Vm, ready: Ready, folder: Path, until: Deadline) -> Snapshot:
    """Save a guest whose memory is a file, and let it run on; the folder is made.

    Raises InfraError where that fails, and the guest may then stand still for ever.
    """
    if vm.files.memory is None:
        raise InfraError("a guest whose memory is QEMU's own can't be saved")
    saved = Snapshot(folder=folder, ready=ready, console_bytes=0)
    try:
        folder.mkdir()
        with _whole_or_gone(folder):
            save_devices(vm.files.qmp_socket, saved.devices, until)
            copy_sparse(vm.files.memory, saved.memory)
            if vm.spec.sandbox:
                hand_over(saved.memory)
            shutil.copyfile(vm.files.console_log, saved.console_log)
            saved = replace(saved, console_bytes=saved.console_log.stat().st_size)
            # In here: of a guest that does not go on, nobody uses the snapshot either.
            go_on(vm.files.qmp_socket, until)
    except OSError as e:
        raise InfraError(f"the guest can't be saved: {e}") from e
    return saved


@contextmanager
def _whole_or_gone(folder: Path) -> Iterator[None]:
    # Half a state is of no use, and the memory that it takes is what other guests live on.
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file with its holes: of a guest's memory, most was never touched."""
    with source.open("rb") as old, target.open("xb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        at = 0
        while (begin := _data_from(old.fileno(), at)) is not None:
            at = os.lseek(old.fileno(), begin, os.SEEK_HOLE)
            _copy(old.fileno(), new.fileno(), begin, at)


def _data_from(file: int, at: int) -> int | None:
    try:
        return os.lseek(file, at, os.SEEK_DATA)
    except OSError as e:
        if e.errno == errno.ENXIO:  # there is a hole up to the end
            return None
        raise


def _copy(old: int, new: int, begin: int, end: int) -> None:
    os.lseek(new, begin, os.SEEK_SET)
    while begin < end:
        done = os.sendfile(new, old, begin, end - begin)
        if not done:
            raise OSError("the file became shorter")
        begin += done
