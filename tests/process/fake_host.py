# SPDX-License-Identifier: GPL-2.0-or-later
"""A host whose QEMU is a fake: guests that follow a scenario, an earlier run to repeat, and patchrig as a process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from orchestrator.guest.initramfs import newc, regular
from orchestrator.guest.keys import new_keys, save_keys
from orchestrator.host.deadline import Deadline
from orchestrator.host.paths import IN_MEMORY, PROJECT, abandoned_scratch
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import DeviceKind, Matrix, SwapDevice, Variant, Workload
from orchestrator.model.events import Event, Listener
from orchestrator.model.images import KernelImage
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.reports import CellReport
from orchestrator.report.store import open_run
from orchestrator.report.stored import CELLS_FILE
from orchestrator.run.bootable import Bootable, Guests, Patience, vm_spec
from orchestrator.run.cell import observe
from orchestrator.run.judging import judge_cell
from orchestrator.run.snapshots import Snapshots, snapshots
from tests.unit.samples import RESULT

PATCHRIG = Path(sys.executable).with_name("patchrig")
FAKE = Path(__file__).with_name("fake_qemu.py")

Step = Sequence[Any]

BOOT: list[Step] = [["console", "[    0.000000][    T0] Linux version 6.19.6 (patchrig@patchrig) #1 SMP"], ["ready"]]
PROGRESS = '{"type": "progress", "operations": 5, "swapoffs": 1, "seconds": 0.5}'
GROWING = PROGRESS.replace("5,", "{n},", 1)


def result_line(*, calls: int = 500, **changes: object) -> str:
    """The line that a workload ends with; `calls` is what its site's counter grew by."""
    before = {"site.mincore": 7, "swapoffs": 0}
    counters = {"before": before, "after": {"site.mincore": 7 + calls, "swapoffs": 9}}
    return json.dumps({**RESULT, "counters": counters, "missing": "", **changes})


def passing(*, calls: int = 500, **changes: object) -> list[Step]:
    return [["say", PROGRESS], ["say", result_line(calls=calls, **changes)], ["exit", 0]]


def sample_cell(arch: str = "x86_64") -> Cell:
    return Cell(
        build=Build(variant=Variant.PATCHED, flavour="plain", arch=arch),
        workload=Workload(
            name="mincore",
            summary="mincore over swapped shared memory",
            program=PurePosixPath("workloads/mincore.c"),
            devices=(SwapDevice(kind=DeviceKind.VIRTIO_BLK, size_mib=16),),
            memory_mib=256,
            cpus=2,
            exercised={"site.mincore": 100, "swapoffs": 5},
        ),
        seconds=1,
        seed=3,
        repeat=1,
        repeats=1,
    )


