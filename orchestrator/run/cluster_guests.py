# SPDX-License-Identifier: GPL-2.0-or-later
"""Cells whose guests run on the workers of a cluster: what the caller does for each, until its files are here."""

import secrets
import shutil
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.host.deadline import now, scope
from orchestrator.host.errors import Cancelled, InfraError, UserError, WorkerLost
from orchestrator.host.files import sha256_of
from orchestrator.model.cells import Cell
from orchestrator.model.events import CellStarted, Listener, Notice
from orchestrator.model.guests import Ending, Observation
from orchestrator.report.run_files import writing
from orchestrator.run import worker_guests
from orchestrator.run.bootable import Bootable, initramfs_name, root_mib_of
from orchestrator.run.capacity import Room, cores_of, memory_of
from orchestrator.run.cell import Observed
from orchestrator.run.cluster_orders import (
    GUESTS,
    MEMORY,
    PIECE_BYTES,
    Lacks,
    Loss,
    Order,
    Receipt,
    batches,
    check_names,
    demand,
    lost_observation,
    machine_failed,
    runs_again,
)
from orchestrator.run.kept_plan import other_program, program
from orchestrator.run.kernels import Request
from orchestrator.run.stopwatch import Stopwatch

if TYPE_CHECKING:
    from orchestrator.host.cluster import Cluster

