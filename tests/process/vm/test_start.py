# SPDX-License-Identifier: GPL-2.0-or-later
"""Real guests of a few instructions, in QEMU's sandbox and without it: what they can reach, and how they end."""

import contextlib
import os
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.guest import ssh
from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import ToolMissing
from orchestrator.host.sandbox import sandbox_works
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import LONGEST_LOG_BYTES, Vm, boot, restore, starts_without_kernel
from orchestrator.vm.qmp import dump_memory, human_command
from orchestrator.vm.schedstat import inner_process
from orchestrator.vm.snapshot import save
from orchestrator.vm.start import AROUND_QEMU, RELAY, guest_files, running, terminal_argv
from tests.process.fake_host import alive
from tests.process.tiny_guest import tiny_spec

QEMU = "qemu-system-x86_64"

pytestmark = pytest.mark.skipif(not shutil.which(QEMU), reason=f"{QEMU} is not installed")
sandboxed = pytest.mark.skipif(
    not (sandbox_works() and shutil.which(RELAY)), reason="there is no bubblewrap that works, or no socat"
)
each_way = pytest.mark.parametrize("sandbox", [pytest.param(True, marks=sandboxed), False])


def soon(seconds: float = 100.0) -> Deadline:
    return Deadline.after(seconds, "the test")


@contextmanager
def booted(spec: VmSpec, folder: Path, memory: Path | None = None) -> Iterator[Vm]:
    with boot(spec, console_log=folder / "console.log", qemu_log=folder / "qemu.log", memory=memory) as vm:
        assert vm.wait_ready(soon())
        yield vm


def qemu_of(vm: Vm) -> int:
    """The process id of QEMU itself, which comes as a child of what we started."""
    pid = inner_process(vm.process_id, AROUND_QEMU)
    assert pid
    assert Path(f"/proc/{pid}/comm").read_text().startswith("qemu-system")
    return pid


def below(pid: int) -> list[int]:
    """The process and all below it."""
    children = " ".join(file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")).split()
    return [pid, *(one for child in children for one in below(int(child)))]


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@sandboxed
def test_qemu_has_no_rights_and_no_way_to_start_programs(tmp_path: Path) -> None:
    with booted(tiny_spec(tmp_path), tmp_path) as vm:
        said = status_of(qemu_of(vm))

    assert "0" not in said["Uid"].split()
    assert int(said["CapEff"], 16) == int(said["CapPrm"], 16) == 0
    assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")


@sandboxed
def test_qemu_sees_its_files_and_no_other_of_this_machines(tmp_path: Path) -> None:
    with booted(tiny_spec(tmp_path), tmp_path) as vm:
        root = Path(f"/proc/{qemu_of(vm)}/root")
        top = {path.name for path in root.iterdir()}
        own = {path.name for path in (root / "guest").iterdir()}
        etc = {path.name for path in (root / "etc").iterdir()}
        written = {path.name for path in (root / "guest" / "runtime").iterdir()}
        devices = {path.name for path in (root / "dev").iterdir()}

    assert not top & {"home", "root", "srv", "opt", "mnt", "media", "boot", "run", "sys", "work"}
    assert own == {"runtime", "image", "initramfs"}
    assert not etc & {"passwd", "shadow", "hosts", "ssh"}
    assert written == {"console", "qmp", "ssh", "swap0.raw"}
    assert "kvm" not in devices


@sandboxed
def test_qemu_is_alone_in_its_network(tmp_path: Path) -> None:
    with booted(tiny_spec(tmp_path), tmp_path) as vm:
        interfaces = Path(f"/proc/{qemu_of(vm)}/net/dev").read_text().splitlines()[2:]
        here = Path("/proc/self/ns/net").readlink()
        there = Path(f"/proc/{qemu_of(vm)}/ns/net").readlink()

    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    assert here != there


@each_way
def test_nobody_else_can_enter_the_folder_of_the_sockets(tmp_path: Path, sandbox: bool) -> None:
    with booted(tiny_spec(tmp_path, sandbox=sandbox), tmp_path) as vm:
        folder = vm.files.runtime.stat()

    assert stat.S_IMODE(folder.st_mode) == 0o700


@sandboxed
def test_no_port_of_this_machine_leads_to_a_guest_in_the_sandbox(tmp_path: Path) -> None:
    with booted(tiny_spec(tmp_path), tmp_path) as vm:
        address = vm.ssh_address(soon())
        assert address == vm.files.ssh_socket
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 2222), timeout=10)


def test_without_the_sandbox_a_port_leads_to_the_guest(tmp_path: Path) -> None:
    with booted(tiny_spec(tmp_path, sandbox=False), tmp_path) as vm:
        port = vm.ssh_address(soon())
        assert isinstance(port, int)
        socket.create_connection(("127.0.0.1", port), timeout=10).close()


