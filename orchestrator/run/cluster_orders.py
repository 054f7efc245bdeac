# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run and the workers of a cluster say to each other, and what is done about a cell that is lost (pure)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from orchestrator.host.errors import InfraError
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Allowed
from orchestrator.model.guests import Ending, Fault, Observation
from orchestrator.model.images import KernelImage
from orchestrator.model.phases import Span

GUESTS, MEMORY = "guests", "memory"  # the resources of a worker: guests side by side, and MiB
MOST_LOSSES = 2
PIECE_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A cell that a worker is to run."""

    run: str
    session: str  # of the process that asks: a run that is resumed has a new one
    cell: Cell
    image: KernelImage  # its paths are the caller's
    files: Mapping[str, str]  # path in the run's folder -> SHA-256
    program: Mapping[str, str]  # the patchrig that asks
    allow: tuple[Allowed, ...]
    dump_memory: bool
    sandbox: bool
    deterministic: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Lacks:
    """A worker's answer: it has not begun, as it lacks files."""

    worker_cache: str  # the folder that its files are in, with the machine's name
    files: tuple[str, ...]  # SHA-256 of each


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSeal:
    """What a file of a cell is."""

    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """A worker's answer: the cell's guest has ended, and all of it is on the worker's disk."""

    cell: str
    observation: Observation
    folder: str  # on the worker
    seconds: float  # since the cell began there
    spans: tuple[Span, ...]  # in seconds since then
    files: Mapping[str, FileSeal]  # path in the cell's folder -> what it is


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A part of a file."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """A cell was begun on a worker, and that came to nothing."""

    worker: str
    why: str


def runs_again(losses: Sequence[Loss]) -> bool:
    """Whether a cell with these losses is run once more, on another worker."""
    return len(losses) < MOST_LOSSES


def machine_failed(observation: Observation) -> bool:
    """Whether the worker's machine spoiled the cell: another one may do better."""
    return observation.ending is Ending.LOST and observation.fault is Fault.MACHINE


def lost_observation(losses: Sequence[Loss]) -> Observation:
    """What is known of a cell whose workers were lost."""
    text = "; ".join(f"{loss.worker}: {loss.why}" for loss in losses)
    hint = "less the workers' logs; a guest that needs more memory than its worker has may have ended it"
    detail = f"begun {len(losses)} times, and each time its worker was lost: {text}"
    return Observation(ending=Ending.LOST, detail=detail, fault=Fault.MACHINE, hint=hint)


def demand(need: Mapping[str, float], workers: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    """The resources that a guest is given; where no worker has so much, all that the largest one has.

    As on one machine, where one guest always fits.
    """
    known = list(workers)
    if not known or any(all(has.get(name, 0) >= much for name, much in need.items()) for has in known):
        return need
    largest = max(known, key=lambda has: (has.get(MEMORY, 0), has.get(GUESTS, 0)))
    return {name: min(much, largest.get(name, 0)) for name, much in need.items()}


def batches(files: Mapping[str, int], most: int = PIECE_BYTES) -> Iterator[tuple[Piece, ...]]:
    """Files with these sizes, in parts of which each batch has `most` bytes at most; each file has a piece at 0."""
    batch: list[Piece] = []
    left = most
    for name, size in files.items():
        offset = 0
        while True:
            part = min(size - offset, left)
            batch.append(Piece(name=name, offset=offset, size=part))
            offset, left = offset + part, left - part
            if left == 0:
                yield tuple(batch)
                batch, left = [], most
            if offset == size:
                break
    if batch:
        yield tuple(batch)


def check_names(names: Iterable[str]) -> None:
    """Raise InfraError for a name that leads out of the cell's folder: a worker decides on them."""
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
            raise InfraError(f"a worker says that a cell has a file {name!r}")
