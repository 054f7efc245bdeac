# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a bisection: bisect.json, bisect.txt, and a folder for each batch of its cells, which are runs."""

from pydantic import TypeAdapter

from orchestrator.host.text import json_text
from orchestrator.model.bisections import Bisection
from orchestrator.report.run_files import write_whole
from orchestrator.report.stored import with_sum

PREFIX = "bisect-"
BISECT_FILE = "bisect.json"
TEXT_FILE = "bisect.txt"
BATCHES = "runs"
_BISECTION = TypeAdapter(Bisection)


def batch_name(number: int) -> str:
    """The folder of a batch below BATCHES."""
    return f"{number:04}"


def save_bisection(bisection: Bisection, text: str) -> None:
    """Write bisect.json and bisect.txt, each in one step. Raises InfraError."""
    value = json_text(_BISECTION.dump_python(bisection, mode="json"), indent=1)
    write_whole(bisection.folder / BISECT_FILE, with_sum(value))
    write_whole(bisection.folder / TEXT_FILE, text)
