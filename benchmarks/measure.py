"""Speed of the main job, measured through the command line: a table of figures, what to reach, and ratios.

measure.py                  the rows that take minutes at most
measure.py --only boot      some rows, long ones included; several names with commas
measure.py --list           what there is
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
PATCHRIG = Path(sys.executable).with_name("patchrig")
MATRIX = PROJECT / "configs" / "swapoff.yaml"
SERIES = PROJECT / "kernels" / "patches" / "swapoff-lockout"
REPEATS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    measured: float
    reach: float
    unit: str = "s"


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


def spent(cell: dict[str, Any], *phases: str) -> float:
    """Seconds that a cell was in some phases."""
    return sum(span["end"] - span["start"] for span in cell["spans"] if span["phase"] in phases)


def boot(results: Path) -> Iterator[Figure]:
    """QEMU's start to the first command done, booted and restored, and the rest of a cell, one guest at a time."""
    for arch in ("x86_64", "arm64"):
        booted = starts(results, arch, restored=False)
        times = [cell["run"]["boot_seconds"] for cell in booted]
        name = f"QEMU start to first SSH command done, {arch}, booted, median of {len(times)}"
        yield Figure(what=name, measured=statistics.median(times), reach=2.5)
        added = [spent(cell, "setup", "collect", "judge", "evidence") for cell in booted]
        name = f"a cell beside boot and load, {arch}, median of {len(added)}"
        yield Figure(what=name, measured=statistics.median(added), reach=0.7)
        times = [cell["run"]["boot_seconds"] for cell in starts(results, arch, restored=True)]
        name = f"QEMU start to first SSH command done, {arch}, restored, median of {len(times)}"
        yield Figure(what=name, measured=statistics.median(times), reach=0.9)


def starts(results: Path, arch: str, *, restored: bool) -> list[dict[str, Any]]:
    """Cells whose guests were all booted, or all restored, one guest at a time."""
    options = ("--arch", arch, "--workload", "mincore", "--seconds", "1", "--jobs", "1")
    # The first guest is booted and saved.
    how = ("--repeat", str(REPEATS + 1)) if restored else ("--repeat", str(REPEATS), "--no-restore")
    _, done, _ = run(results, *options, *how)
    runs = [cell for cell in done if cell["run"] and cell["run"]["restored"] == restored]
    up = [cell for cell in runs if cell["run"]["boot_seconds"]]
    if len(up) < REPEATS:
        sys.exit(f"only {len(up)} of {REPEATS} guests were {'restored' if restored else 'booted'} on {arch}")
    return up


def cells(_: Path) -> Iterator[Figure]:
    """Ten thousand cells whose guests end at once."""
    script = Path(__file__).with_name("many_cells.py")
    found = json.loads(subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True).stdout)
    planned = found["list"]["seconds"] + found["again"]["seconds"]
    used = found["list"]["cpu_seconds"] + found["again"]["cpu_seconds"]
    yield Figure(what=f"{found['cells']} cells: list, schedule, report", measured=planned, reach=20.0)
    yield Figure(what=f"{found['cells']} cells: CPU seconds of that", measured=used, reach=20.0)
    yield Figure(what=f"{found['cells']} cells: peak of memory", measured=found["peak_mib"], reach=300.0, unit="MiB")


def edit(results: Path) -> Iterator[Figure]:
    """From an edited patch to a verdict: one arch, three workloads of 10 s, two side by side."""
    options = ("--arch", "x86_64", "--seconds", "10", "--jobs", "2")
    options = (*options, *(word for name in ("swapin", "mincore", "shmem") for word in ("--workload", name)))
    builds, verdicts = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(REPEATS + 1):
            series = Path(scratch) / str(number)
            edited_series(series, number)
            asked, _, summary = run(results, *options, "--patch", str(series))
            if number:  # The first only brings the tree and the caches to where a developer's are.
                builds.append(asked["builds"][0]["seconds"])
                verdicts.append(summary["seconds"])
    name = f"an edited .c file to an image, median of {REPEATS}"
    yield Figure(what=name, measured=statistics.median(builds), reach=15.0)
    name = f"an edited patch to a verdict, median of {REPEATS}"
    yield Figure(what=name, measured=statistics.median(verdicts), reach=60.0)


def edited_series(folder: Path, number: int) -> None:
    """The project's series with one statement of its last patch to a .c file edited, each time otherwise."""
    shutil.copytree(SERIES, folder)
    for patch in sorted(folder.glob("*.patch"), reverse=True):
        text = patch.read_text()
        # Not a line that is the last of a comment or goes on: it ends in a semicolon.
        edited = re.sub(r"(?m)^(\+\t.*;)$", rf"\1 /* edit {number} */", text, count=1)
        if edited != text and re.search(r"(?m)^\+\+\+ b/.*\.c$", text):
            patch.write_text(edited)
            return
    sys.exit(f"{folder}: no patch adds a statement to a .c file")


def matrix(results: Path) -> Iterator[Figure]:
    """The whole matrix on both arches, as `make run` does it."""
    asked, done, summary = run(results, "--seconds", "20")
    passed = sum(cell["verdict"]["outcome"] == "passed" for cell in done)
    seconds = summary["seconds"]
    for build in asked["builds"]:
        if build.get("seconds"):
            name = f"build of {build['build']['flavour']} {build['build']['arch']}, whatever the caches held"
            yield Figure(what=name, measured=build["seconds"], reach=480.0)
    yield Figure(what=f"the matrix with its builds, 20 s a cell ({passed} passed)", measured=seconds, reach=360.0)
    yield Figure(what="the orchestrator's own memory, peak", measured=summary["peak_mib"], reach=300.0, unit="MiB")


ROWS: dict[str, Row] = {"boot": boot, "cells": cells, "edit": edit, "matrix": matrix}
LONG = ("edit", "matrix")


def line(figure: Figure) -> str:
    unit = f"{figure.unit:<4}"
    ratio = figure.measured / figure.reach
    return f"{figure.what:<74} {figure.measured:8.2f} {unit} {figure.reach:8.2f} {unit} {ratio:6.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of rows, with commas")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    asked = parser.parse_args()
    if asked.list:
        for name, row in ROWS.items():
            sys.stdout.write(f"{name:<8} {(row.__doc__ or '').strip()}{' (long)' if name in LONG else ''}\n")
        return
    chosen = asked.only.split(",") if asked.only else [name for name in ROWS if name not in LONG]
    if unknown := set(chosen) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    sys.stdout.write(f"{'what':<74} {'measured':>13} {'reach':>13} {'ratio':>6}\n")
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen:
            for figure in ROWS[name](Path(scratch)):
                sys.stdout.write(f"{line(figure)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
