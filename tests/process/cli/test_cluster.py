# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run --cluster`: real Dask schedulers and workers on this machine, each worker with a cache of its own."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.cli.test_resume import assert_same, forget_guests, latest, one_run, resume, start, stated
from tests.process.cli.test_run import with_workloads
from tests.process.fake_host import PROGRESS, Host, Step, passing
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

DASK = Path(sys.executable).with_name("dask")
TWO_BUILDS = "arches: [x86_64]\nvariants: [baseline, patched]\n"


class Dask:
    """A scheduler with workers, of which each stands for a machine."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.log = host.folder / "scheduler.log"
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.address = ""

    def begin(self, *workers: str) -> None:
        self.log.unlink(missing_ok=True)
        words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
        self._start("scheduler", self.log, self.host.folder / "cache", "scheduler", *words)
        until = Deadline.after(60, "the scheduler's address")
        found = until.until(lambda: re.search(r"Scheduler at:\s+(tcp://\S+)", self.log.read_text()))
        self.address = found[1]
        for name in workers:
            self.add(name)

    def add(self, name: str) -> None:
        words = ["--no-dashboard", "--no-nanny", "--nthreads", "1", "--name", name]
        log = self.host.folder / f"{name}.log"
        self._start(name, log, self.cache(name), "worker", self.address, *words)

    def cache(self, name: str) -> Path:
        return self.host.folder / f"cache-{name}"

    def _start(self, name: str, log: Path, cache: Path, *words: str) -> None:
        scratch = self.host.folder / f"dask-{name}"
        scratch.mkdir(exist_ok=True)
        environment = self.host.environment | {"PATCHRIG_CACHE": str(cache)}
        with log.open("ab") as sink:
            self.children[name] = subprocess.Popen(
                [DASK, *words], env=environment, stdout=sink, stderr=subprocess.STDOUT, cwd=scratch
            )

    def kill(self, name: str) -> None:
        child = self.children.pop(name)
        child.kill()
        child.wait(timeout=60)

    def worker_of(self, qemu: int) -> str:
        """The name of the worker that started a guest."""
        pid = qemu
        names = {child.pid: name for name, child in self.children.items()}
        while pid not in names:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return names[pid]

    def options(self) -> tuple[str, ...]:
        return "--cluster", self.address


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    kernel = ToyKernel(host)
    with_workloads(kernel, "mincore", "shmem", more=TWO_BUILDS)
    return kernel


@pytest.fixture
def dask(host: Host) -> Iterator[Dask]:
    made = Dask(host)
    yield made
    for name in list(made.children):
        made.kill(name)


def hanging(name: str) -> list[Step]:
    return [["say", PROGRESS], ["mark", name], ["hang"]]


def cells_of(kernel: ToyKernel) -> list[str]:
    return [f"{cell['folder']} {cell['verdict']['outcome']}" for cell in kernel.host.cells()]


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