@each_way
def test_the_processor_time_is_qemus(tmp_path: Path, sandbox: bool) -> None:
    with booted(tiny_spec(tmp_path, sandbox=sandbox), tmp_path) as vm:
        spent = vm.processor_time()

    assert spent
    assert spent.ran > 0.01, "bubblewrap hardly does anything"


@each_way
def test_a_qemu_that_somebody_kills_says_by_which_signal(tmp_path: Path, sandbox: bool) -> None:
    with booted(tiny_spec(tmp_path, sandbox=sandbox), tmp_path) as vm:
        os.kill(qemu_of(vm), signal.SIGKILL)
        soon().until(lambda: not vm.alive())

        assert vm.ending() == "QEMU was killed by signal 9"
        assert vm.not_the_guests_doing()


@sandboxed
def test_a_sandbox_that_somebody_kills_is_a_qemu_that_was_killed(tmp_path: Path) -> None:
    with booted(tiny_spec(tmp_path), tmp_path) as vm:
        os.kill(vm.process_id, signal.SIGKILL)
        soon().until(lambda: not vm.alive())

        assert vm.ending() == "QEMU was killed by signal 9"
        assert vm.not_the_guests_doing()


@each_way
def test_a_guest_that_resets_ends_qemu(tmp_path: Path, sandbox: bool) -> None:
    with boot(
        tiny_spec(tmp_path, sandbox=sandbox, text="hello\n", last="reset"),
        console_log=tmp_path / "console.log",
        qemu_log=tmp_path / "qemu.log",
    ) as vm:
        assert vm.wait_ready(soon()) is None

        assert vm.ending() == "QEMU ended with status 0"
        assert vm.not_the_guests_doing() == ""
    assert (tmp_path / "console.log").read_text() == "hello\n"


@each_way
def test_all_that_was_started_is_gone_with_the_block(tmp_path: Path, sandbox: bool) -> None:
    with booted(tiny_spec(tmp_path, sandbox=sandbox), tmp_path) as vm:
        started = below(vm.process_id)
        # A relay that serves somebody is one process more.
        if sandbox:
            address = vm.ssh_address(soon())
            assert isinstance(address, Path)
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            channel.connect(str(address))
            started = soon().until(lambda: more if len(more := below(vm.process_id)) > len(started) else None)
        runtime = vm.files.runtime

    # Nobody has any of its files or memory any more; the last steps of an exit come after that.
    soon().until(lambda: not any(alive(pid) for pid in started))
    assert not runtime.exists()
    if sandbox:
        channel.close()


@each_way
def test_a_log_that_grows_without_end_ends_the_guest(tmp_path: Path, sandbox: bool) -> None:
    with booted(tiny_spec(tmp_path, sandbox=sandbox), tmp_path) as vm:
        os.truncate(vm.files.console_log, LONGEST_LOG_BYTES + 1)

        assert not vm.alive()
        assert vm.ending() == "QEMU was ended: console.log has more than 512 MiB"
        assert vm.not_the_guests_doing() == ""


@each_way
def test_a_guest_is_saved_and_any_number_is_restored(tmp_path: Path, sandbox: bool) -> None:
    spec = tiny_spec(tmp_path, sandbox=sandbox)
    with boot(
        spec, console_log=tmp_path / "console.log", qemu_log=tmp_path / "qemu.log", memory=tmp_path / "memory"
    ) as vm:
        ready = vm.wait_ready(soon())
        assert ready
        saved = save(vm, ready, tmp_path / "saved", soon())
        assert vm.alive()
    before = saved.memory.read_bytes()

    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        logs = {"console_log": folder / "console.log", "qemu_log": folder / "qemu.log"}
        with restore(spec, saved, **logs, until=soon()) as vm:
            assert "running" in human_command(vm.files.qmp_socket, "info status", soon())
            assert vm.files.console_log.read_bytes() == saved.console_log.read_bytes()
    assert saved.memory.read_bytes() == before


@each_way
def test_the_memory_of_a_guest_can_be_kept(tmp_path: Path, sandbox: bool) -> None:
    with booted(tiny_spec(tmp_path, sandbox=sandbox), tmp_path) as vm:
        dump_memory(vm.files.qmp_socket, tmp_path / "memory.elf", soon())

    assert (tmp_path / "memory.elf").read_bytes().startswith(b"\x7fELF")
    assert (tmp_path / "memory.elf").stat().st_size > 64 << 20


@each_way
def test_a_guest_that_qemu_stopped_is_told_from_one_that_runs(tmp_path: Path, sandbox: bool) -> None:
    with booted(tiny_spec(tmp_path, sandbox=sandbox), tmp_path) as vm:
        assert vm.paused() is None
        human_command(vm.files.qmp_socket, "stop", soon())
        stopped = vm.paused()

    assert stopped
    assert "somebody stopped the guest" in stopped.why


