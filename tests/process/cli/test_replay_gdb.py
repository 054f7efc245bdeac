# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig replay --gdb`: what it says without gdb, and of cells that it can't stop; with a fake QEMU.

A real guest with a real gdb: tests/boot/test_replay.py.
"""

from pathlib import Path

import pytest

from orchestrator.model.arch import ARCHES
from orchestrator.vm.debugger import STOPPED, Debugger, NoDebugger, debugger_program
from orchestrator.vm.start import guest_files
from tests.process import fake_host
from tests.process.cli.test_minimise import RED
from tests.process.cli.test_replay import deterministic_run, replay
from tests.process.fake_host import Host
from tests.unit.vm.test_deterministic import fixed

host = fake_host.host


def test_a_cell_without_a_splat_has_no_place_to_stop_at(host: Host) -> None:
    (host.programs / "gdb-multiarch").symlink_to("/bin/true")
    deterministic_run(host)

    done = replay(host, "--gdb")

    assert done.returncode == 2, done.stdout + done.stderr
    assert "has no splat to stop before" in done.stderr
    assert "--break FUNCTION" in done.stderr


def test_a_kernel_that_is_gone_is_named(host: Host) -> None:
    (host.programs / "gdb-multiarch").symlink_to("/bin/true")
    deterministic_run(host, RED)
    (host.folder / "kernel" / "vmlinux").unlink()

    done = replay(host, "--gdb")

    assert done.returncode == 3, done.stdout + done.stderr
    assert f"{host.folder / 'kernel' / 'vmlinux'} is gone" in done.stderr


def test_gdb_and_a_trace_are_two_replays(host: Host) -> None:
    done = replay(host, "--gdb", "--trace", "panic")

    assert done.returncode == 2
    assert "--gdb and --trace are two replays" in done.stderr


def test_its_options_are_for_gdb(host: Host) -> None:
    done = replay(host, "--ex", "bt")

    assert done.returncode == 2
    assert "--break and --ex are for --gdb" in done.stderr


def test_without_gdb_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NoDebugger) as error:
        debugger_program(ARCHES["arm64"])

    assert "gdb-multiarch is not installed" in str(error.value)
    assert error.value.hint.startswith("apt-get install gdb-multiarch")


def test_gdb_runs_no_code_of_the_kernel_s_file(tmp_path: Path) -> None:
    with guest_files(fixed("x86_64"), console_log=tmp_path / "console.log", qemu_log=tmp_path / "qemu.log") as files:
        gdb = Debugger(program="gdb", vmlinux=tmp_path / "vmlinux", files=files, sandbox=False)
        gdb.prepare(("*0xffffffff814e88cf", "panic"), 2)
        argv = list(gdb.batch_argv(["bt"]))
        script = (files.runtime / "gdb-commands").read_text().splitlines()

    assert argv.index("set auto-load off") < argv.index(str(tmp_path / "vmlinux"))
    assert argv[-4:] == ["-ex", "bt", "-ex", "kill"]
    assert script[1:] == [
        f"target remote {files.gdb_socket}",
        *("hbreak *0xffffffff814e88cf", "hbreak panic", "ignore 1 2", "ignore 2 2", "continue"),
        *("if $_thread", f"echo {STOPPED}\\n", "end"),
    ]


def test_gdb_is_in_the_sandbox_with_the_sockets_and_vmlinux_only(tmp_path: Path) -> None:
    with guest_files(fixed("x86_64"), console_log=tmp_path / "console.log", qemu_log=tmp_path / "qemu.log") as files:
        gdb = Debugger(program="gdb", vmlinux=tmp_path / "vmlinux", files=files, sandbox=True)
        argv = gdb.terminal_argv()

    assert "--unshare-net" in argv
    at = argv.index("/guest/runtime")
    assert argv[at - 2 : at] == ["--bind", str(files.runtime)]
    assert argv[argv.index(str(tmp_path / "vmlinux")) - 1] == "--ro-bind"
