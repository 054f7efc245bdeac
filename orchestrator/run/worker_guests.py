# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker of a cluster does: it keeps files, runs a cell's guest, and gives the cell's files to who asks for it.

All of it lies in the worker's cache: `cluster/files/` has files by their SHA-256, `cluster/runs/RUN/` is laid out as
the folder of the run is. A cell that has a receipt there has ended: it is not run again.
"""

import os
import secrets
import shutil
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache as once
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.guest.keys import load_keys
from orchestrator.host import paths
from orchestrator.host.deadline import CancelScope, Deadline, now
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.files import flush, link_or_copy, make_folders, replace_whole, settle, sha256_of
from orchestrator.host.lock import in_use
from orchestrator.host.sandbox import sandbox_works
from orchestrator.host.text import json_text
from orchestrator.model.events import Event
from orchestrator.model.guests import Ending, Observation
from orchestrator.report.stored import read_object, with_sum
from orchestrator.run.bootable import BootFiles, Guests, kept_bootable
from orchestrator.run.capacity import available_memory_mib
from orchestrator.run.cell import Observed
from orchestrator.run.cluster_orders import GUESTS, MEMORY, FileSeal, Lacks, Order, Piece, Receipt, machine_failed
from orchestrator.run.endings import End, guarded
from orchestrator.run.kept_plan import other_program, program
from orchestrator.run.observed_cell import observed_cell

CLUSTER_FOLDER = "cluster"
_FILES, _RUNS = "files", "runs"
_SPARE_MIB = 512  # of the worker itself
_CACHE_SECONDS = 600.0
_RECEIPT = TypeAdapter(Receipt)


def capacity_here(threads: int) -> Mapping[str, float]:
    """What this machine has for guests, of a worker with so many threads."""
    return {GUESTS: threads, MEMORY: max(0, available_memory_mib() - _SPARE_MIB)}


def run_cell(order: Order) -> Receipt | Lacks:
    """Run the cell's guest, unless that was done, or files are missing. On the disk when this returns."""
    root = paths.cache_root()
    place = _folder(root, order.run)
    begun, folder = now(), place / "cells" / order.cell.name
    with in_use(root, Deadline.after(_CACHE_SECONDS, "the cache of the worker")):
        answer = guarded(lambda: _ran(order, root, place), _made(folder))
    if isinstance(answer, Lacks):
        # Nothing has begun here: it may run on another worker.
        shutil.rmtree(folder)
    if not isinstance(answer, End):
        return answer
    observation = Observation(ending=answer.ending, detail=answer.detail, fault=answer.fault, hint=answer.hint)
    return Receipt(
        cell=order.cell.name,
        observation=observation,
        folder=str(folder),
        seconds=now() - begun,
        spans=(),
        files=_seals(folder),
    )


def _ran(order: Order, root: Path, place: Path) -> Receipt | Lacks:
    if differs := list(other_program(order.program, worker_program())):
        raise InfraError(
            "; ".join(differs),
            hint="make setup  # in patchrig's folder on each worker, the same version as here; then start it again",
        )
    if receipt := _kept_receipt(place, order.cell.name):
        return receipt
    if missing := lacking(tuple(order.files.values())):
        return Lacks(worker_cache=f"{socket.gethostname()}:{root}", files=missing)
    if order.sandbox and not sandbox_works():
        raise InfraError("bubblewrap can't make a sandbox here", hint="patchrig doctor  # on this worker")
    for name, sha256 in order.files.items():
        _lay_out(root / CLUSTER_FOLDER / _FILES / sha256, place / name, sha256)
    folder = place / "cells" / order.cell.name
    shutil.rmtree(folder)
    begun = now()
    observed = SCOPES.of(order.run, order.session).run(_observed, order, place, _made(folder))
    observation = observed.observation
    receipt = Receipt(
        cell=order.cell.name,
        observation=observation,
        folder=str(folder),
        seconds=now() - begun,
        spans=tuple(
            replace(span, start=span.start - begun, end=span.end - begun) for span in observed.stopwatch.stop()
        ),
        files=_seals(folder),
    )
    if observation.ending is not Ending.INTERRUPTED and not machine_failed(observation):
        _keep_receipt(place, receipt)
    return receipt


def _observed(order: Order, place: Path, folder: Path) -> Observed:
    guests = Guests(
        keys=load_keys(place / "guest"),
        allow=order.allow,
        dump_memory=order.dump_memory,
        sandbox=order.sandbox,
        deterministic=order.deterministic,
    )
    workloads = (order.cell.workload,)
    bootable = kept_bootable(order.image, place, guests, workloads=workloads, sandbox=order.sandbox)
    # Whether there is KVM, each machine has to say for itself.
    files = BootFiles(
        folder=place / "guest", guests=guests, workloads=workloads, cache=paths.cache_root(), listener=_unheard
    )
    return observed_cell(order.cell, files.with_usable_kvm(bootable, order.cell), folder=folder, listener=_unheard)


def _unheard(_event: Event) -> None:
    """The run is told when the cell has begun and when it has ended."""


