# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing into the cache: whole or not at all, and trouble with the disk said plainly."""

import json
from pathlib import Path

from orchestrator.host.files import make_folders, replace_whole, trouble_named
from orchestrator.host.files import sha256_of as sha256_of


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file in one step; its folder is made if need be. Raises InfraError where the disk refuses it."""
    with trouble_named(path.parent):
        make_folders(path.parent)
        replace_whole(path, content)


def write_json(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")
