# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a hunt: hunt.json, hunt.txt, and a folder for each of its rounds, which are runs."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.host.errors import UserError
from orchestrator.host.text import json_text
from orchestrator.model.hunts import Hunt
from orchestrator.report.run_files import write_whole
from orchestrator.report.stored import sealed_object, with_sum

PREFIX = "hunt-"
HUNT_FILE = "hunt.json"
TEXT_FILE = "hunt.txt"
ROUNDS = "rounds"
LATEST = "latest"
_HUNT = TypeAdapter(Hunt)


def round_name(number: int) -> str:
    """The folder of a round below ROUNDS."""
    return f"{number:04}"


def save_hunt(hunt: Hunt) -> None:
    """Write hunt.json in one step. Raises InfraError."""
    write_whole(hunt.folder / HUNT_FILE, with_sum(json_text(_HUNT.dump_python(hunt, mode="json"), indent=1)))


def save_text(hunt: Hunt, text: str) -> None:
    """Write hunt.txt in one step. Raises InfraError."""
    write_whole(hunt.folder / TEXT_FILE, text)


def load_hunt(root: Path, name: str) -> Hunt:
    """A hunt by its id, the start of it, a path, or "latest". Raises UserError where there is none, or none to read."""
    folder = _find(root, name)
    path = folder / HUNT_FILE
    try:
        return _HUNT.validate_python(_with_rounds(sealed_object(path)) | {"folder": str(folder)})
    except ValidationError as why:
        raise UserError(f"{path} was written by another version, or by hand", hint="patchrig hunt ...") from why


def uncounted_rounds(hunt: Hunt) -> tuple[int, ...]:
    """The rounds that the hunt was killed in: their cells are on the disk, and not in what it knows."""
    numbers = (int(folder.name) for folder in (hunt.folder / ROUNDS).glob("[0-9][0-9][0-9][0-9]*"))
    return tuple(sorted(number for number in numbers if number > hunt.rounds))


def _with_rounds(stored: dict[str, Any]) -> dict[str, Any]:
    """Until the next release: a hunt that was begun when rounds were called passes."""
    task = stored.get("task")
    if not isinstance(task, dict) or "passes" not in task:
        return stored
    return {**stored, "task": {"most_rounds": task["passes"], **task}}


def _find(root: Path, name: str) -> Path:
    for folder in (root / name, Path(name)):
        if (folder / HUNT_FILE).is_file():
            return folder.resolve()
    names = sorted(file.parent.name for file in root.glob(f"{PREFIX}*/{HUNT_FILE}"))
    begun = names[-1:] if name == LATEST else [other for other in names if other.startswith((name, f"{PREFIX}{name}"))]
    if len(begun) == 1:
        return (root / begun[0]).resolve()
    if begun:
        raise UserError(f"{len(begun)} hunts in {root} begin with {name!r}: {', '.join(begun[-6:])}")
    raise UserError(f"no hunt {name!r} in {root}", hint=f"ls -d {root}/{PREFIX}*")
