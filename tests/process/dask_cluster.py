# SPDX-License-Identifier: GPL-2.0-or-later
"""A Dask scheduler and workers on this machine, each worker with a cache of its own: it stands for a machine."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.host.deadline import Deadline
from tests.process.fake_host import Host

DASK = Path(sys.executable).with_name("dask")
START_SECONDS = 120.0


class Dask:
    """A scheduler with workers."""

    def __init__(
        self,
        host: Host,
        *,
        scheme: str = "tcp",
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`options` are those of both commands, scheduler and worker."""
        self.host = host
        self.log = host.folder / "scheduler.log"
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.address = ""
        self.scheme = scheme
        self.words = tuple(options)
        self.environment = {**host.environment, **(environment or {})}

    def begin(self, *workers: str) -> None:
        self.log.unlink(missing_ok=True)
        address = f"{self.scheme}://127.0.0.1:0"
        words = ["--protocol", self.scheme, "--host", address, "--port", "0", "--no-dashboard", "--no-show"]
        self._start("scheduler", self.log, self.host.folder / "cache", "scheduler", *words)
        until = Deadline.after(START_SECONDS, "the scheduler's address")
        found = until.until(lambda: re.search(rf"Scheduler at:\s+({self.scheme}://\S+)", self.log.read_text()))
        self.address = found[1]
        for name in workers:
            self.add(name)

    def add(self, name: str) -> None:
        """Start a worker; it is there after await_worker()."""
        words = ["--no-dashboard", "--no-nanny", "--nthreads", "1", "--name", name]
        self.worker_log(name).unlink(missing_ok=True)
        self._start(name, self.worker_log(name), self.cache(name), "worker", self.address, *words)

    def await_worker(self, name: str) -> None:
        """Until the scheduler knows it."""
        until = Deadline.after(START_SECONDS, f"the worker {name}")
        until.until(lambda: "Registered to" in self.worker_log(name).read_text())

    def worker_log(self, name: str) -> Path:
        return self.host.folder / f"{name}.log"

    def cache(self, name: str) -> Path:
        return self.host.folder / f"cache-{name}"

    def _start(self, name: str, log: Path, cache: Path, command: str, *words: str) -> None:
        scratch = self.host.folder / f"dask-{name}"
        scratch.mkdir(exist_ok=True)
        with log.open("ab") as sink:
            self.children[name] = subprocess.Popen(
                [DASK, command, *words, *self.words],
                env=self.environment | {"PATCHRIG_CACHE": str(cache)},
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=scratch,
            )

    def kill(self, name: str) -> None:
        child = self.children.pop(name)
        child.kill()
        child.wait(timeout=60)

    def end(self) -> None:
        for name in list(self.children):
            self.kill(name)

    def forget_ended(self) -> None:
        """A worker ends by itself where it has no scheduler any more."""
        self.children = {name: child for name, child in self.children.items() if child.poll() is None}

    def worker_of(self, qemu: int) -> str:
        """The name of the worker that started a guest."""
        pid = qemu
        names = {child.pid: name for name, child in self.children.items()}
        while pid not in names:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return names[pid]

    def options(self) -> tuple[str, ...]:
        return "--cluster", self.address
