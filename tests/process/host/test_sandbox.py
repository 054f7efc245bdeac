# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command in the sandbox can see and do, tried from the inside."""

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.host.sandbox import Limits, Sandbox, plain_argv, sandbox_argv, sandbox_works

pytestmark = pytest.mark.skipif(not sandbox_works(), reason="bubblewrap can't make a sandbox here")


def inside(script: str, sandbox: Sandbox | None = None) -> subprocess.CompletedProcess[str]:
    argv = sandbox_argv(["bash", "-c", script], sandbox or Sandbox())
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


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
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
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


def test_everything_inside_ends_with_us() -> None:
    argv = sandbox_argv(["bash", "-c", "echo up; exec sleep 987654"], Sandbox())
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.kill()
    for _ in range(200):
        left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"987654" in _read(path)]
        if not left:
            return
        os.sched_yield()
        subprocess.run(["sleep", "0.01"], check=True)
    raise AssertionError(f"still there: {left}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_environment_of_no_process_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an ordinary user: process 1 in the sandbox is bubblewrap, started by us."""
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    argv = sandbox_argv(["sh", "-c", "cat /proc/[0-9]*/environ; true"], Sandbox())

    said = subprocess.run(argv, capture_output=True, check=True).stdout

    assert b"s3cret" not in said
