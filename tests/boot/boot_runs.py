# SPDX-License-Identifier: GPL-2.0-or-later
"""Real kernels, built and booted through the command line, as a user would."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).parent / "patches"
SERIES = PROJECT / "kernels" / "patches" / "swapoff-lockout"
BUGS = PROJECT / "kernels" / "bugs"
MATRIX = PROJECT / "configs" / "swapoff.yaml"
PATCHRIG = Path(sys.executable).with_name("patchrig")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a `patchrig run` left behind."""

    status: int
    folder: Path
    cells: Mapping[str, Mapping[str, Any]]  # name -> its line in cells.jsonl
    stderr: str

    def outcomes(self) -> dict[str, str]:
        return {name: cell["verdict"]["outcome"] for name, cell in self.cells.items()}

    def titles(self) -> dict[str, str]:
        return {name: f"{cell['verdict']['outcome']}: {cell['verdict']['title']}" for name, cell in self.cells.items()}


def run_matrix(results: Path, *options: str) -> Ran:
    return run_command("run", str(MATRIX), "--results", str(results), "--json", *options)


def run_command(*argv: str) -> Ran:
    done = subprocess.run([str(PATCHRIG), *argv], capture_output=True, text=True, check=False, timeout=5400)
    assert done.stdout, f"patchrig said nothing on standard output:\n{done.stderr[-3000:]}"
    folder = Path(json.loads(done.stdout)["folder"])
    return Ran(status=done.returncode, folder=folder, cells=stored_cells(folder), stderr=done.stderr)


def stored_cells(folder: Path) -> dict[str, Any]:
    lines = (folder / "cells.jsonl").read_text().splitlines()
    return {name_of(cell): cell for cell in map(json.loads, lines)}


def name_of(stored: Mapping[str, Any]) -> str:
    return Path(stored["folder"]).name


def with_patches(*patches: Path) -> Sequence[str]:
    return [word for patch in patches for word in ("--patch", str(patch))]
