# SPDX-License-Identifier: GPL-2.0-or-later
"""replay.json in a cell's folder: what `patchrig replay` needs to know of a deterministic guest."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.host.errors import UserError
from orchestrator.host.text import json_text
from orchestrator.model.replays import ReplayRecord
from orchestrator.report.run_files import write_whole
from orchestrator.report.stored import read_object, with_sum

REPLAY_FILE = "replay.json"
_RECORD = TypeAdapter(ReplayRecord)


def keep_replay(record: ReplayRecord, folder: Path) -> None:
    """Write it. Raises InfraError."""
    write_whole(folder / REPLAY_FILE, with_sum(json_text(_RECORD.dump_python(record, mode="json"), indent=1)))


def load_replay(folder: Path) -> ReplayRecord | None:
    """None for the cell of an ordinary run. Raises UserError where it can't be read."""
    file = folder / REPLAY_FILE
    if not file.exists():
        return None
    try:
        return _RECORD.validate_python(read_object(file))
    except ValidationError as why:
        raise UserError(f"{file} was written by another version, or by hand", hint=f"less {file}") from why
