# SPDX-License-Identifier: GPL-2.0-or-later
"""A program of a few lines of shell, for what starts others."""

from pathlib import Path


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path
