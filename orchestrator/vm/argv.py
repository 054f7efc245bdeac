# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's QEMU command line and kernel command line (pure)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from orchestrator.model.arch import Arch
from orchestrator.model.machine import PLAIN, Machine
from orchestrator.model.schedule import Schedule

GUEST_SSH = "10.0.2.15:22"
# Where it is forwarded to in the sandbox, whose loopback nobody else reaches.
SANDBOX_SSH_PORT = 2222
# QEMU's name for the serial line.
CONSOLE = "console"

# What QEMU's files are called in the sandbox: short, and without a comma, whatever they are called outside.
RUNTIME = PurePosixPath("/guest/runtime")
IMAGE = PurePosixPath("/guest/image")
INITRAMFS = PurePosixPath("/guest/initramfs")
MEMORY = PurePosixPath("/guest/memory")

# In the folder of the sockets: where a debugger finds a guest that waits for one.
GDB_SOCKET = "gdb"

# QEMU needs none of these once it runs, and who broke out of a guest would.
_SECCOMP = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
# The console log is opened by us, and QEMU gets it as this set of descriptors.
LOG_SET = 1

KERNEL_PARAMETERS = (
    # The console is the evidence: all of it, with whole pointers, and room for long splats.
    *("ignore_loglevel", "printk.devkmsg=on", "log_buf_len=1M", "no_hash_pointers", "nokaslr"),
    # Together with -no-reboot, a panic ends QEMU instead of costing a time-out.
    "panic=-1",
    # Grace periods that take milliseconds, as the tail of swapoff waits for one.
    *("rcupdate.rcu_expedited=1", "rcutree.jiffies_till_first_fqs=0", "rcutree.jiffies_till_next_fqs=0"),
    # A vCPU that the busy host does not run for a while is no stall of the kernel's.
    *("rcupdate.rcu_cpu_stall_timeout=60", "watchdog_thresh=30", "workqueue.watchdog_thresh=60"),
    # Emulation gains nothing from mitigations, and the fixed seed of a rdrand-less CPU must not hold up sshd.
    *("mitigations=off", "random.trust_cpu=on"),
    # A page is filled when it is freed, and checked when it is allocated.
    "page_poison=1",
    # Devices are made when a workload asks for them.
    *("null_blk.nr_devices=0", "zram.num_devices=1"),
)


# What makes the guest's kernel, or its init, such a machine.
_OF_MEMCG = {"v1": ("patchrig.memcg=v1",)}
# Memory files, too, and all smaller folios of anonymous memory. A kernel older than an option passes it over.
_OF_THP = {"always": ("transparent_hugepage=always", "transparent_hugepage_shmem=always", "thp_anon=16K-1M:inherit")}


@dataclass(frozen=True, kw_only=True, slots=True)
class VmSpec:
    """A guest to be started."""

    arch: Arch
    image: Path
    initramfs: Path
    memory_mib: int
    cpus: int
    kvm: bool
    disk_mib: tuple[int, ...] = ()  # one virtio disk each, serial numbers swap0, swap1, ...; 0: none in this place
    machine: Machine = PLAIN
    extra_parameters: tuple[str, ...] = ()
    sandbox: bool = True  # QEMU, which reads what strangers wrote, runs in the sandbox; else with the user's rights
    schedule: Schedule | None = None  # of a deterministic guest; None: the host decides which CPU runs when
    job: tuple[str, ...] = ()  # of a deterministic guest: run-workload's arguments
    job_limits: str = ""  # and its limits, as guest-scripts/job.c takes them
    traced: tuple[int, ...] = ()  # of a deterministic guest: instructions of which QEMU tells the registers
    windows: tuple[int, ...] = ()  # those of them behind which QEMU tells of the next few bytes, too
    traced_later: bool = False  # not from the start, but when the monitor asks for it
    debugged: bool = False  # a deterministic guest that waits for a debugger before its first instruction


@dataclass(frozen=True, kw_only=True, slots=True)
class VmFiles:
    """Where a guest's sockets, disks and logs lie. QEMU starts in `runtime`, and names what is in there without it."""

    runtime: Path
    sockets: Path  # the same folder by a short name: a Unix socket's path may have 107 bytes
    console_log: Path
    qemu_log: Path
    memory: Path | None = None  # a file that is the guest's memory; None: QEMU's own
    restored: bool = False  # that file is a snapshot's: it stays as it is, and QEMU waits for the rest of the state

    @property
    def console_socket(self) -> Path:
        return self.sockets / "console"

    @property
    def qmp_socket(self) -> Path:
        return self.sockets / "qmp"

    @property
    def gdb_socket(self) -> Path:
        return self.runtime / GDB_SOCKET

    @property
    def ssh_socket(self) -> Path:
        """Of a guest in the sandbox."""
        return self.sockets / "ssh"

    def disk(self, index: int) -> Path:
        return self.runtime / f"swap{index}.raw"


def qemu_argv(vm: VmSpec, files: VmFiles, *, console: int) -> list[str]:
    """The command line of a guest under the orchestrator's watch; `console`: the descriptor of its log's file."""
    image, initramfs = seen(vm, vm.image, IMAGE), seen(vm, vm.initramfs, INITRAMFS)
    return [*_watched_argv(vm, files, console), *_kernel_argv(vm, image, initramfs, ())]


def bare_argv(vm: VmSpec, files: VmFiles, *, console: int) -> list[str]:
    """The same machine without a kernel, standing still."""
    return [*_watched_argv(vm, files, console), "-S"]