class Host:
    """A PATH whose QEMU is ours, and the folders that a run needs."""

    def __init__(self, folder: Path, *, scratch: str) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.results = folder / "results"
        self.programs = folder / "bin"
        self.keys = new_keys()
        self.environment = os.environ | {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PATCHRIG_CACHE": str(folder / "cache"),
            "FAKE_QEMU_SCENARIO": str(self.state / "scenario.json"),
            "COLUMNS": "200",
            # A patchrig that is killed leaves its sockets behind.
            "TMPDIR": scratch,
        }
        for made in (self.state, self.programs, folder / "kernel"):
            made.mkdir()
        for name in ("qemu-system-x86_64", "qemu-system-aarch64"):
            launcher = self.programs / name
            # QEMU gets nothing of our environment, and the fake is a package's module.
            settings = f"FAKE_QEMU_SCENARIO='{self.environment['FAKE_QEMU_SCENARIO']}' PYTHONPATH='{PROJECT}'"
            launcher.write_text(f'#!/bin/sh\n{settings} exec "{sys.executable}" "{FAKE}" "$@"\n')
            launcher.chmod(0o755)
        for name in ("image", "vmlinux", "config", "build.log"):
            (folder / "kernel" / name).write_text(f"{name}\n")
        self.initramfs = folder / "initramfs"
        own = [
            regular("etc/dropbear/host_key", self.keys.host_key, permissions=0o600),
            regular("root/.ssh/authorized_keys", self.keys.authorized_keys, permissions=0o600),
        ]
        self.initramfs.write_bytes(newc([regular("init", b"#!/bin/sh\n")]) + newc(own))

    def scenario(
        self,
        *runs: Sequence[Step],
        boot: Sequence[Step] = BOOT,
        boots: Sequence[Sequence[Step]] = (),
        answers: Mapping[str, str] | None = None,
        serial: bool = True,
        stranger: bool = False,
        sysrq: Mapping[str, str] | None = None,
        restores: Sequence[Step] = (),
        saving: str = "completed",
        refuses: str = "",
        state: str = "running",
        mutants: Mapping[str, Any] | None = None,
        loads: Mapping[str, Sequence[Step]] | None = None,
    ) -> None:
        """What the guests do that are started from here on; see fake_qemu.py."""
        each = boots or [boot]
        said = {"boots": each, "runs": runs, "answers": answers or {}, "serial": serial, "stranger": stranger}
        said |= {"sysrq": sysrq or {}, "restores": restores, "saving": saving, "refuses": refuses, "state": state}
        said |= {"mutants": mutants or {}, "loads": loads or {}}
        Path(self.environment["FAKE_QEMU_SCENARIO"]).write_text(json.dumps(said))

    def kernel(self, build: Build) -> KernelImage:
        place = self.folder / "kernel"
        return KernelImage(
            build=build,
            image=place / "image",
            vmlinux=place / "vmlinux",
            config=place / "config",
            log=place / "build.log",
            release="6.19.6",
            hashes={"series": "ab12" * 16},
            seconds=0.0,
        )

    def bootable(self, cell: Cell) -> Bootable:
        guests = self.guests_of_a_run()
        return Bootable(kernel=self.kernel(cell.build), initramfs=self.initramfs, guests=guests)

    def guests_of_a_run(self) -> Guests:
        # The fake needs much of this machine, and its process id, as the tests know them.
        return Guests(keys=self.keys, kvm=frozenset(), allow=(), sandbox=False)

    def states(self, users: int) -> AbstractContextManager[Snapshots]:
        """The saved guests of so many sample cells."""
        cell = sample_cell()
        return snapshots([vm_spec(cell, self.bootable(cell))] * users)

    def run_cell(
        self,
        arch: str = "x86_64",
        *,
        boot_seconds: float = 120.0,
        stop_when_red: bool = False,
        on_event: Listener | None = None,
        dump_memory: bool = False,
        states: Snapshots | None = None,
        folder: str = "cell",
    ) -> tuple[CellReport, list[Event]]:
        """One cell observed and judged, its files in cell/."""
        cell = sample_cell(arch)
        events: list[Event] = []

        def heard(event: Event) -> None:
            events.append(event)
            if on_event:
                on_event(event)

        (self.folder / folder).mkdir()
        patience = Patience(boot=boot_seconds, second_look=0.1, quiet=0.1)
        guests = replace(
            self.guests_of_a_run(),
            stop_when_red=stop_when_red,
            patience=patience,
            dump_memory=dump_memory,
            snapshots=states or Snapshots(),
        )
        bootable = replace(self.bootable(cell), guests=guests)
        observed = observe(cell, bootable, folder=self.folder / folder, listener=heard)
        return judge_cell(cell, observed, bootable), events

    def earlier_run(self, arch: str = "arm64") -> None:
        """results/<id>/ as a run of one passed cell leaves it, for `patchrig repro latest`."""
        cell = sample_cell(arch)
        matrix = Matrix(kernel="6.19", workloads=(cell.workload.name,))
        with open_run(self.results, argv=("patchrig",), matrix_path="m.yaml", matrix=matrix, versions={}) as store:
            kernel = self.kernel(cell.build)
            builds, guest = store.build_folder(cell.build), store.folder / "guest"
            guest.mkdir()
            for source, name in ((kernel.image, "image"), (kernel.config, "config"), (kernel.log, "build.log")):
                (builds / name).write_bytes(source.read_bytes())
            (guest / f"initramfs.{arch}").write_bytes(self.initramfs.read_bytes())
            save_keys(self.keys, guest)
            store.add_build(kernel)
            passed = Verdict(outcome=Outcome.PASSED, title="1200 operations")
            store.add_cells([CellReport(cell=cell, verdict=passed, run=None)])
        (self.results / "latest").rename(self.results / "earlier")

    def argv(self, *words: str) -> list[str]:
        return [str(PATCHRIG), "repro", "earlier", "mincore", "--no-sandbox", "--results", str(self.results), *words]

    def repro(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`patchrig repro` of the earlier run's cell, to its end."""
        return subprocess.run(
            self.argv(*words), env=self.environment, capture_output=True, text=True, check=False, timeout=300, **options
        )

    def start_repro(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*words), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def cells(self) -> list[dict[str, Any]]:
        """The lines of the latest run's cells.jsonl."""
        text = (self.results / "latest" / CELLS_FILE).read_text()
        return [json.loads(line) for line in text.splitlines()]

    def outcomes(self) -> list[str]:
        return [cell["verdict"]["outcome"] for cell in self.cells()]

    def marked(self, name: str, *, seconds: float = 120) -> int:
        """Wait for a scenario's mark; returns the process id of the QEMU that made it."""
        until = Deadline.after(seconds, f"the mark {name}")
        return int(until.until(lambda: (self.state / name).read_text() if (self.state / name).exists() else None))

    def mark(self, name: str) -> None:
        """Let a scenario go on that waits for the mark."""
        (self.state / name).touch()

    def guests(self) -> list[int]:
        """The process ids of all QEMUs that were ever started."""
        return [int(file.read_text()) for file in sorted(self.state.glob("qemu.*"))]

    def await_no_guest(self) -> None:
        until = Deadline.after(60, "the end of all guests")
        until.until(lambda: not any(alive(pid) for pid in self.guests()))


def alive(pid: int) -> bool:
    """Running, and not only waiting for a parent that looks at its status."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    # Not below tmp_path, which is too long for a socket's path.
    with tempfile.TemporaryDirectory() as scratch:
        made = Host(tmp_path, scratch=scratch)
        for name in ("PATH", "FAKE_QEMU_SCENARIO", "PATCHRIG_CACHE"):
            monkeypatch.setenv(name, made.environment[name])
        yield made
        for pid in made.guests():
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        # A patchrig that a test killed leaves its guests' memory in no temporary folder of the test's.
        for folder in abandoned_scratch():
            if folder.parent == IN_MEMORY:
                shutil.rmtree(folder, ignore_errors=True)
