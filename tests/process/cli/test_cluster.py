# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run --cluster`: real Dask schedulers and workers on this machine, each worker with a cache of its own."""

import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.paths import PROJECT
from orchestrator.host.process import find_tool
from orchestrator.report.stored import CELLS_FILE
from tests.process import fake_host
from tests.process.cli.test_resume import assert_same, forget_guests, latest, one_run, resume, start, stated
from tests.process.cli.test_run import with_workloads
from tests.process.dask_cluster import Dask
from tests.process.fake_host import PROGRESS, Host, Step, passing
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

# docs/nightly.md has the same.
COMMANDS_FOR_CERTIFICATES = (
    "openssl req -x509 -newkey ed25519 -nodes -days 365 -subj /CN=patchrig-ca -keyout ca-key.pem -out ca.pem",
    "openssl req -newkey ed25519 -nodes -subj /CN=patchrig -keyout key.pem -out cert.csr",
    "openssl x509 -req -days 365 -in cert.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out cert.pem",
)
TWO_BUILDS = "arches: [x86_64]\nvariants: [baseline, patched]\n"


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    kernel = ToyKernel(host)
    with_workloads(kernel, "mincore", "shmem", more=TWO_BUILDS)
    return kernel


@pytest.fixture
def dask(host: Host) -> Iterator[Dask]:
    made = Dask(host)
    yield made
    made.end()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """ca.pem, and cert.pem with key.pem that it has signed: as nightly.md has them made."""
    folder = tmp_path / "tls"
    folder.mkdir()
    for command in COMMANDS_FOR_CERTIFICATES:
        subprocess.run(shlex.split(command), cwd=folder, check=True, capture_output=True)
    return folder


def hanging(name: str) -> list[Step]:
    return [["say", PROGRESS], ["mark", name], ["hang"]]


def cells_of(kernel: ToyKernel) -> list[str]:
    return [f"{cell['folder']} {cell['verdict']['outcome']}" for cell in kernel.host.cells()]


def test_the_commands_for_certificates_are_those_of_the_page() -> None:
    page = " ".join((PROJECT / "docs" / "nightly.md").read_text().replace("\\\n", " ").split())

    assert all(command in page for command in COMMANDS_FOR_CERTIFICATES)


def assert_each_passed_once(kernel: ToyKernel) -> None:
    lines = cells_of(kernel)
    assert len(set(lines)) == len(lines) == 4
    assert all(line.endswith(" passed") for line in lines)


def test_a_run_on_a_cluster_is_that_of_one_machine(kernel: ToyKernel, dask: Dask) -> None:
    code, whole = one_run(kernel)
    dask.begin("one", "two")
    kernel.host.scenario(passing())

    done = kernel.run("--jobs", "1", *dask.options())

    assert done.returncode == code == 0, done.stdout + done.stderr
    seen = stated(latest(kernel))
    for run in (seen, whole):
        run["run"].pop("argv")
    assert_same(seen, whole)
    assert len(kernel.host.guests()) == 4
    for name in ("one", "two"):
        # What the next run needs again is kept, and what this one has got is not.
        assert not list(dask.cache(name).glob("cluster/runs/*/cells/*"))
    sent = [file for name in ("one", "two") for file in dask.cache(name).glob("cluster/files/*")]
    before = {file: file.stat().st_mtime_ns for file in sent}
    assert before
    again = kernel.run(*dask.options())
    assert again.returncode == 0, again.stdout + again.stderr
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_worker_that_is_killed_loses_no_cell_and_none_runs_twice(kernel: ToyKernel, dask: Dask) -> None:
    dask.begin("one", "two")
    kernel.host.scenario(passing(), hanging("running"), passing())
    patchrig = start(kernel, *dask.options())
    dask.kill(dask.worker_of(kernel.host.marked("running", seconds=300)))

    out, err = patchrig.communicate(timeout=500)

    assert patchrig.returncode == 0, out + err
    assert_each_passed_once(kernel)
    assert "runs again: tcp://127.0.0.1" in out + err
    assert len(kernel.host.guests()) == 5


def test_a_worker_that_comes_after_the_only_one_was_killed_does_the_rest(kernel: ToyKernel, dask: Dask) -> None:
    dask.begin("one")
    kernel.host.scenario(passing(), hanging("running"), passing())
    patchrig = start(kernel, *dask.options())
    kernel.host.marked("running", seconds=300)
    dask.kill("one")
    # The cells that wait have no worker at all for a while.
    until = Deadline.after(60, "the scheduler's note")
    until.until(lambda: "Lost all workers" in dask.log.read_text())
    dask.add("two")

    out, err = patchrig.communicate(timeout=500)

    assert patchrig.returncode == 0, out + err
    assert_each_passed_once(kernel)
    assert len(kernel.host.guests()) == 5


def test_a_cell_whose_workers_are_killed_twice_is_lost(kernel: ToyKernel, dask: Dask) -> None:
    with_workloads(kernel, "mincore", more="arches: [x86_64]\nvariants: [baseline]\n")
    dask.begin("one", "two", "three")
    kernel.host.scenario(hanging("first"), hanging("second"), passing())
    patchrig = start(kernel, *dask.options())
    for mark in ("first", "second"):
        dask.kill(dask.worker_of(kernel.host.marked(mark, seconds=300)))

    out, err = patchrig.communicate(timeout=500)

    assert patchrig.returncode == 3, out + err
    assert cells_of(kernel) == ["cells/baseline.plain.x86_64.mincore lost"]
    assert len(kernel.host.guests()) == 2


