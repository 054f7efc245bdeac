# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command in the sandbox can see and do, tried from the inside."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.paths import PROJECT
from orchestrator.host.process import run, spawn
from orchestrator.host.sandbox import Limits, Sandbox, plain_argv, sandbox_argv, sandbox_works

pytestmark = pytest.mark.skipif(not sandbox_works(), reason="bubblewrap can't make a sandbox here")


def inside(script: str, sandbox: Sandbox | None = None) -> subprocess.CompletedProcess[str]:
    argv = sandbox_argv(["bash", "-c", script], sandbox or Sandbox())
    return finished(argv)


def finished(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What a command in the sandbox said; its standard input is open for as long as it runs."""
    ends = os.pipe()
    try:
        return subprocess.run(argv, stdin=ends[0], capture_output=True, text=True, check=False, timeout=60)
    finally:
        for end in ends:
            os.close(end)


def test_a_command_is_nobody_that_the_host_knows_as_root() -> None:
    done = inside("id -u; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status")

    uid, capabilities, no_new = done.stdout.splitlines()
    assert int(uid) != 0
    assert int(capabilities.split()[1], 16) == 0
    assert no_new.split()[1] == "1"


@pytest.mark.parametrize("knob", ["kernel/core_pattern", "kernel/sysrq", "vm/drop_caches", "user/max_user_namespaces"])
def test_no_setting_of_the_hosts_kernel_can_be_changed(knob: str) -> None:
    done = inside(f"echo 0 > /proc/sys/{knob}")

    assert done.returncode != 0


def test_no_namespace_can_be_made_inside() -> None:
    assert inside("unshare --user --map-root-user true").returncode != 0


def test_only_what_is_listed_can_be_seen(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "file").write_text("yes")
    (tmp_path / "other").write_text("no")

    done = inside(
        f"cat {tmp_path}/given/file; ls {tmp_path}; ls / /etc; cat /etc/shadow /etc/passwd; ls /root /home /srv /run",
        Sandbox(readable=(tmp_path / "given",)),
    )

    assert done.stdout.startswith("yesgiven\n")
    words = set(done.stdout.split())
    assert not words & {"other", "shadow", "passwd", "root", "home", "srv", "run", "opt", "boot", "mnt", "sys"}


def test_nothing_can_be_written_but_what_is_listed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)

    done = inside(f"touch {out}/made; touch /x /dev/x /etc/x /usr/x {tmp_path}/x; true", Sandbox(writable=(out,)))

    assert [path.name for path in out.iterdir()] == ["made"]
    assert done.stderr.count("cannot touch") == 5


def test_the_environment_is_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")

    for argv in (sandbox_argv(["env"], Sandbox(env={"A": "1"})), plain_argv(["env"], Sandbox(env={"A": "1"}))):
        said = finished(argv).stdout.splitlines()
        assert "A=1" in said
        assert not [line for line in said if "s3cret" in line]


def test_there_is_no_network() -> None:
    done = inside("cat /proc/net/dev | tail -n +3 | cut -d: -f1")

    assert done.stdout.split() in ([], ["lo"])


def test_processes_files_and_memory_have_limits() -> None:
    small = Limits(processes=30, process_bytes=1 << 30, file_bytes=1 << 20, scratch_bytes=1 << 22)

    bomb = inside("for i in $(seq 60); do sleep 2 & done 2>&1 | head -c 300; wait", Sandbox(limits=small))
    long_file = inside("head -c 2M /dev/zero > /tmp/x", Sandbox(limits=small))
    many_files = inside("for i in $(seq 9); do head -c 800k /dev/zero > /tmp/$i || exit 1; done", Sandbox(limits=small))
    memory = inside("head -c 2G /dev/zero | tail", Sandbox(limits=small))
    shared = inside("head -c 900k /dev/zero > /dev/shm/a && head -c 900k /dev/zero > /dev/x", Sandbox(limits=small))

    assert "Resource temporarily unavailable" in bomb.stdout + bomb.stderr
    assert 0 not in (long_file.returncode, many_files.returncode, memory.returncode, shared.returncode)


# A parent that starts a command in the sandbox, and says so.
PARENT = """
import sys, time
from pathlib import Path
from orchestrator.host.process import spawn
from orchestrator.host.deadline import Deadline
from orchestrator.host.paths import PROJECT
from orchestrator.host.process import run, spawn
from orchestrator.host.sandbox import Sandbox, sandbox_argv
with spawn(sandbox_argv(["sleep", sys.argv[1]], Sandbox()), log=Path(sys.argv[2])):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("after", [0.0, 0.003, 0.006, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.5])
def test_everything_inside_ends_with_us_at_whatever_moment_we_are_killed(after: float, tmp_path: Path) -> None:
    mark = f"98765{after}"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, mark, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        time.sleep(after)
        parent.kill()
    until = Deadline.after(30, "the end of all that is in the sandbox")
    until.until(lambda: not [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _read(path)])


def test_a_command_that_we_end_is_gone_with_all_that_it_started(tmp_path: Path) -> None:
    argv = sandbox_argv(["bash", "-c", "(sleep 987655 &); exec sleep 987655"], Sandbox())
    with spawn(argv, log=tmp_path / "log") as child:
        time.sleep(0.2)

    assert child.returncode
    until = Deadline.after(30, "the end of all that is in the sandbox")
    until.until(lambda: not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"987655" in _read(path)])


def test_the_status_of_a_command_is_kept(tmp_path: Path) -> None:
    until = Deadline.after(60, "a command in the sandbox")

    assert run(sandbox_argv(["sh", "-c", "exit 7"], Sandbox()), log=tmp_path / "a", until=until).status == 7
    assert run(sandbox_argv(["sh", "-c", "kill -9 $$"], Sandbox()), log=tmp_path / "b", until=until).status == 137
    assert run(sandbox_argv(["cat"], Sandbox()), log=tmp_path / "c", until=until).status == 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_environment_of_no_process_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an ordinary user: process 1 in the sandbox is bubblewrap, started by us."""
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    argv = sandbox_argv(["sh", "-c", "cat /proc/[0-9]*/environ; true"], Sandbox())

    said = finished(argv)

    assert said.returncode == 0
    assert "s3cret" not in said.stdout