@each_way
def test_a_qemu_that_can_not_start_says_why_and_whose_fault_it_is(tmp_path: Path, sandbox: bool) -> None:
    spec = replace(tiny_spec(tmp_path, sandbox=sandbox), cpus=100_000)

    with boot(spec, console_log=tmp_path / "console.log", qemu_log=tmp_path / "qemu.log") as vm:
        assert vm.wait_ready(soon()) is None

        assert vm.refused()
        assert "CPUs" in vm.ending()
        assert "qemu.log" in vm.not_the_guests_doing()
    assert not starts_without_kernel(spec, None)


@each_way
def test_a_kernel_that_qemu_can_not_load_is_the_kernels_fault(tmp_path: Path, sandbox: bool) -> None:
    spec = tiny_spec(tmp_path, sandbox=sandbox)
    spec.image.write_bytes(b"no kernel" * 1000)

    with boot(spec, console_log=tmp_path / "console.log", qemu_log=tmp_path / "qemu.log") as vm:
        assert vm.wait_ready(soon()) is None

        assert vm.refused()
    assert starts_without_kernel(spec, None)


@each_way
@pytest.mark.parametrize("name", ["x" * 200, "a,b=c", "with space"])
def test_a_folder_may_have_any_name(tmp_path: Path, sandbox: bool, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / name
    spec = tiny_spec(folder, sandbox=sandbox)
    monkeypatch.setenv("TMPDIR", str(folder))

    with booted(spec, folder, memory=folder / "memory") as vm:
        assert vm.files.runtime.parent == folder
        assert "running" in human_command(vm.files.qmp_socket, "info status", soon())


@sandboxed
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that its own sandbox can't read")
def test_files_that_only_root_may_read_are_no_obstacle(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path)
    for file in (spec.image, spec.initramfs):
        file.chmod(0o600)

    with booted(spec, tmp_path):
        pass


@each_way
def test_a_guest_on_the_terminal_runs_in_the_sandbox_too(tmp_path: Path, sandbox: bool) -> None:
    spec = tiny_spec(tmp_path, sandbox=sandbox, text="hello\n", last="reset")
    disk = tmp_path / "swap0.raw"
    disk.write_bytes(bytes(1 << 20))

    done = process.run(terminal_argv(spec, [disk]), log=tmp_path / "log", until=soon())

    assert done.status == 0, done.output
    assert "hello" in done.output


@pytest.mark.parametrize("missing", [QEMU, RELAY, "bwrap"])
def test_a_tool_that_is_missing_is_named(tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in {QEMU, RELAY, "bwrap", "setpriv"} - {missing}:
        (tools / name).write_text("")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))

    with pytest.raises(ToolMissing, match=f"{missing} is not installed"), booted(tiny_spec(tmp_path), tmp_path):
        pytest.fail("it started")


ECHO = "#!/bin/sh\nexec socat TCP-LISTEN:2222,bind=127.0.0.1,reuseaddr,fork,backlog=64 PIPE\n"


@contextmanager
def echoing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A QEMU whose guest's server echoes: the socket that leads to it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    tmp_path.chmod(0o755)  # what is installed can be read by everybody
    (programs / QEMU).write_text(ECHO)
    (programs / QEMU).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    spec = tiny_spec(tmp_path / "guest")
    (tmp_path / "console.log").touch()
    logs = {"console_log": tmp_path / "console.log", "qemu_log": tmp_path / "qemu.log"}
    with guest_files(spec, **logs) as files, running(spec, files) as child:
        address = Vm(spec, files, child).ssh_address(soon())
        assert isinstance(address, Path)
        # Until the server listens, a connection is closed at once.
        soon().until(lambda: echo(address, b"?") == b"?")
        yield address


def echo(address: Path, sent: bytes) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError), ssh.opened(address, soon()) as channel:
        channel.sendall(sent)
        while len(got) < len(sent) and (more := channel.recv(1 << 16)):
            got += more
    return got


@sandboxed
def test_the_relay_carries_many_connections_side_by_side_and_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with echoing(tmp_path, monkeypatch) as address:
        texts = [b"%d " % number * 5000 for number in range(20)]
        with ThreadPoolExecutor(max_workers=20) as pool:
            assert list(pool.map(lambda text: echo(address, text), texts)) == texts
        for text in texts:
            assert echo(address, text) == text


@sandboxed
def test_the_relay_does_not_run_out_of_places_for_connections_that_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with echoing(tmp_path, monkeypatch) as address:
        idle = [ssh.opened(address, soon()) for _ in range(30)]
        assert echo(address, b"heard") == b"heard"
        for channel in idle:
            channel.close()
