# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run --hosts`: real SSH servers on this machine, each of which stands for a host."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool
from orchestrator.run.kept_plan import load_plan_of
from tests.process import fake_host
from tests.process.cli.test_resume import assert_same, latest, one_run, stated
from tests.process.cli.test_run import with_workloads
from tests.process.fake_host import Host, passing
from tests.process.real_sshd import SSHD, Sshd, new_key
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = [
    pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed"),
    pytest.mark.skipif(SSHD is None, reason="sshd is not installed"),
]

NAMES = ("one", "two")
PASSED_ON = ("PATH", "TMPDIR", "FAKE_QEMU_SCENARIO", "PYTHONPATH")


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    kernel = ToyKernel(host)
    with_workloads(kernel, "mincore", "shmem", more="arches: [x86_64]\nvariants: [baseline, patched]\n")
    return kernel


@pytest.fixture
def ssh_config(host: Host) -> Iterator[Path]:
    """Knows the hosts `one` and `two`, which are to be reached by it alone."""
    key = new_key(host.folder / "id")
    given = {name: host.environment[name] for name in PASSED_ON if name in host.environment}
    servers = {
        name: Sshd(host.folder / f"sshd-{name}", key, given | {"PATCHRIG_CACHE": str(cache_of(host, name))})
        for name in NAMES
    }
    file = host.folder / "ssh_config"
    file.write_text("".join(server.entry(name) for name, server in servers.items()))
    yield file
    for server in servers.values():
        server.end()


def cache_of(host: Host, name: str) -> Path:
    return host.folder / f"cache-{name}"


def test_a_run_on_hosts_is_that_of_one_machine(kernel: ToyKernel, ssh_config: Path) -> None:
    code, whole = one_run(kernel)
    kernel.host.scenario(passing())

    done = kernel.run("--hosts", ",".join(NAMES), "--ssh-config", str(ssh_config), "--hosts-python", sys.executable)

    assert done.returncode == code == 0, done.stdout + done.stderr
    assert "guests run on 2 workers" in done.stdout + done.stderr
    seen = stated(latest(kernel))
    for run in (seen, whole):
        run["run"].pop("argv")
    assert_same(seen, whole)
    assert len(kernel.host.guests()) == 4
    # Both were at work, each with a cache of its own.
    assert [name for name in NAMES if list(cache_of(kernel.host, name).glob("cluster/files/*"))] == list(NAMES)
    kept = load_plan_of(latest(kernel))
    assert kept
    assert kept.request.ssh_config == ssh_config
    assert kept.request.hosts_python == sys.executable


def test_a_host_that_cannot_be_reached_is_this_machines_failure(kernel: ToyKernel, ssh_config: Path) -> None:
    ssh_config.write_text(ssh_config.read_text().replace("/id\n", "/another\n"))
    new_key(kernel.folder / "another")

    done = kernel.run("--hosts", "one", "--ssh-config", str(ssh_config))

    assert done.returncode == 3, done.stdout + done.stderr
    assert "one can't be reached over SSH: Permission denied" in done.stderr
    assert f"ssh -F {ssh_config} one" in done.stderr


def test_a_host_without_that_python_is_this_machines_failure(kernel: ToyKernel, ssh_config: Path) -> None:
    done = kernel.run("--hosts", "one", "--ssh-config", str(ssh_config), "--hosts-python", "/nonexistent/python")

    assert done.returncode == 3, done.stdout + done.stderr
    assert "one: /nonexistent/python can't be used" in done.stderr
    assert "--hosts-python" in done.stderr
