# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest that stands still has in its memory, by QEMU's monitor."""

import re
from collections.abc import Collection

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.text import printable
from orchestrator.vm.qemu import Vm
from orchestrator.vm.qmp import human_command

GUEST_CLOCK = "tick_next_period"
"""Linux kernel/time/tick-common.c: CLOCK_MONOTONIC of the next timer tick, in ns."""

_SECONDS = 30.0
_LINE = re.compile(r"^[0-9a-f]+:((?: 0x[0-9a-f]{2})+)\s*$", re.MULTILINE)
# Linux include/linux/sched.h, TASK_COMM_LEN; the first task's name, and how far into a task_struct it may be.
_NAME_BYTES = 16
_FIRST_TASK = b"swapper"
_TASK_BYTES = 12288


def memory_or_nothing(vm: Vm, address: int, size: int) -> bytes:
    """Bytes of the kernel's memory; fewer where there is none, or QEMU is gone."""
    until = Deadline.after(_SECONDS, "the guest's memory")
    try:
        said = human_command(vm.files.qmp_socket, f"x /{size}xb {address:#x}", until)
    except InfraError:
        return b""
    return bytes(int(byte, 16) for line in _LINE.findall(said) for byte in line.split())


def task_names(vm: Vm, first_task: int, tasks: Collection[int]) -> dict[int, str]:
    """Address of a task_struct -> its name, of those that have one. `first_task` is the address of init_task.

    Where in a task_struct the name is, the first task tells, whose name is known: the kernel's debug information does
    not have the struct.
    """
    offset = memory_or_nothing(vm, first_task, _TASK_BYTES).find(_FIRST_TASK)
    names = {task: memory_or_nothing(vm, task + offset, _NAME_BYTES) for task in tasks} if offset > 0 else {}
    texts = {task: name.partition(b"\0")[0].decode("utf-8", "replace") for task, name in names.items()}
    return {task: printable(text) for task, text in texts.items() if text}
