# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways into a guest of which nobody knows what still works: SSH, the serial console, QEMU's monitor."""

from collections.abc import Callable
from contextlib import ExitStack

from orchestrator.guest import evidence
from orchestrator.guest.keys import RunKeys
from orchestrator.run.restored import connected
from orchestrator.vm.argv import CONSOLE
from orchestrator.vm.console import serial_shell, sysrq
from orchestrator.vm.qemu import Vm
from orchestrator.vm.qmp import dump_memory, human_command, send_break


def hang_channels(
    stack: ExitStack, vm: Vm, keys: RunKeys, *, booted: bool, whole_memory: bool
) -> evidence.HangChannels:
    """Whom to ask in a guest that hangs, in this order; what is opened is closed with `stack`."""
    qmp, console = vm.files.qmp_socket, vm.files.console_socket
    # Before the ready line there is nobody to ask.
    shells = {"SSH": lambda: _ssh_shell(stack, vm, keys), "serial console": lambda: _serial_shell(stack, vm)}
    return evidence.HangChannels(
        shells=shells if booted else {},
        sysrq=lambda keys: sysrq(console, keys, lambda: send_break(qmp, CONSOLE, evidence.shell_deadline())),
        monitor=lambda command: human_command(qmp, command, evidence.shell_deadline()),
        dump_memory=(lambda file: dump_memory(qmp, file, evidence.dump_deadline())) if whole_memory else None,
    )


def _ssh_shell(stack: ExitStack, vm: Vm, keys: RunKeys) -> Callable[[str], str]:
    # A connection of its own: the workload's may be what hangs.
    guest = stack.enter_context(connected(vm, keys, evidence.shell_deadline()))
    return lambda command: guest.run(command, evidence.shell_deadline()).text


def _serial_shell(stack: ExitStack, vm: Vm) -> Callable[[str], str]:
    shell = stack.enter_context(serial_shell(vm.files.console_socket, evidence.shell_deadline()))
    return lambda command: shell.run(command, evidence.shell_deadline())
