# SPDX-License-Identifier: GPL-2.0-or-later
"""patchrig as the benchmarks run it, and what a line of their table says."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
PATCHRIG = Path(sys.executable).with_name("patchrig")
MATRIX = PROJECT / "configs" / "swapoff.yaml"
SERIES = PROJECT / "kernels" / "patches" / "swapoff-lockout"
WORKLOAD = "mincore"  # of the guests whose start is measured
REPEATS = 5
_TIDY_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table. With a peer, which is what another took for the same, `reach` is a share of that."""

    what: str
    measured: float
    reach: float | None
    unit: str = "s"
    peer: float | None = None


Row = Callable[[Path], Iterator[Figure]]


def run(results: Path, *options: str) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """One `patchrig run`: run.json, the cells, and what it said of itself."""
    argv = [str(PATCHRIG), "run", str(MATRIX), "--results", str(results), "--json", *options]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    if not said.stdout:
        sys.exit(f"{' '.join(argv)} ended with status {said.returncode}:\n{said.stderr}")
    summary: dict[str, Any] = json.loads(said.stdout)
    folder = Path(summary["folder"])
    cells = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    return json.loads((folder / "run.json").read_text()), cells, summary


def starts(results: Path, arch: str, *, restored: bool, times: int = REPEATS) -> list[dict[str, Any]]:
    """So many cells whose guests were all booted, or all restored, one guest at a time."""
    options = ("--arch", arch, "--workload", WORKLOAD, "--seconds", "1", "--jobs", "1")
    # The first guest is booted and saved.
    how = ("--repeat", str(times + 1)) if restored else ("--repeat", str(times), "--no-restore")
    _, done, _ = run(results, *options, *how)
    runs = [cell for cell in done if cell["run"] and cell["run"]["restored"] == restored]
    up = [cell for cell in runs if cell["run"]["boot_seconds"]]
    if len(up) < times:
        sys.exit(f"only {len(up)} of {times} guests were {'restored' if restored else 'booted'} on {arch}")
    return up


def build_argv(results: Path, *options: str) -> list[str]:
    """`patchrig build` of the plain kernel."""
    return [str(PATCHRIG), "build", str(MATRIX), "--flavour", "plain", "--results", str(results), *options]


def timed(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, limit: float | None = None
) -> float:
    """Seconds of a command that has to succeed, or that took longer than the limit and was ended."""
    begun = time.monotonic()
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # So that all that it started can be ended with it.
        start_new_session=True,
    ) as child:
        try:
            said, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            _end(child)
            return time.monotonic() - begun
        except BaseException:
            _end(child)
            raise
    seconds = time.monotonic() - begun
    if child.returncode != 0:
        last = "\n".join(said.splitlines()[-20:])
        sys.exit(f"{shlex.join(argv)} ended with status {child.returncode}:\n{last}")
    return seconds


def _end(child: "subprocess.Popen[str]") -> None:
    """End a command and all that it started: as Ctrl-C does, so that it may tidy up, and for good a while later."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_TIDY_SECONDS)
            # What it started may not have ended with it.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            return


def mark_of(number: int) -> str:
    """What tells an edit from all others, also from those of an earlier call: their images are in the cache."""
    return f"edit {number} of {time.time_ns()}"


def edited_series(folder: Path, mark: str) -> str:
    """The project's series with the mark at one statement of its last patch to a .c file; returns that file's name."""
    shutil.copytree(SERIES, folder)
    for patch in sorted(folder.glob("*.patch"), reverse=True):
        text = patch.read_text()
        # Not a line that is the last of a comment or goes on: it ends in a semicolon.
        for statement in re.finditer(r"(?m)^\+\t.*;$", text):
            file = re.findall(r"(?m)^\+\+\+ b/(\S+)$", text[: statement.start()])[-1]
            if file.endswith(".c"):
                patch.write_text(f"{text[: statement.end()]} /* {mark} */{text[statement.end() :]}")
                return str(file)
    sys.exit(f"{folder}: no patch adds a statement to a .c file")
