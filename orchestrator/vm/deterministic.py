# SPDX-License-Identifier: GPL-2.0-or-later
"""The QEMU command line of a guest that is a function of its inputs: QEMU, image, initramfs, seed (pure).

docs/replay.md lists what breaks that, and which option here keeps each of it out.
"""

from orchestrator.host.errors import InfraError
from orchestrator.model.schedule import Schedule
from orchestrator.vm.argv import (
    CONSOLE,
    GDB_SOCKET,
    IMAGE,
    INITRAMFS,
    LOG_SET,
    VmFiles,
    VmSpec,
    common_argv,
    kernel_cmdline,
    program_of,
    seen,
)
from orchestrator.vm.execution_log import log_argv

# Longer ones the kernels of both arches cut off.
_LONGEST_CMDLINE = 2047
# The day that each such guest believes to live in.
_BASE = "2026-01-01T00:00:00"
_WITHOUT = "patchrig run ...  # without --deterministic"
# Later ones of the kernel's command line win. What the CPU or the boot loader gives as randomness is not waited for.
_PARAMETERS = ("random.trust_cpu=off", "random.trust_bootloader=off")


def deterministic_argv(vm: VmSpec, files: VmFiles, *, console: int) -> list[str]:
    """The command line under the orchestrator's watch; `console`: the descriptor of its log's file."""
    image, initramfs = seen(vm, vm.image, IMAGE), seen(vm, vm.initramfs, INITRAMFS)
    return [
        *_fixed_argv(vm),
        *("-add-fd", f"fd={console},set={LOG_SET}"),
        # No socket: what somebody types is an input.
        *("-chardev", f"null,id={CONSOLE},logfile=/dev/fdset/{LOG_SET},logappend=on"),
        *("-serial", f"chardev:{CONSOLE}"),
        *("-qmp", f"unix:{files.qmp_socket.name},server=on,wait=off"),
        *(("-S", "-gdb", f"unix:{GDB_SOCKET},server=on,wait=off") if vm.debugged else ()),
        *log_argv(vm.traced, vm.windows, later=vm.traced_later),
        *_kernel_argv(vm, image, initramfs),
    ]


def deterministic_standalone_argv(vm: VmSpec, *, image: str, initramfs: str, console: str) -> list[str]:
    """The same guest by hand: its console goes to the file `console`."""
    return [*_fixed_argv(vm), "-serial", f"file:{console}", *_kernel_argv(vm, image, initramfs)]


def _fixed_argv(vm: VmSpec) -> list[str]:
    schedule = schedule_in(vm)
    return [
        *(program_of(vm), *vm.arch.machine, *vm.arch.fixed_machine),
        # One thread for all CPUs, and a clock that counts instructions.
        *("-accel", "tcg,thread=single", "-icount", f"shift={schedule.shift},sleep=off", "-cpu", vm.arch.fixed_cpu),
        *("-rtc", f"clock=vm,base={_BASE}", "-seed", str(schedule.seed)),
        *common_argv(vm),
    ]


def schedule_in(vm: VmSpec) -> Schedule:
    if vm.schedule is None:
        raise ValueError("this guest has no schedule")
    return vm.schedule


def _kernel_argv(vm: VmSpec, image: str, initramfs: str) -> list[str]:
    schedule = schedule_in(vm)
    unfit = next((word for word in vm.job if not word or set(word) & set(" \t\n\"'")), None)
    if unfit is not None:
        raise InfraError(f"a deterministic guest can't be given the argument {unfit!r}", hint=_WITHOUT)
    # While all CPUs halt, QEMU's main thread moves the clock. It may see the last one halted before the instructions up
    # to the halt are counted, and then they are counted twice: at a moment of the host's.
    polling = vm.arch.fixed_idle
    job = (f"patchrig.job={schedule.rounds}:{vm.job_limits}", f'patchrig.run="{" ".join(vm.job)}"')
    cmdline = kernel_cmdline(vm, (*_PARAMETERS, polling, *(("skew_tick=1",) if schedule.skew else ()), *job))
    if len(cmdline) > _LONGEST_CMDLINE:
        why = f"the workload's arguments make a kernel command line of {len(cmdline)} characters"
        raise InfraError(f"{why}; a deterministic guest gets {_LONGEST_CMDLINE} at most", hint=_WITHOUT)
    return ["-kernel", image, "-initrd", initramfs, "-append", cmdline]
