"""A running guest, for the length of a block."""

import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator import process
from orchestrator.deadline import Deadline, raise_if_cancelled
from orchestrator.errors import InfraError
from orchestrator.vm.argv import VmFiles, VmSpec
from orchestrator.vm.console import ConsoleLog
from orchestrator.vm.qmp import forwarded_port, held_why, load_devices
from orchestrator.vm.schedstat import ProcessorTime, inner_process, processor_time
from orchestrator.vm.start import AROUND_QEMU, guest_files, new_memory, running

# A guest that prints without end must not fill the disk.
LONGEST_LOG_BYTES = 256 << 20

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

    def __init__(self, spec: VmSpec, files: VmFiles, child: process.Child) -> None:
        self.spec = spec
        self.files = files
        self._child = child
        self._port: int | None = None
        self._log = ConsoleLog(files.console_log)
        self._logged = files.console_log.stat().st_size
        self._ended_for = ""

    @property
    def process_id(self) -> int:
        """Of what was started: QEMU, or the sandbox around it."""
        return self._child.pid

    def alive(self) -> bool:
        """Whether QEMU runs. One whose log has become too long is ended here."""
        if not self._ended_for and self._child.poll() is None and (long := self._too_long()):
            self._ended_for = f"QEMU was ended: {long} has more than {LONGEST_LOG_BYTES >> 20} MiB"
            self._child.kill()
        return not self._ended_for and self._child.poll() is None

    def ending(self) -> str:
        """How QEMU ended, in words; "" while it is alive."""
        status = self._child.poll()
        if self._ended_for or status is None:
            return self._ended_for
        signal = signal_of(status)
        return f"QEMU was killed by signal {signal}" if signal else f"QEMU ended with status {status}"

    def killed_by(self) -> int:
        """The number of the signal that QEMU died of, if not by our hand; 0 for none."""
        return 0 if self._ended_for else signal_of(self._child.poll() or 0)

    def paused_why(self, until: Deadline) -> str:
        """Why QEMU holds the guest, when that is this machine's doing; "" while it runs or QEMU does not say.

        A guest that is held looks like one that hangs.
        """
        try:
            return held_why(self.files.qmp_socket, until)
        except InfraError:
            raise_if_cancelled()
            return ""

    def processor_time(self) -> ProcessorTime | None:
        """What the host's scheduler says of QEMU's threads so far; None where it does not."""
        pid = inner_process(self._child.pid, AROUND_QEMU)
        return processor_time(pid) if pid else None

    def wait_ready(self, until: Deadline) -> Ready | None:
        """Wait for init's line; None when the guest ended before it. Raises OutOfTime, InfraError without a guest."""
        match = self._log.wait_for(READY, alive=self.alive, until=until)
        if match is None:
            self._check_started()
        return ready_of(match["facts"]) if match else None

    def wait_settled(self, until: Deadline) -> bool:
        """Wait, after the ready line, until init has nothing more to do; False when the guest ended before."""
        return self._log.wait_for(SETTLED, alive=self.alive, until=until) is not None

    def ssh_address(self, until: Deadline) -> Path | int:
        """What leads to the guest's SSH server: a Unix socket; without the sandbox a port on 127.0.0.1."""
        if self.spec.sandbox:
            until.until(lambda: self.files.ssh_socket.exists() or not self.alive())
            return self.files.ssh_socket
        if self._port is None:
            self._port = forwarded_port(self.files.qmp_socket, until)
        return self._port

    def wait_quiet(self, seconds: float, until: Deadline) -> None:
        """Let the console finish what it is printing."""
        self._log.wait_until_quiet(seconds, until=until)

    def _check_started(self) -> None:
        """Raise InfraError if QEMU gave up before the guest said anything: a guest's own end is no error of QEMU's."""
        status = self._child.poll()
        if status and not signal_of(status) and self.files.console_log.stat().st_size == self._logged:
            raise InfraError(
                f"QEMU can't start: {self.last_words() or self.ending()}", hint=f"less {self.files.qemu_log}"
            )

    def last_words(self) -> str:
        """The last line of what QEMU itself said."""
        return process.last_lines(self.files.qemu_log.read_text(errors="replace"), 1)

    def _too_long(self) -> str:
        logs = (self.files.console_log, self.files.qemu_log)
        return next((log.name for log in logs if log.stat().st_size > LONGEST_LOG_BYTES), "")


def signal_of(status: int) -> int:
    """The signal that an exit status tells of, as bubblewrap and shells tell of it too; 0 for none."""
    return -status if status < 0 else status - 128 if status > 128 else 0


@contextmanager
def boot(spec: VmSpec, *, console_log: Path, qemu_log: Path, memory: Path | None = None) -> Iterator[Vm]:
    """Start QEMU and yield at once; the guest is still booting. QEMU and its sockets and disks are gone afterwards.

    With `memory`, a file to be made, the guest's memory is that file, so that it can be saved.
    """
    with guest_files(spec, console_log=console_log, qemu_log=qemu_log) as files:
        if memory:
            new_memory(spec, memory)
        # An earlier guest's ready line would be taken for its own.
        console_log.write_bytes(b"")
        files = replace(files, memory=memory)
        with running(spec, files) as child:
            yield Vm(spec, files, child)


@contextmanager
def restore(spec: VmSpec, saved: SavedGuest, *, console_log: Path, qemu_log: Path, until: Deadline) -> Iterator[Vm]:
    """Yield a guest that goes on from where `saved` stands, with disks of its own that are empty.

    What it changes is its own: any number of guests start from one that is saved. It has the clock, the random numbers
    and the MAC address of then. Raises InfraError when QEMU can't use the state.
    """
    with guest_files(spec, console_log=console_log, qemu_log=qemu_log) as files:
        shutil.copyfile(saved.console_log, console_log)
        files = replace(files, memory=saved.memory, restored=True)
        with running(spec, files) as child:
            vm = Vm(spec, files, child)
            try:
                load_devices(files.qmp_socket, saved.devices, until, alive=vm.alive)
            except InfraError as e:
                said = vm.last_words()
                raise InfraError(f"{e}; QEMU said: {said}" if said else str(e)) from e
            yield vm


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
