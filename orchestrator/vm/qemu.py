"""A running guest, for the length of a block."""

import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator import process
from orchestrator.deadline import Deadline
from orchestrator.errors import InfraError
from orchestrator.paths import scratch_folder
from orchestrator.vm.argv import VmFiles, VmSpec, qemu_argv
from orchestrator.vm.console import ConsoleLog
from orchestrator.vm.qmp import forwarded_port, load_devices, port_of
from orchestrator.vm.schedstat import ProcessorTime, processor_time

# Through /dev/kmsg, so with the kernel's stamps before it; anywhere else on a line somebody only speaks of it.
READY = re.compile(r"^(?:\[[^\]]*\] ?)*patchrig: ready (?P<facts>.*)$")
# What the guest does by itself is over; a guest that is to be saved should not do it again each time.
SETTLED = re.compile(r"^(?:\[[^\]]*\] ?)*patchrig: settled$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """What the guest says of itself when it is up; compare it with what was asked for."""

    cpus: int
    memory_mib: int
    speed: float  # iterations of a fixed loop per microsecond
    config: str  # CRC-32 and length of its .config, 8 hex digits each
    ssh: bool = True  # its SSH server listens


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedGuest:
    """A guest that was up, and stands still in a folder: its memory, the rest of its state, and its console so far."""

    folder: Path
    ready: Ready  # what it said of itself
    console_bytes: int  # how long its console log is

    @property
    def memory(self) -> Path:
        return self.folder / "memory"

    @property
    def devices(self) -> Path:
        return self.folder / "devices"

    @property
    def console_log(self) -> Path:
        return self.folder / "console.log"


class Vm:
    """A QEMU that is alive, or was until a moment ago."""

    def __init__(self, spec: VmSpec, files: VmFiles, child: process.Child, port: int | None = None) -> None:
        self.spec = spec
        self.files = files
        self._child = child
        self._port = port
        self._log = ConsoleLog(files.console_log)

    def alive(self) -> bool:
        return self._child.poll() is None

    def ending(self) -> str:
        """How QEMU ended, in words; "" while it is alive."""
        status = self._child.poll()
        if status is None:
            return ""
        return f"QEMU was killed by signal {-status}" if status < 0 else f"QEMU ended with status {status}"

    def killed_by(self) -> int:
        """The number of the signal that QEMU died of; 0 for none."""
        return max(0, -(self._child.poll() or 0))

    def processor_time(self) -> ProcessorTime | None:
        """What the host's scheduler says of QEMU's threads so far; None where it does not."""
        return processor_time(self._child.pid)

    def wait_ready(self, until: Deadline) -> Ready | None:
        """Wait for init's line; None when the guest ended before it. Raises OutOfTime."""
        match = self._log.wait_for(READY, alive=self.alive, until=until)
        return ready_of(match["facts"]) if match else None

    def wait_settled(self, until: Deadline) -> bool:
        """Wait, after the ready line, until init has nothing more to do; False when the guest ended before."""
        return self._log.wait_for(SETTLED, alive=self.alive, until=until) is not None

    def ssh_port(self, until: Deadline) -> int:
        if self._port is None:
            self._port = forwarded_port(self.files.qmp_socket, until)
        return self._port

    def wait_quiet(self, seconds: float, until: Deadline) -> None:
        """Let the console finish what it is printing."""
        self._log.wait_until_quiet(seconds, until=until)


@contextmanager
def boot(spec: VmSpec, *, console_log: Path, qemu_log: Path, memory: Path | None = None) -> Iterator[Vm]:
    """Start QEMU and yield at once; the guest is still booting. QEMU and its sockets and disks are gone afterwards.

    With `memory`, a file to be made, the guest's memory is that file, so that it can be saved.
    """
    with scratch_folder() as runtime:
        files = VmFiles(runtime=Path(runtime), console_log=console_log, qemu_log=qemu_log, memory=memory)
        _make_disks(spec, files)
        # QEMU empties it too, but after a while, in which an earlier guest's ready line would be taken for its own.
        console_log.write_bytes(b"")
        with process.spawn(qemu_argv(spec, files), log=qemu_log) as child:
            yield Vm(spec, files, child)


@contextmanager
def restore(spec: VmSpec, saved: SavedGuest, *, console_log: Path, qemu_log: Path, until: Deadline) -> Iterator[Vm]:
    """Yield a guest that goes on from where `saved` stands, with disks of its own that are empty.

    What it changes is its own: any number of guests start from one that is saved. It has the clock, the random numbers
    and the MAC address of then. Raises InfraError when QEMU can't use the state.
    """
    with scratch_folder() as runtime:
        files = VmFiles(
            runtime=Path(runtime), console_log=console_log, qemu_log=qemu_log, memory=saved.memory, restored=True
        )
        _make_disks(spec, files)
        shutil.copyfile(saved.console_log, console_log)
        with process.spawn(qemu_argv(spec, files), log=qemu_log) as child:
            try:
                usernet = load_devices(files.qmp_socket, saved.devices, until, alive=lambda: child.poll() is None)
            except InfraError as e:
                said = process.last_lines(qemu_log.read_text(errors="replace"), 1)
                raise InfraError(f"{e}; QEMU said: {said}" if said else str(e)) from e
            yield Vm(spec, files, child, port_of(usernet))


def _make_disks(spec: VmSpec, files: VmFiles) -> None:
    for index, size_mib in enumerate(spec.disk_mib):
        with files.disk(index).open("wb") as disk:
            disk.truncate(size_mib << 20)


def ready_of(facts: str) -> Ready:
    """The facts of init's ready line ("cpus=4 memory_kib=... speed=... config=..."); raises InfraError on nonsense."""
    try:
        said: Mapping[str, str] = dict(word.split("=", 1) for word in facts.split())
        return Ready(
            cpus=int(said["cpus"]),
            memory_mib=int(said["memory_kib"]) >> 10,
            speed=float(said["speed"]),
            config=said["config"],
            ssh=said.get("ssh", "1") == "1",
        )
    except (KeyError, ValueError) as e:
        raise InfraError(f"the guest's ready line makes no sense: {facts!r}") from e


# Two ways of telling the clock's rate differ by more than a tenth; the kernel trusts the one that a busy host spoils.
_CALIBRATIONS = re.compile(r"tsc: PIT calibration deviates from PMTIMER: (?P<used>\d+) (?P<other>\d+)")


def wrong_clock(console: str) -> str:
    """That the guest's clock runs at another rate than the host's, in words; "" where nothing says so.

    Such a guest's minutes are seconds: it reports stalls and hung tasks of which nothing is true.
    """
    # Looked at again a second later, against the PM timer, and found right.
    if not (said := _CALIBRATIONS.search(console)) or "tsc: Refined TSC clocksource calibration" in console:
        return ""
    factor = int(said["other"]) / max(1, int(said["used"]))
    return (
        f"the guest's clock runs {factor:.2g} times as fast as ours: this machine was too busy while it was calibrated"
    )


def config_digest(config: Path) -> str:
    """What init reports of its /proc/config.gz, computed from the .config that was built: CRC-32 and length."""
    text = config.read_bytes()
    return f"{zlib.crc32(text):08x}{len(text):08x}"


def not_as_asked(spec: VmSpec, ready: Ready, config: str, *, kept: float = 0.2) -> str:
    """In what the guest differs from what was asked for; "" when in nothing.

    `kept` is the share of what QEMU gave that the kernel may keep for itself, and that MemTotal does not have.
    """
    if ready.cpus != spec.cpus:
        return f"the guest has {ready.cpus} CPUs, {spec.cpus} were asked for"
    if not (1 - kept) * spec.memory_mib <= ready.memory_mib <= spec.memory_mib:
        return f"the guest has {ready.memory_mib} MiB of memory, {spec.memory_mib} were asked for"
    if config and ready.config != config:
        return f"the guest runs a kernel with another config ({ready.config}) than was built ({config})"
    if not ready.ssh:
        return "the guest's SSH server did not start; the console says why"
    return ""
