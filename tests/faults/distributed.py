# SPDX-License-Identifier: GPL-2.0-or-later
"""F13: a run on a cluster, in which workers, the scheduler and patchrig itself are killed at random.

Nothing may be lost: `patchrig resume` ends with each cell passed, once, with the files of an undisturbed run. And
nothing that has ended may be run again: no guest starts for a cell that is recorded, or that a worker has which can
be reached.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.host.process import find_tool
from orchestrator.report.stored import CELLS_FILE
from tests.faults.campaign import Plan, Try
from tests.faults.rig import Call, Ran, Rig
from tests.faults.tally import Skip
from tests.process.dask_cluster import DASK, Dask
from tests.process.fake_host import FAKE, PROGRESS, Step, result_line

KILLS_IN_A_TRY = 2
WORKERS = ("one", "two")
VICTIMS = ("worker", "scheduler", "patchrig")
WORKLOADS = ("mincore", "shmem")
_REPEATS = 3
_CELLS = 2 * len(WORKLOADS) * _REPEATS  # of two builds
_LOOK_SECONDS = 0.02
# The kills that come when guests run; the others come at any time, also while patchrig starts.
_AMONG_GUESTS = 0.75
# A run that has no scheduler any more notices within seconds; a busy machine takes its time.
_LIMIT_SECONDS = 300.0
# Before it is QEMU, it notes when it starts and which file its console is.
_LAUNCHER = """\
#!/bin/sh
for fd in /proc/$$/fd/*; do
    file=$(readlink "$fd")
    case "$file" in */cells/*/console.log) echo "$(date +%s%N) $file" >>'{log}' ;; esac
done
"""


def runs_killed(plan: Plan) -> list[Try]:
    """`count` kills, a few in each run."""
    if not DASK.exists():
        raise Skip("Dask is not installed: make setup")
    if find_tool("date") is None:
        raise Skip("date is not installed")
    parts = [min(KILLS_IN_A_TRY, plan.count - done) for done in range(0, plan.count, KILLS_IN_A_TRY)]
    return [Try(name=f"run {number}, {kills} kills", play=_killed(kills)) for number, kills in enumerate(parts)]


def _killed(kills: int) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        with _cluster(rig) as dask:
            left = kills
            while left:
                left = _Night(rig, dask).play(left)

    return play


@contextmanager
def _cluster(rig: Rig) -> Iterator[Dask]:
    _prepare(rig)
    dask = Dask(rig.host, environment=rig.environment)
    # Its processes are not left behind by patchrig.
    rig.running += 1
    try:
        yield dask
    finally:
        dask.end()
        rig.running -= 1
    rig.host.await_no_guest()
    # Who is killed puts nothing away.
    rig.excused |= {f"a scratch folder is left: {path.name}" for path in rig.scratch.glob("patchrig-*")}
    rig.note_leftovers()


def _prepare(rig: Rig) -> None:
    """A matrix of two builds, guests that take their time, and a note of each that starts."""
    for name in WORKLOADS:
        text = (rig.folder / "workloads" / "mincore.yaml").read_text()
        rig.toy.write(f"workloads/{name}.yaml", text.replace("name: mincore", f"name: {name}"))
    rig.toy.write(
        "matrix.yaml",
        f"kernel: 6.19\nseries: [series.patch]\nworkloads: [{', '.join(WORKLOADS)}]\narches: [x86_64]\n"
        f"variants: [baseline, patched]\nseconds: 20\nrepeat: {_REPEATS}\n",
    )
    rig.host.scenario(*(_guest(rig.random.uniform(0, 2)) for _ in range(4 * _CELLS)))
    launcher = rig.host.programs / "qemu-system-x86_64"
    noting = _LAUNCHER.format(log=rig.folder / "boots")
    launcher.write_text(launcher.read_text().replace("#!/bin/sh\n", noting, 1))
    assert FAKE.name in launcher.read_text()


def _guest(seconds: float) -> list[Step]:
    return [["say", PROGRESS], ["sleep", seconds], ["say", result_line()], ["exit", 0]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """That a cell has ended: since when, in nanoseconds, and which worker has it; "": the run's folder does."""

    cell: str
    since: int
    worker: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """patchrig at work on the run: from when the cluster was whole until it ended."""

    begin: int
    killed: dict[str, int] = field(default_factory=dict)  # workers, and when


def repeated(boots: Sequence[tuple[int, str]], known: Sequence[Known], parts: Sequence[Part]) -> list[str]:
    """The guests that were started for cells which had ended: (time, cell) of each start.

    A worker that was killed while patchrig ran took with it, for that time, what it had finished.
    """
    found = []
    for at, cell in boots:
        part = [part for part in parts if part.begin <= at][-1]
        for one in known:
            lost = part.killed.get(one.worker) if one.worker else None
            if one.cell == cell and one.since < at and not (lost and lost <= at):
                found.append(f"{cell} was started again, {(at - one.since) / 1e9:.2f} s after it had ended ({one})")
    return found


class _RunFolder:
    """That of the run which begins next: the rig has had others, and `latest` names one of them until then."""

    def __init__(self, results: Path) -> None:
        self._latest = results / "latest"
        self._before = self._latest.resolve()

    def find(self) -> Path | None:
        folder = self._latest.resolve()
        return None if folder == self._before else folder


class _Watch:
    """Notes when cells end: on the workers' disks, and in the run's folder."""

    def __init__(self, folder: "_RunFolder", dask: Dask) -> None:
        self._folder, self._dask = folder, dask
        self._known: dict[tuple[str, str], Known] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def known(self) -> list[Known]:
        return list(self._known.values())

    def _look_on(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if not (run := self._folder.find()):
                continue
            for worker in WORKERS:
                for file in self._dask.cache(worker).glob(f"cluster/runs/{run.name}/receipts/*.json"):
                    self._note(file.stem, worker)
            with suppress(OSError):
                for cell in _recorded(run / CELLS_FILE):
                    self._note(cell, "")

    def _note(self, cell: str, worker: str) -> None:
        if (cell, worker) not in self._known:
            self._known[cell, worker] = Known(cell=cell, since=time.time_ns(), worker=worker)


def _recorded(file: Path) -> Iterator[str]:
    """The cells with a verdict; a line that is being written has none yet."""
    for line in file.read_text().splitlines():
        with suppress(ValueError):
            cell = json.loads(line)
            if cell["verdict"]["outcome"] == "passed":
                yield Path(cell["folder"]).name


class _Night:
    """A run, killed until it has ended."""

    def __init__(self, rig: Rig, dask: Dask) -> None:
        self._rig, self._dask = rig, dask
        self._parts: list[Part] = []
        self._folder = _RunFolder(rig.results)
        (rig.folder / "boots").write_text("")

    def play(self, kills: int) -> int:
        """Kill so many times at most; returns how many are left because the run was over before."""
        with _Watch(self._folder, self._dask) as watch:
            call = self._begin("run")
            while kills:
                victim = self._rig.random.choice(VICTIMS)
                if not self._waited(call):
                    break
                kills -= 1
                if victim == "worker":
                    self._kill_worker()
                    continue
                call = self._goes_on(call, victim)
            ran = self._to_its_end(call)
        self._check(ran, watch.known)
        return kills

    def _begin(self, command: str) -> Call:
        """All of the cluster that is not there, then patchrig."""
        self._dask.forget_ended()
        if "scheduler" not in self._dask.children:
            self._dask.end()
            self._dask.begin()
        for name in WORKERS:
            if name not in self._dask.children:
                self._dask.add(name)
        for name in WORKERS:
            self._dask.await_worker(name)
        self._parts.append(Part(begin=time.time_ns()))
        where = ("--cluster", self._dask.address)
        if command == "run":
            return self._rig.start("run", "--no-sandbox", *where)
        return self._rig.start("resume", "latest", "--results", str(self._rig.results), "--json", *where)

    def _waited(self, call: Call) -> bool:
        """Until a random point: some time, or so many guests more; False where patchrig ended before."""
        random, boots = self._rig.random, len(self._boots())
        wanted = boots + (random.randint(1, 6) if random.random() < _AMONG_GUESTS else 0)
        later = random.uniform(0, 2) if wanted > boots else random.uniform(0, 8)
        until = 0.0
        while call.child.poll() is None and not (until and time.monotonic() > until):
            time.sleep(_LOOK_SECONDS)
            if not until and len(self._boots()) >= wanted:
                until = time.monotonic() + later
        return call.child.poll() is None

    def _kill_worker(self) -> None:
        """A machine fails, and comes back after a while."""
        name = self._rig.random.choice(WORKERS)
        self._parts[-1].killed.setdefault(name, time.time_ns())
        self._dask.kill(name)
        time.sleep(self._rig.random.uniform(0, 2))
        self._dask.add(name)

    def _goes_on(self, call: Call, victim: str) -> Call:
        if victim == "patchrig":
            call.kill()
            call.child.wait()
            self._rig.running -= 1
        else:
            self._dask.kill("scheduler")
            ran = call.ended(_LIMIT_SECONDS)
            if ran.code not in (0, 3):
                self._rig.wrong(f"the scheduler was killed: {ran.end()}")
        run = self._folder.find()
        # Killed before it had planned anything, it is no run yet.
        return self._begin("resume" if run and (run / "plan.json").exists() else "run")

    def _to_its_end(self, call: Call) -> Ran:
        ran = call.ended(_LIMIT_SECONDS)
        if ran.code == 3:
            # A cell that lost two workers is lost, and a run without a scheduler is not over.
            ran = self._begin("resume").ended(_LIMIT_SECONDS)
        return ran

    def _check(self, ran: Ran, known: Sequence[Known]) -> None:
        if ran.code != 0:
            self._rig.wrong(f"after the kills: {ran.end()}")
        lines = (self._folder.find() or self._rig.results) / CELLS_FILE
        recorded = list(_recorded(lines)) if lines.exists() else []
        if len(recorded) != _CELLS or len(set(recorded)) != _CELLS:
            self._rig.wrong(f"{len(recorded)} lines for {len(set(recorded))} of {_CELLS} cells: {sorted(recorded)}")
        folder = self._rig.results / "latest" / "cells"
        for cell in recorded:
            missing = [name for name in ("console.log", "workload.json") if not (folder / cell / name).is_file()]
            if missing:
                self._rig.silent(f"{cell} has no {', '.join(missing)}")
        for text in repeated(self._boots(), known, self._parts):
            self._rig.wrong(text)

    def _boots(self) -> list[tuple[int, str]]:
        lines = (self._rig.folder / "boots").read_text().splitlines()
        return [(int(line.split()[0]), Path(line.split()[1]).parent.name) for line in lines]
