# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig boot` and `patchrig shell` do: one guest, for a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from orchestrator.cli.options import Choice
from orchestrator.cli.request import request_of
from orchestrator.guest.keys import RunKeys, new_keys
from orchestrator.guest.login import SSH, SSH_FAILED, login_argv
from orchestrator.guest.workload import disk_sizes, workload_argv
from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import ExitCode, InfraError, ToolMissing, UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.model.cells import Cell, names_meant
from orchestrator.model.images import BuildFailure
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.bootable import BOOT_SECONDS, Bootable, BootFiles, Guests, limits_of, unlike_asked, vm_spec
from orchestrator.run.bootable_kernels import new_bootable
from orchestrator.run.kernels import Building, Request, open_kernels
from orchestrator.run.restored import connected
from orchestrator.vm.qemu import boot as boot_vm
from orchestrator.vm.qemu import said_since
from orchestrator.vm.start import terminal_argv


def boot_to_prompt(matrix: Path | None, choice: Choice) -> ExitCode:
    """Boot the first kernel of the matrix on this terminal."""
    request = request_of(matrix, choice)
    cell = request.cells[0]
    with _bootable(request, cell, new_keys()) as bootable, scratch_folder() as scratch:
        sizes = disk_sizes(cell)
        disks = [Path(scratch) / f"swap{index}.raw" for index in range(len(sizes))]
        for disk, size_mib in zip(disks, sizes, strict=True):
            with disk.open("wb") as file:
                file.truncate(size_mib << 20)
        click.echo(f"{cell.build.name}; Ctrl-A X ends QEMU", err=True)
        status = process.foreground(terminal_argv(vm_spec(cell, bootable), disks))
    return ExitCode.OK if status == 0 else ExitCode.INFRA


def open_shell(cell: str, matrix: Path | None, choice: Choice) -> ExitCode:
    """Boot the guest of a cell and open an SSH session in it."""
    if process.find_tool(SSH) is None:
        raise ToolMissing(SSH)
    request = request_of(matrix, choice)
    chosen = _cell_named(request, cell)
    keys = new_keys()
    with _bootable(request, chosen, keys) as bootable, scratch_folder() as scratch:
        until = Deadline.after(BOOT_SECONDS, "the guest's start")
        logs = Path(scratch)
        spec = vm_spec(chosen, bootable)
        with boot_vm(spec, console_log=logs / "console.log", qemu_log=logs / "qemu.log") as vm:
            ready = vm.wait_ready(until)
            if ready is None:
                last = process.last_lines(said_since(logs / "console.log", 0))
                raise InfraError(f"{vm.ending()} before the guest was up:\n{last}", hint=vm.not_the_guests_doing())
            if differs := unlike_asked(chosen, bootable, ready):
                raise InfraError(differs)
            argv = workload_argv(chosen, limits_of(chosen, ready.speed))
            click.echo(f"{chosen.name}; its workload is started by:\n  {' '.join(argv)}", err=True)
            # ssh tries once, and the guest's server may not listen yet.
            with connected(vm, keys, until) as guest:
                guest.run("true", until)
            login = login_argv(vm.ssh_address(until), keys, logs, seconds=until.left())
            status = process.foreground(login)
            # Who ends the guest from the inside ends the session, too.
            if status == SSH_FAILED and vm.alive():
                raise InfraError("ssh failed", hint="see what it said above")
    return ExitCode.OK


def _cell_named(request: Request, name: str) -> Cell:
    meant = names_meant([cell.name for cell in request.cells], name)
    matches = [cell for cell in request.cells if cell.name in meant]
    if len(matches) == 1:
        return matches[0]
    which = ", ".join(cell.name for cell in (matches or request.cells)[:8])
    found = f"{len(matches)} cells are called" if matches else "no cell is called"
    raise UserError(
        f"{found} {name!r}; there are: {which}",
        hint=f"patchrig list {request.plan.path}  # a cell of a run's: with that run's --flavour, --variant, --patch",
    )


@contextmanager
def _bootable(request: Request, cell: Cell, keys: RunKeys) -> Iterator[Bootable]:
    """The cell's kernel and a fresh initramfs, for the length of the block."""
    with scratch_folder() as scratch:
        folder = Path(scratch)
        with terminal(screen(beside_output=True)) as listener, open_kernels(request, listener) as kernels:
            how = Building(log_dir=folder, listener=listener)
            image = kernels.image(cell.build, how)
            if isinstance(image, BuildFailure):
                raise UserError(f"{image.outcome}: {image.title}\n{image.detail}")
            guests = Guests(keys=keys, sandbox=kernels.sandbox)
            workloads, cache = (cell.workload,), request.cache
            files = BootFiles(folder=folder, guests=guests, workloads=workloads, cache=cache, listener=listener)
            made = new_bootable(image, kernels, files, how, run=folder)
            if isinstance(made, BuildFailure):
                raise UserError(f"{made.outcome}: {made.title}\n{made.detail}")
            bootable = files.with_usable_kvm(made, cell)
        yield bootable