def _watched_argv(vm: VmSpec, files: VmFiles, console: int) -> list[str]:
    port = SANDBOX_SSH_PORT if vm.sandbox else 0  # 0: the host picks a free one, so two runs can't collide.
    disks = [files.disk(index).name for index in range(len(vm.disk_mib))]
    return [
        *_machine_argv(vm),
        *_memory_argv(vm, files),
        # QEMU keeps the log, so it is whole even when we are killed; nobody has to read the socket.
        *("-add-fd", f"fd={console},set={LOG_SET}"),
        *("-chardev", ",".join(_console_options(files))),
        *("-serial", f"chardev:{CONSOLE}"),
        *("-qmp", f"unix:{files.qmp_socket.name},server=on,wait=off"),
        # restrict: the guest reaches nothing.
        *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-{GUEST_SSH}"),
        *("-device", f"{vm.arch.net_device},netdev=net"),
        # A disk of this machine's that is full or fails stops the guest, and is no error that its kernel gets to see.
        *_disks_argv(vm, disks, ",werror=stop,rerror=stop"),
    ]


def program_of(vm: VmSpec) -> str:
    return f"qemu-system-{vm.arch.qemu}"


def seen(vm: VmSpec, path: Path, inside: PurePath) -> str:
    """What QEMU calls a file, which in the sandbox has the name `inside`."""
    return str(inside if vm.sandbox else path.absolute())


def standalone_argv(
    vm: VmSpec, *, image: str, initramfs: str, disks: Sequence[str], workload: Sequence[str]
) -> list[str]:
    """The command line of a reproducer: console on the terminal, the workload started by init, no orchestrator."""
    return [
        *_machine_argv(vm),
        *("-serial", "mon:stdio"),
        *_disks_argv(vm, disks),
        *_kernel_argv(vm, image, initramfs, (f'patchrig.run="{" ".join(workload)}"',)),
    ]


def kernel_cmdline(vm: VmSpec, more: Sequence[str]) -> str:
    of_machine = (*_OF_MEMCG.get(vm.machine.memcg, ()), *_OF_THP.get(vm.machine.thp, ()))
    return " ".join((*vm.arch.kernel_parameters, *KERNEL_PARAMETERS, *of_machine, *vm.extra_parameters, *more))


def _machine_argv(vm: VmSpec) -> list[str]:
    tcg = ["-accel", "tcg,thread=multi", "-cpu", vm.arch.tcg_cpu]
    accelerator = ["-accel", "kvm", "-cpu", "host"] if vm.kvm else tcg
    return [
        *(program_of(vm), *vm.arch.machine, *accelerator),
        *common_argv(vm),
        *("-device", vm.arch.rng_device),
    ]


def common_argv(vm: VmSpec) -> list[str]:
    """What all guests of a spec have, also where nothing of the host's may enter."""
    return [
        # A socket each: the firmware's MP table, from which x86_64 without ACPI learns of them, lists sockets only.
        *("-m", f"{vm.memory_mib}M", "-smp", f"{vm.cpus},sockets={vm.cpus},cores=1,threads=1"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", _SECCOMP),
        *(_numa_argv(vm) if vm.machine.nodes > 1 else ()),
    ]


def _numa_argv(vm: VmSpec) -> Iterator[str]:
    """Nodes that have the same share of memory and CPUs, the first ones the rest of a division."""
    yield from vm.arch.numa_machine
    memory, cpus = _shares(vm.memory_mib, vm.machine.nodes), _shares(vm.cpus, vm.machine.nodes)
    for node, (mib, count) in enumerate(zip(memory, cpus, strict=True)):
        first = sum(cpus[:node])
        own = f",cpus={first}-{first + count - 1}" if count else ""
        yield from ("-object", f"memory-backend-ram,id=node{node},size={mib}M")
        yield from ("-numa", f"node,nodeid={node},memdev=node{node}{own}")


def _shares(whole: int, parts: int) -> list[int]:
    return [whole // parts + (part < whole % parts) for part in range(parts)]


def _memory_argv(vm: VmSpec, files: VmFiles) -> list[str]:
    """Memory that is a file: a guest that may be saved writes to it, a restored one has a private copy on write."""
    if files.memory is None:
        return []
    path = escaped(seen(vm, files.memory, MEMORY))
    backend = f"memory-backend-file,id=ram,size={vm.memory_mib}M,mem-path={path}"
    argv = ["-object", f"{backend},share={'off' if files.restored else 'on'}", "-machine", "memory-backend=ram"]
    return [*argv, "-incoming", "defer"] if files.restored else argv


def _console_options(files: VmFiles) -> tuple[str, ...]:
    socket = (f"path={files.console_socket.name}", "server=on", "wait=off")
    # We empty the log of a guest that boots; in a restored one's stands what the guest said before its snapshot.
    return ("socket", f"id={CONSOLE}", *socket, f"logfile=/dev/fdset/{LOG_SET}", "logappend=on")


def escaped(path: str) -> str:
    """A path as part of an option of QEMU's, where a comma ends the value unless it is doubled."""
    return path.replace(",", ",,")


def _disks_argv(vm: VmSpec, paths: Sequence[str], more: str = "") -> list[str]:
    argv: list[str] = []
    for index, (size_mib, path) in enumerate(zip(vm.disk_mib, paths, strict=True)):
        if size_mib:
            # What the guest swaps out need not survive the host.
            drive = f"if=none,id=swap{index},file={escaped(path)},format=raw,cache=unsafe,discard=unmap{more}"
            argv += ["-drive", drive, "-device", f"{vm.arch.blk_device},drive=swap{index},serial=swap{index}"]
    return argv


def _kernel_argv(vm: VmSpec, image: str, initramfs: str, more: Sequence[str]) -> list[str]:
    return ["-kernel", image, "-initrd", initramfs, "-append", kernel_cmdline(vm, more)]
