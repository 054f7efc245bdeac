# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a bisection: bisect.json, bisect.txt, and a folder for each batch of its cells, which are runs."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.host.errors import UserError
from orchestrator.host.text import json_text
from orchestrator.model.bisections import Bisection
from orchestrator.model.reports import CellReport
from orchestrator.report.reopened import ended_cells
from orchestrator.report.run_files import write_whole
from orchestrator.report.stored import CELLS_FILE, load_run, sealed_object, with_sum

PREFIX = "bisect-"
BISECT_FILE = "bisect.json"
TEXT_FILE = "bisect.txt"
BATCHES = "runs"
LATEST = "latest"
_BISECTION = TypeAdapter(Bisection)


def batch_name(number: int) -> str:
    """The folder of a batch below BATCHES."""
    return f"{number:04}"


def save_bisection(bisection: Bisection, text: str) -> None:
    """Write bisect.json and bisect.txt, each in one step. Raises InfraError."""
    value = json_text(_BISECTION.dump_python(bisection, mode="json"), indent=1)
    write_whole(bisection.folder / BISECT_FILE, with_sum(value))
    write_whole(bisection.folder / TEXT_FILE, text)


def load_bisection(root: Path, name: str) -> Bisection:
    """A bisection by its id, the start of it, a path, or "latest".

    Raises UserError where there is none, or none to read.
    """
    folder = _find(root, name)
    path = folder / BISECT_FILE
    try:
        return _BISECTION.validate_python(sealed_object(path) | {"folder": str(folder)})
    except ValidationError as why:
        raise UserError(f"{path} was written by another version, or by hand", hint="patchrig bisect ...") from why


def cells_of_batch(bisection: Bisection, batch: int) -> tuple[CellReport, ...]:
    """The cells of a batch that have ended; of one that was killed, too."""
    folder = bisection.folder / BATCHES / batch_name(batch)
    return tuple(ended_cells(load_run(folder)).values()) if (folder / CELLS_FILE).is_file() else ()


def _find(root: Path, name: str) -> Path:
    for folder in (root / name, Path(name)):
        if (folder / BISECT_FILE).is_file():
            return folder.resolve()
    names = sorted(file.parent.name for file in root.glob(f"{PREFIX}*/{BISECT_FILE}"))
    begun = names[-1:] if name == LATEST else [other for other in names if other.startswith((name, f"{PREFIX}{name}"))]
    if len(begun) == 1:
        return (root / begun[0]).resolve()
    if begun:
        raise UserError(f"{len(begun)} bisections in {root} begin with {name!r}: {', '.join(begun[-6:])}")
    raise UserError(f"no bisection {name!r} in {root}", hint=f"ls -d {root}/{PREFIX}*")