def test_a_run_whose_scheduler_is_killed_goes_on_with_another(kernel: ToyKernel, dask: Dask) -> None:
    dask.begin("one", "two")
    kernel.host.scenario(passing(), hanging("first"), hanging("second"))
    patchrig = start(kernel, *dask.options())
    for mark in ("first", "second"):
        kernel.host.marked(mark, seconds=300)
    dask.kill("scheduler")

    out, err = patchrig.communicate(timeout=500)

    assert patchrig.returncode == 3, out + err
    assert "patchrig resume" in err
    assert [line for line in cells_of(kernel) if line.endswith(" passed")] == cells_of(kernel)[:1]
    for name in ("one", "two"):
        dask.kill(name)
    kernel.host.await_no_guest()
    forget_guests(kernel)
    kernel.host.scenario(passing())
    dask.begin("one", "two")
    done = resume(kernel, *dask.options())
    assert done.returncode == 0, done.stdout + done.stderr
    assert_each_passed_once(kernel)
    assert len(kernel.host.guests()) == 3


def test_an_interrupt_ends_the_guests_on_the_workers(kernel: ToyKernel, dask: Dask) -> None:
    dask.begin("one")
    kernel.host.scenario(passing(), hanging("running"))
    patchrig = start(kernel, *dask.options())
    kernel.host.marked("running", seconds=300)
    patchrig.send_signal(signal.SIGINT)

    out, err = patchrig.communicate(timeout=500)

    assert patchrig.returncode == 130, out + err
    kernel.host.await_no_guest()
    forget_guests(kernel)
    kernel.host.scenario(passing())
    done = resume(kernel)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_each_passed_once(kernel)
    assert len(kernel.host.guests()) == 3


def test_a_cluster_with_certificates_takes_who_has_one_and_nobody_else(kernel: ToyKernel, certificates: Path) -> None:
    files = {name: str(certificates / f"{name}.pem") for name in ("ca", "cert", "key")}
    options = ("--tls-ca-file", files["ca"], "--tls-cert", files["cert"], "--tls-key", files["key"])
    dask = Dask(kernel.host, scheme="tls", options=options)
    try:
        dask.begin("one")
        kernel.host.scenario(passing())

        stranger = kernel.run(*dask.options())
        kernel.host.environment |= {
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": files["ca"],
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": files["cert"],
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": files["key"],
        }
        done = kernel.run(*dask.options())
    finally:
        dask.end()

    assert dask.address.startswith("tls://")
    assert stranger.returncode == 3, stranger.stdout + stranger.stderr
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in stranger.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert_each_passed_once(kernel)
    assert "tls://127.0.0.1" in done.stdout + done.stderr
    assert len(kernel.host.guests()) == 4


def test_what_a_worker_has_finished_for_a_run_that_was_killed_is_not_run_again(kernel: ToyKernel, dask: Dask) -> None:
    dask.begin("one")
    waiting: list[Step] = [["say", PROGRESS], ["mark", "running"], ["await_mark", "go"], *passing()[1:]]
    kernel.host.scenario(passing(), waiting, passing())
    patchrig = start(kernel, *dask.options())
    kernel.host.marked("running", seconds=300)
    patchrig.kill()
    patchrig.communicate(timeout=120)
    kernel.host.mark("go")
    until = Deadline.after(120, "the second receipt of the worker")
    until.until(lambda: len(list(dask.cache("one").glob("cluster/runs/*/receipts/*.json"))) == 2)

    done = resume(kernel)

    assert done.returncode == 0, done.stdout + done.stderr
    assert_each_passed_once(kernel)
    assert len(kernel.host.guests()) == 4


def test_a_cell_that_a_worker_is_at_work_on_for_a_run_that_was_killed_is_not_begun_elsewhere(
    kernel: ToyKernel, dask: Dask
) -> None:
    dask.begin("one", "two")
    for name in ("one", "two"):
        dask.await_worker(name)
    waiting: list[Step] = [["say", PROGRESS], ["mark", "running"], ["await_mark", "go"], *passing()[1:]]
    kernel.host.scenario(passing(), waiting, passing())
    patchrig = start(kernel, *dask.options())
    kernel.host.marked("running", seconds=300)
    patchrig.kill()
    patchrig.communicate(timeout=120)
    argv = [kernel.argv()[0], "resume", "latest", "--results", str(kernel.host.results)]
    again = subprocess.Popen(argv, env=kernel.host.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = latest(kernel) / CELLS_FILE
    until = Deadline.after(300, "all cells but one")
    until.until(lambda: lines.exists() and lines.read_text().count("\n") == 3)
    # Ten times a second Dask looks for work that an idle worker can take over.
    time.sleep(2)
    kernel.host.mark("go")

    out, _ = again.communicate(timeout=300)

    assert again.returncode == 0, out
    assert_each_passed_once(kernel)
    assert len(kernel.host.guests()) == 4