@once
def worker_program() -> dict[str, str]:
    """The patchrig of this worker, as it was when it was asked first."""
    return program()


def lacking(files: Sequence[str]) -> tuple[str, ...]:
    """Those of the files, by their SHA-256, that this worker does not have."""
    folder = paths.cache_root() / CLUSTER_FOLDER / _FILES
    return tuple(dict.fromkeys(sha256 for sha256 in files if not (folder / sha256).exists()))


def take_piece(sha256: str, transfer: str, data: bytes, last: bool) -> None:
    """Add to a file that is on its way; the last piece gives it its name. Raises InfraError if it is another file."""
    folder = paths.cache_root() / CLUSTER_FOLDER / _FILES
    make_folders(folder)
    arriving = folder / f".{sha256}.{transfer}"
    with arriving.open("ab") as sink:
        sink.write(data)
    if last:
        if sha256_of(arriving) != sha256:
            arriving.unlink()
            raise InfraError(f"a file came to {folder} with another content")
        settle(arriving, folder / sha256)


def give_pieces(folder: str, pieces: Sequence[Piece]) -> list[bytes]:
    """Parts of files of a cell."""
    return [_piece(Path(folder) / piece.name, piece) for piece in pieces]


def _piece(file: Path, piece: Piece) -> bytes:
    with file.open("rb") as source:
        source.seek(piece.offset)
        return source.read(piece.size)


def ended_here(run: str) -> dict[str, Receipt]:
    """The cells of a run that have ended here, and that the run may not have got."""
    place = _folder(paths.cache_root(), run)
    names = [file.stem for file in (place / "receipts").glob("*.json")]
    return {name: receipt for name in names if (receipt := _kept_receipt(place, name))}


def begun_here(run: str) -> tuple[str, ...]:
    """The cells of a run that have begun here, ended or not."""
    return tuple(folder.name for folder in (_folder(paths.cache_root(), run) / "cells").glob("*"))


def stop_run(run: str, session: str) -> None:
    """End the guests of a run, and those that this session's orders would still begin here."""
    SCOPES.end(run, session)


def forget_run(run: str) -> None:
    """Remove what is kept of a run that has got all of it."""
    shutil.rmtree(_folder(paths.cache_root(), run), ignore_errors=True)


@dataclass(slots=True)
class Scopes:
    """The scopes that the guests of a run run in, one for each session: a caller that is interrupted ends them.

    What a session has ended stays ended, since Dask may give out an order of it later. A resumed run is a new session.
    """

    _scopes: dict[str, dict[str, CancelScope]] = field(default_factory=lambda: defaultdict(dict))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, run: str, session: str) -> CancelScope:
        with self._lock:
            return self._scopes[run].setdefault(session, CancelScope())

    def end(self, run: str, session: str) -> None:
        """End all sessions of the run so far; one that was killed has ended nothing itself."""
        self.of(run, session)
        with self._lock:
            scopes = list(self._scopes[run].values())
        for scope in scopes:
            scope.cancel("the run was ended")


SCOPES = Scopes()


def _folder(root: Path, run: str) -> Path:
    return root / CLUSTER_FOLDER / _RUNS / run


def _made(folder: Path) -> Path:
    make_folders(folder)
    return folder


def _lay_out(source: Path, target: Path, sha256: str) -> None:
    """Give a file the name that it has in the run's folder, also where a run that goes on had another one there."""
    if target.exists() and sha256_of(target) == sha256:
        return
    if sha256_of(source) != sha256:
        source.unlink(missing_ok=True)
        raise InfraError(f"{source} had changed since it came here", hint="the cell runs elsewhere")
    arriving = _made(target.parent) / f".{target.name}.{secrets.token_hex(4)}"
    link_or_copy(source, arriving)
    arriving.replace(target)
    # Where the target was the same file already, both names are left.
    arriving.unlink(missing_ok=True)


def _seals(folder: Path) -> dict[str, FileSeal]:
    return {str(file.relative_to(folder)): _seal(file) for file in _plain_files(folder)}


def _plain_files(folder: Path) -> Iterator[Path]:
    yield from (file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink())


def _seal(file: Path) -> FileSeal:
    return FileSeal(size=file.stat().st_size, sha256=sha256_of(file), executable=os.access(file, os.X_OK))


def _keep_receipt(place: Path, receipt: Receipt) -> None:
    """Last, when all that it names is on the disk."""
    for name in receipt.files:
        flush(Path(receipt.folder) / name)
    text = with_sum(json_text(_RECEIPT.dump_python(receipt, mode="json"), indent=1))
    file = place / "receipts" / f"{receipt.cell}.json"
    make_folders(file.parent)
    replace_whole(file, text.encode())


def _kept_receipt(place: Path, cell: str) -> Receipt | None:
    """None where the cell has not ended here, or is not whole any more."""
    file = place / "receipts" / f"{cell}.json"
    if not file.exists():
        return None
    try:
        receipt = _RECEIPT.validate_python(read_object(file))
    except (UserError, ValidationError):
        return None
    folder = Path(receipt.folder)
    return receipt if folder.is_dir() and _seals(folder) == receipt.files else None
