# SPDX-License-Identifier: GPL-2.0-or-later
"""A running guest, for the length of a block."""

import re
import shutil
import signal
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import GuestNonsense, InfraError
from orchestrator.host.oom import oom_kills
from orchestrator.host.paths import scratch_folder
from orchestrator.host.text import end_of, one_line
from orchestrator.model.machine import PLAIN, Machine, differences
from orchestrator.vm.argv import VmFiles, VmSpec
from orchestrator.vm.console import ConsoleLog
from orchestrator.vm.qmp import forwarded_port, load_devices, run_state
from orchestrator.vm.schedstat import ProcessorTime, inner_process, processor_time
from orchestrator.vm.start import AROUND_QEMU, guest_files, new_memory, running

# A guest that prints without end must not fill the disk; whoever watches one may end it before.
LONGEST_LOG_BYTES = 512 << 20

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
    machine: Machine = PLAIN
    ssh: bool = True  # its SSH server listens


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
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

    def __init__(self, spec: VmSpec, files: VmFiles, child: process.Child, *, log_from: int = 0) -> None:
        self.spec = spec
        self.files = files
        self._child = child
        self._port: int | None = None
        self._ended_for = ""  # why we ended it
        self._log = ConsoleLog(files.console_log)
        self._log_from = log_from  # what stands before in QEMU's log is of an earlier guest
        self._oom_kills = oom_kills()

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

    def _too_long(self) -> str:
        logs = (self.files.console_log, self.files.qemu_log)
        return next((log.name for log in logs if size_of(log) > LONGEST_LOG_BYTES), "")

    def _status(self) -> int | None:
        """QEMU's exit status; negative: the signal; None while it is alive. The sandbox around it hands signals on."""
        status = self._child.poll()
        if status is not None and self.spec.sandbox and 0 < status - _SIGNALS_FROM < signal.NSIG:
            return _SIGNALS_FROM - status
        return status

    def ending(self) -> str:
        """How QEMU ended, in words; "" while it is alive."""
        status = self._status()
        if self._ended_for or status is None:
            return self._ended_for
        if status < 0:
            return f"QEMU was killed by signal {-status}"
        said = self._last_words() if status else self._sent_home()
        return f"QEMU ended with status {status}{f' ({said})' if said else ''}"

    def not_the_guests_doing(self) -> str:
        """What to look at where QEMU's end can't be the guest's doing: a signal, or a status of an error of its own.

        "" while it runs, and where the guest itself reset or powered off (that is status 0), or printed too much.
        """
        status = self._status()
        if self._ended_for or status is None or (status == 0 and not self._sent_home()):
            return ""
        if status == -signal.SIGKILL and oom_kills() > self._oom_kills:
            return "free -h  # this machine ran out of memory and killed it; the same again with --jobs 1"
        if status == -signal.SIGBUS and self.files.memory:
            return f"df -h {self.files.memory.parent}  # the guest's memory is a file there; or --no-restore"
        if status < 0 or not self._last_words():
            return "dmesg | tail; journalctl -n 50  # who or what ended it"
        return f"less {self.files.qemu_log}; patchrig doctor"

    def _last_words(self) -> str:
        return one_line(process.last_lines(said_since(self.files.qemu_log, self._log_from), 1))

    def _sent_home(self) -> str:
        """QEMU's own words where somebody sent it a signal to end by, which it does with status 0."""
        last = self._last_words()
        return last if "terminating on signal " in last else ""

    def refused(self) -> bool:
        """Whether QEMU gave up by itself before the kernel's first word."""
        return (self._status() or 0) > 0 and not size_of(self.files.console_log)

    def paused(self) -> "Paused | None":
        """Why QEMU no longer runs the guest although the guest would run; None where it does, or does not say."""
        try:
            state = run_state(self.files.qmp_socket, Deadline.after(_ANSWER_SECONDS, "what QEMU does with the guest"))
        except InfraError:
            return None
        if state in _GUESTS_STATES:
            return None
        why, hint = _PAUSED.get(state, (f"QEMU does not run the guest: its state is {state!r}", "patchrig doctor"))
        return Paused(why=why, hint=hint.format(folder=self.files.runtime))

    def processor_time(self) -> ProcessorTime | None:
        """What the host's scheduler says of QEMU's threads so far; None where it does not."""
        pid = inner_process(self._child.pid, AROUND_QEMU)
        return processor_time(pid) if pid else None

    def wait_ready(self, until: Deadline) -> Ready | None:
        """Wait for init's line; None when the guest ended before it. Raises OutOfTime."""
        match = self._log.wait_for(READY, alive=self.alive, until=until)
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

    def new_lines(self) -> list[str]:
        """The console's complete lines since the last call, or after the ready line."""
        return self._log.new_lines()

    def wait_quiet(self, seconds: float, until: Deadline) -> None:
        """Let the console finish what it is printing."""
        self._log.wait_until_quiet(seconds, until=until)


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused:
    """Why QEMU stopped a guest, and what to look at."""

    why: str
    hint: str


_ANSWER_SECONDS = 10.0
# The guest runs, or has itself brought about that it does not.
_GUESTS_STATES = ("", "running", "shutdown", "suspended", "guest-panicked", "watchdog")
_PAUSED = {
    "io-error": (
        "this machine could not write or read a disk of the guest (it is full, or fails): QEMU stopped the guest",
        "df -h {folder}; dmesg | tail",
    ),
    "paused": ("somebody stopped the guest through QEMU's monitor", "ps -ef | grep qemu"),
    "internal-error": ("QEMU or KVM of this machine could not go on with the guest", "dmesg | tail; patchrig doctor"),
}
# A shell's exit status, and bubblewrap's, for a program that died of signal 1; those of the others follow.
_SIGNALS_FROM = 128


