# SPDX-License-Identifier: GPL-2.0-or-later
"""What the series did, in the run's folder: for `patchrig repro`, when the source tree may hold something else."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.host.text import json_text
from orchestrator.model.cells import Build
from orchestrator.model.series_diff import ChangedFunction, SeriesDiff
from orchestrator.report.run_files import write_whole

DIFF_FILE = "series-diff.json"
_DIFF = TypeAdapter(SeriesDiff)


def save_diff(diff: SeriesDiff, run: Path) -> None:
    """Keep the diff in a run's folder. Raises InfraError."""
    write_whole(run / DIFF_FILE, json_text(_DIFF.dump_python(diff, mode="json")))


def load_diff(run: Path, build: Build) -> SeriesDiff | None:
    """What the series did that a run's folder is of; None where the folder does not tell."""
    try:
        if (run / DIFF_FILE).exists():
            return _DIFF.validate_python(json.loads((run / DIFF_FILE).read_text(encoding="utf-8")))
        return _of_a_build(run / "builds" / build.name)
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _of_a_build(folder: Path) -> SeriesDiff:
    """From the folder of a build, where runs before 2026-12 kept the functions and the patched files."""
    rows = json.loads((folder / "functions.json").read_text(encoding="utf-8"))
    functions = tuple(ChangedFunction(**row) for row in rows)
    root = folder / "source"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    texts = {path.relative_to(root).as_posix(): path.read_text(errors="replace") for path in files}
    return SeriesDiff(files=(), functions=functions, texts=texts)
