# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a kernel is probed, in the folder of its build: for `patchrig repro`, whose guest has the same probes."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.host.text import json_text
from orchestrator.model.probes import Located
from orchestrator.report.run_files import write_whole

PROBES_FILE = "probes.json"
_LOCATED = TypeAdapter(Located)


def save_located(located: Located, build: Path) -> None:
    """Keep it in the folder of a build. Raises InfraError."""
    write_whole(build / PROBES_FILE, json_text(_LOCATED.dump_python(located, mode="json"), indent=1))


def load_located(build: Path) -> Located | None:
    """What was kept; None where a run did not keep it, or it can't be read."""
    try:
        return _LOCATED.validate_python(json.loads((build / PROBES_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