def check_files(spec: VmSpec) -> None:
    """Raise InfraError or OSError where what the guest starts from is gone: QEMU's words would sound like the kernel's.

    It may go at any time, with a cache that somebody cleans or a disk that fails.
    """
    for path in (spec.image, spec.initramfs):
        with path.open("rb") as file:
            if not file.read(1):
                raise InfraError(f"{path} is empty", hint=f"ls -l {path}  # then `patchrig run` makes it again")


def starts_without_kernel(spec: VmSpec, memory: Path | None) -> bool:
    """Whether QEMU starts the same machine when there is no kernel in it: what it refused was the kernel then."""
    with scratch_folder() as name:
        logs = {"console_log": Path(name) / "console.log", "qemu_log": Path(name) / "qemu.log"}
        with guest_files(spec, **logs) as files, running(spec, replace(files, memory=memory), bare=True) as child:
            until = Deadline.after(_ANSWER_SECONDS, "QEMU without a kernel")
            try:
                return bool(run_state(files.qmp_socket, until, alive=lambda: child.poll() is None))
            except InfraError:
                return False


@contextmanager
def boot(spec: VmSpec, *, console_log: Path, qemu_log: Path, memory: Path | None = None) -> Iterator[Vm]:
    """Start QEMU and yield at once; the guest is still booting. QEMU and its sockets and disks are gone afterwards.

    With `memory`, a file to be made, the guest's memory is that file, so that it can be saved.
    """
    with guest_files(spec, console_log=console_log, qemu_log=qemu_log) as files:
        check_files(spec)
        if memory:
            new_memory(spec, memory)
        # An earlier guest's ready line would be taken for its own.
        console_log.write_bytes(b"")
        files = replace(files, memory=memory)
        log_from = size_of(qemu_log)
        with running(spec, files) as child:
            yield Vm(spec, files, child, log_from=log_from)


@contextmanager
def restore(spec: VmSpec, saved: Snapshot, *, console_log: Path, qemu_log: Path, until: Deadline) -> Iterator[Vm]:
    """Yield a guest that goes on from where `saved` stands, with disks of its own that are empty.

    What it changes is its own: any number of guests start from one that is saved. It has the clock, the random numbers
    and the MAC address of then. Raises InfraError when QEMU can't use the state.
    """
    with guest_files(spec, console_log=console_log, qemu_log=qemu_log) as files:
        shutil.copyfile(saved.console_log, console_log)
        files = replace(files, memory=saved.memory, restored=True)
        log_from = size_of(qemu_log)
        with running(spec, files) as child:
            vm = Vm(spec, files, child, log_from=log_from)
            try:
                load_devices(files.qmp_socket, saved.devices, until, alive=vm.alive)
            except InfraError as e:
                said = one_line(process.last_lines(said_since(qemu_log, log_from), 1))
                raise InfraError(f"{e}; QEMU said: {said}" if said else str(e)) from e
            yield vm


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def said_since(log: Path, start: int) -> str:
    """The end of what QEMU wrote to its log from there on."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        return end_of(file, start=start)


def ready_of(facts: str) -> Ready:
    """The facts of init's ready line ("cpus=4 memory_kib=... speed=... config=..."); raises InfraError on nonsense."""
    try:
        said: Mapping[str, str] = dict(word.split("=", 1) for word in facts.split())
        return Ready(
            cpus=int(_fact(said, "cpus")),
            memory_mib=int(_fact(said, "memory_kib")) >> 10,
            speed=float(_fact(said, "speed")),
            config=_fact(said, "config"),
            machine=Machine(
                page_kib=int(_fact(said, "page_kib")),
                nodes=int(_fact(said, "nodes")),
                memcg=_fact(said, "memcg"),
                thp=_fact(said, "thp"),
            ),
            ssh=said.get("ssh", "1") == "1",
        )
    except (KeyError, ValueError) as e:
        raise GuestNonsense(f"the guest's ready line makes no sense: {one_line(facts, 200)!r}") from e


def _fact(said: Mapping[str, str], name: str) -> str:
    if not _FACTS[name].fullmatch(said[name]):
        raise ValueError(f"{name} makes no sense")
    return said[name]


# The numbers that a machine can have.
_FACTS = {
    "cpus": re.compile(r"\d{1,5}", re.ASCII),
    "memory_kib": re.compile(r"\d{1,13}", re.ASCII),
    "speed": re.compile(r"(?=.*[1-9])\d{1,7}(?:\.\d{1,9})?", re.ASCII),
    "config": re.compile(r"\w{0,64}", re.ASCII),
    "page_kib": re.compile(r"\d{1,5}", re.ASCII),
    "nodes": re.compile(r"\d{1,5}", re.ASCII),
    "memcg": re.compile(r"\w{1,16}", re.ASCII),
    "thp": re.compile(r"\w{1,16}", re.ASCII),
}


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
    if differs := next(differences(spec.machine, ready.machine), ""):
        return differs
    if not ready.ssh:
        return "the guest's SSH server did not start; the console says why"
    return ""