# So many cells are with Dask at least: what waits there begins on a worker that has just come.
_LEAST_WITH_DASK = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterGuests:
    """The guests of a run, on a cluster. Threads may observe cells at the same time."""

    cluster: "Cluster"
    run: Path  # the run's folder
    session: str  # of this process
    listener: Listener
    program: Mapping[str, str]
    ended: dict[str, tuple[str, Receipt]]  # cells that workers have of an earlier part of this run
    begun: dict[str, str]  # cell -> the worker that may be at work on it, for an earlier part of this run
    _digests: dict[Path, str] = field(default_factory=dict)
    _transfers: dict[tuple[str, str], threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def room(self, jobs: int | None) -> Room:
        """So many cells are given to Dask at once; it has the machines, and lets the rest of them wait."""
        guests = sum(worker.resources.get(GUESTS, 0) for worker in self.cluster.workers)
        return Room(cores=0, memory_mib=0, jobs=jobs or max(_LEAST_WITH_DASK, 2 * int(guests)))

    def observe(self, cell: Cell, bootable: Bootable, folder: Path) -> Observed:
        """Have the cell's guest run on a worker; its files are in the folder then.

        A cell that is lost is run once more, on another worker, and is lost if that loses it, too. Raises ClusterGone.
        """
        started, losses = now(), list[Loss]()
        order, resources = self._order(cell, bootable), self._resources(cell, bootable)
        try:
            while runs_again(losses):
                if observed := self._tried(order, resources, losses, folder):
                    return observed
                if runs_again(losses):
                    self.listener(Notice(text=f"{cell.name} runs again: {losses[-1].worker}: {losses[-1].why}"))
        except Cancelled:
            (folder / "console.log").touch()
            ended = Observation(ending=Ending.INTERRUPTED, detail=f"ended early: {scope().why}")
            return Observed(observation=ended, folder=folder, started=started, stopwatch=Stopwatch(cell.name))
        (folder / "console.log").touch()
        seen = lost_observation(losses)
        return Observed(observation=seen, folder=folder, started=started, stopwatch=Stopwatch(cell.name))

    def _tried(self, order: Order, resources: Mapping[str, float], losses: list[Loss], folder: Path) -> Observed | None:
        """The cell, observed once; None, with one more loss, where that came to nothing."""
        try:
            worker, receipt = self._receipt(order, resources, [loss.worker for loss in losses])
            if machine_failed(receipt.observation) and runs_again([*losses, Loss(worker=worker, why="")]):
                losses.append(Loss(worker=worker, why=receipt.observation.detail))
                return None
            self._fetch(worker, receipt, folder)
        except WorkerLost as e:
            losses.append(Loss(worker=e.worker, why=e.why))
            return None
        return _observed(receipt, folder)

    def _receipt(self, order: Order, resources: Mapping[str, float], avoid: list[str]) -> tuple[str, Receipt]:
        """Have it run, and the worker that did. Raises WorkerLost where a worker has begun the cell and is lost."""
        if kept := self.ended.pop(order.cell.name, None):
            return kept
        started = partial(self.listener, CellStarted(cell=order.cell))
        # Where it has begun it may have ended by the time that the worker has room for it, and is not run again.
        only, prefer = self.begun.pop(order.cell.name, ""), ""
        while True:
            try:
                worker, answer = self.cluster.run(
                    worker_guests.run_cell,
                    order,
                    resources=resources,
                    on_begin=started,
                    avoid=avoid,
                    prefer=prefer,
                    only=only,
                )
                if isinstance(answer, Receipt):
                    return worker, answer
                self._ship(worker, answer, order)
                prefer, only = worker, ""
            except WorkerLost as e:
                # A cell that waited, or whose files were on their way, has lost nothing.
                prefer = only = ""
                if e.begun:
                    raise

    def _resources(self, cell: Cell, bootable: Bootable) -> Mapping[str, float]:
        need = {
            GUESTS: cores_of(cell, one_thread=bootable.guests.deterministic),
            MEMORY: memory_of(cell) + root_mib_of(cell, bootable),
        }
        return demand(need, [worker.resources for worker in self.cluster.workers])

    def _order(self, cell: Cell, bootable: Bootable) -> Order:
        build, guests = bootable.kernel.build, bootable.guests
        initramfs = {initramfs_name(build), bootable.initramfs_of(cell.workload).name}
        names = [*(f"builds/{build.name}/{name}" for name in ("image", "config"))]
        names += [f"guest/{name}" for name in (*sorted(initramfs), "id_ed25519", "host.pub")]
        return Order(
            run=self.run.name,
            session=self.session,
            cell=cell,
            image=replace(bootable.kernel, coverage=None),
            files={name: self._digest(self.run / name) for name in names},
            program=self.program,
            allow=guests.allow,
            dump_memory=guests.dump_memory,
            sandbox=guests.sandbox,
            deterministic=guests.deterministic,
        )

    def _digest(self, file: Path) -> str:
        with self._lock:
            if file not in self._digests:
                self._digests[file] = sha256_of(file)
            return self._digests[file]

    def _ship(self, worker: str, lacks: Lacks, order: Order) -> None:
        """Send the files that a worker lacks, each once to each machine, whichever cells wait for it."""
        files = {sha256: self.run / name for name, sha256 in order.files.items()}
        for sha256 in lacks.files:
            with self._lock:
                transfer = self._transfers[lacks.worker_cache, sha256]
            with transfer:
                if self.cluster.call(worker, worker_guests.lacking, (sha256,)):
                    self._send(worker, sha256, files[sha256])

    def _send(self, worker: str, sha256: str, file: Path) -> None:
        transfer, size, sent = secrets.token_hex(4), file.stat().st_size, 0
        with file.open("rb") as source:
            while True:
                piece = source.read(PIECE_BYTES)
                sent += len(piece)
                self.cluster.call(worker, worker_guests.take_piece, sha256, transfer, piece, sent >= size)
                if sent >= size:
                    return

    def _fetch(self, worker: str, receipt: Receipt, folder: Path) -> None:
        """Bring a cell's files here. Raises WorkerLost where one is not what it was when it was written."""
        check_names(receipt.files)
        with writing(folder):
            shutil.rmtree(folder)
            folder.mkdir()
            for batch in batches({name: seal.size for name, seal in receipt.files.items()}):
                parts = self.cluster.call(worker, worker_guests.give_pieces, receipt.folder, batch)
                for piece, data in zip(batch, parts, strict=True):
                    (folder / piece.name).parent.mkdir(parents=True, exist_ok=True)
                    with (folder / piece.name).open("ab") as sink:
                        sink.write(data)
            for name, seal in receipt.files.items():
                (folder / name).chmod(0o755 if seal.executable else 0o644)
                if sha256_of(folder / name) != seal.sha256:
                    raise WorkerLost(worker, f"{name} of {receipt.cell} came damaged", begun=True)


def _observed(receipt: Receipt, folder: Path) -> Observed:
    """The cell as if its guest had run here and had ended just now."""
    started, stopwatch = now() - receipt.seconds, Stopwatch(receipt.cell)
    for span in receipt.spans:
        stopwatch.begin(span.phase, started + span.start)
    hint = receipt.observation.hint.replace(receipt.folder, str(folder))
    observation = replace(receipt.observation, hint=hint)
    return Observed(observation=observation, folder=folder, started=started, stopwatch=stopwatch)


@contextmanager
def cluster_guests(request: Request, run: Path, listener: Listener) -> Iterator[ClusterGuests | None]:
    """The cluster that the request names, for the length of the block; None: guests run on this machine.

    Guests that still run are ended with the block. A run that ends in order is forgotten by the workers; of any other
    they keep the cells that have ended, for when it goes on. Raises InfraError, and UserError for a worker with
    another patchrig.
    """
    if not (request.cluster or request.hosts):
        yield None
        return
    try:
        from orchestrator.host.cluster import OverSsh, connected
    except ModuleNotFoundError as e:
        raise UserError(
            f"for a cluster, {e.name} must be installed", hint="pip install '.[cluster]'  # in patchrig's folder"
        ) from e
    over_ssh = OverSsh(hosts=request.hosts, config=request.ssh_config, python=request.hosts_python or sys.executable)
    with connected(request.cluster or over_ssh, worker_guests.capacity_here) as cluster:
        ours = program()
        _check_programs(ours, cluster.everywhere(worker_guests.worker_program))
        # Before what has ended: what ends meanwhile is in both.
        begun = _by_cell(cluster.everywhere(worker_guests.begun_here, run.name))
        ended = {
            name: (worker, receipt)
            for worker, receipts in cluster.everywhere(worker_guests.ended_here, run.name).items()
            for name, receipt in receipts.items()
        }
        workers = [f"{worker.address} ({worker.resources.get(GUESTS, 0):g})" for worker in cluster.workers]
        shown = ", ".join(workers) if len(workers) <= 8 else f"{', '.join(workers[:8])} and {len(workers) - 8} more"
        listener(Notice(text=f"guests run on {len(workers)} workers: {shown}"))
        session = secrets.token_hex(8)
        try:
            yield ClusterGuests(
                cluster=cluster,
                run=run,
                session=session,
                listener=listener,
                program=ours,
                ended=ended,
                begun=begun,
            )
        finally:
            with suppress(InfraError):
                cluster.everywhere(worker_guests.stop_run, run.name, session)
        with suppress(InfraError):
            cluster.everywhere(worker_guests.forget_run, run.name)


def _by_cell(cells: Mapping[str, Iterable[str]]) -> dict[str, str]:
    return {cell: worker for worker, names in cells.items() for cell in names}


def _check_programs(ours: Mapping[str, str], workers: Mapping[str, Mapping[str, str]]) -> None:
    for worker, theirs in workers.items():
        if differs := list(other_program(ours, theirs)):
            raise UserError(
                f"worker {worker}: {'; '.join(differs)}",
                hint="make setup  # in patchrig's folder there, the same version as here; then start the worker again",
            )
