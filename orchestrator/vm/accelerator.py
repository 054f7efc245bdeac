# SPDX-License-Identifier: GPL-2.0-or-later
"""KVM or TCG? Only a guest that really came up under KVM tells."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, OutOfTime
from orchestrator.host.lock import locked
from orchestrator.host.paths import scratch_folder
from orchestrator.host.sandbox import Sandbox, confined_argv
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.model.arch import Arch
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import boot
from orchestrator.vm.start import KVM

REMEMBERED = "accelerators"
"""Files in the cache that begin so are what is remembered, and its lock."""
_PROBE_SECONDS = 20.0
_WAIT_SECONDS = 600.0  # for another run that is trying: two probes for each arch
_TINY_SIZE = 65536
_RESET_VECTOR = 0xFFF0
# QEMU's isa-debug-exit turns the value 0x10 into this status.
_TINY_STATUS = (0x10 << 1) | 1


@dataclass(frozen=True, kw_only=True, slots=True)
class KvmState:
    """Whether guests of one arch can run under KVM here, and why not."""

    usable: bool
    why: str


_STATES = TypeAdapter(dict[str, KvmState])


def kvm_state(spec: VmSpec, *, cache: Path) -> KvmState:
    """Whether `spec` boots under KVM: tried once per host kernel, QEMU and arch, and remembered in the cache.

    Raises InfraError where the cache can't be written, OutOfTime where another run keeps its lock.
    """
    if (reason := kvm_impossible(spec.arch)) is not None:
        return KvmState(usable=False, why=reason)
    remembered = cache / f"{REMEMBERED}.sealed"
    # In the sandbox QEMU may be another user, whom the device is not open to.
    rights = "sandbox" if spec.sandbox else "plain"
    key = f"{platform.release()} {qemu_version(spec.arch)} {spec.arch.name} {rights}"
    if (state := _known(remembered).get(key)) is not None:
        return state
    with locked(cache / f"{REMEMBERED}.lock", Deadline.after(_WAIT_SECONDS, "another run's trial of KVM")):
        known = _known(remembered)
        if key not in known:
            why = _trouble(spec)
            known[key] = KvmState(usable=not why, why=why)
            write_sealed(remembered, _STATES.dump_json(known, indent=1))
    return known[key]


def kvm_has_booted(cache: Path) -> bool:
    """Whether a guest of any arch came up under KVM, by what is remembered of this host kernel."""
    known = _known(cache / f"{REMEMBERED}.sealed")
    return any(state.usable for key, state in known.items() if key.startswith(f"{platform.release()} "))


def _known(remembered: Path) -> dict[str, KvmState]:
    try:
        return _STATES.validate_json(read_sealed(remembered) or b"{}")
    except ValidationError:  # of another version
        return {}


def kvm_impossible(arch: Arch) -> str | None:
    """Why KVM is out of the question without any trial; None when it has to be tried."""
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    if machine != arch.name:
        return f"the host is {machine}, the guest {arch.name}"
    if not KVM.exists():
        return "there is no /dev/kvm"
    try:
        with KVM.open("r+b"):
            return None
    except OSError as e:
        return f"/dev/kvm can't be opened: {e.strerror}"


@cache
def qemu_version(arch: Arch) -> str:
    """The first line of qemu-system-* --version, asked once: a cell that ends late may start nothing more.

    Raises ToolMissing.
    """
    with scratch_folder() as scratch:
        said = process.check(
            [f"qemu-system-{arch.qemu}", "--version"],
            log=Path(scratch) / "log",
            until=Deadline.after(30, "qemu --version"),
        )
    return said.splitlines()[0]


def tiny_boot_trouble(arch: Arch, *, sandbox: bool) -> str:
    """What went wrong with one instruction under KVM with -cpu host; "" when nothing, or no such probe for the arch.

    With `sandbox`, QEMU is tried in there. /dev/kvm can open, and KVM_CREATE_VM work, on hosts where QEMU then aborts
    or hangs.
    """
    if not arch.kvm_firmware:
        return ""
    with scratch_folder() as scratch:
        firmware = bytearray(_TINY_SIZE)
        firmware[_RESET_VECTOR : _RESET_VECTOR + len(arch.kvm_firmware)] = arch.kvm_firmware
        image = Path(scratch) / "tiny.bin"
        image.write_bytes(firmware)
        return _tried(lambda: _run_tiny(arch, image, Path(scratch) / "log", sandbox=sandbox))


def _run_tiny(arch: Arch, image: Path, log: Path, *, sandbox: bool) -> str:
    argv = [
        *(f"qemu-system-{arch.qemu}", "-accel", "kvm", "-cpu", "host", "-machine", "pc", "-m", "16M", "-smp", "2"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-bios", str(image)),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
    ]
    inside = Sandbox(readable=(image,), devices=(KVM,))
    argv = confined_argv(argv, inside, sandbox=sandbox)
    done = process.run(argv, log=log, until=Deadline.after(_PROBE_SECONDS, "the probe under KVM"))
    if done.status == _TINY_STATUS:
        return ""
    return f"QEMU ended with status {done.status} under KVM: {process.last_lines(done.output, 1)}"


def _trouble(spec: VmSpec) -> str:
    return tiny_boot_trouble(spec.arch, sandbox=spec.sandbox) or _tried(lambda: _boot_kernel(spec))


def _boot_kernel(spec: VmSpec) -> str:
    with scratch_folder() as name:
        scratch = Path(name)
        with boot(spec, console_log=scratch / "console.log", qemu_log=scratch / "qemu.log") as vm:
            ready = vm.wait_ready(Deadline.after(_PROBE_SECONDS, "a guest's start under KVM"))
            return "" if ready else f"the guest ended before it was up: {vm.ending()}"


def _tried(attempt: Callable[[], str]) -> str:
    try:
        return attempt()
    except OutOfTime:
        return f"a guest under KVM did not come up in {_PROBE_SECONDS:.0f} s"
    except InfraError as e:
        return str(e)
