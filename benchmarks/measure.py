"""Speed of the main job, measured through the command line: a table of figures, what to reach, and ratios."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
PATCHRIG = Path(sys.executable).with_name("patchrig")
MATRIX = PROJECT / "configs" / "swapoff.yaml"
REPEATS = 5
BOOT_REACH_SECONDS = 2.5
RESTORE_REACH_SECONDS = 0.9
MATRIX_REACH_SECONDS = 360.0
BUILD_REACH_SECONDS = 480.0
MEMORY_REACH_MIB = 300.0


def run(results: Path, *options: str) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """One `patchrig run`: run.json, the cells, and what it said of itself."""
    argv = [str(PATCHRIG), "run", str(MATRIX), "--results", str(results), "--json", *options]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    summary: dict[str, Any] = json.loads(said.stdout)
    folder = Path(summary["folder"])
    cells = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    return json.loads((folder / "run.json").read_text()), cells, summary


def starts(results: Path, arch: str, *, restored: bool) -> list[float]:
    """Seconds from QEMU's start to the first SSH command done, one guest at a time, booted or restored."""
    options = ["--arch", arch, "--workload", "mincore", "--seconds", "1", "--jobs", "1"]
    # The first guest is booted and saved.
    options += ["--repeat", str(REPEATS + 1)] if restored else ["--repeat", str(REPEATS), "--no-restore"]
    _, cells, _ = run(results, *options)
    runs = [cell["run"] for cell in cells if cell["run"]["restored"] == restored]
    return [one["boot_seconds"] for one in runs if one["boot_seconds"]]


def row(what: str, figure: float, reach: float, unit: str) -> str:
    return f"{what:<58} {figure:8.2f} {unit:<4} {reach:8.2f} {unit:<4} {figure / reach:6.2f}"


def main() -> None:
    rows = [f"{'what':<58} {'measured':>13} {'reach':>13} {'ratio':>6}"]
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch)
        asked, cells, summary = run(results, "--seconds", "20")
        seconds = summary["seconds"]
        passed = sum(cell["verdict"]["outcome"] == "passed" for cell in cells)
        for build in asked["builds"]:
            if build.get("seconds"):
                name = f"build of {build['build']['flavour']} {build['build']['arch']}, whatever the caches held"
                rows.append(row(name, build["seconds"], BUILD_REACH_SECONDS, "s"))
                seconds -= build["seconds"]
        rows.append(
            row(f"the matrix, kernels built, 20 s a cell ({passed} passed)", seconds, MATRIX_REACH_SECONDS, "s")
        )
        for arch in ("x86_64", "arm64"):
            for how, reach in (("booted", BOOT_REACH_SECONDS), ("restored", RESTORE_REACH_SECONDS)):
                times = starts(results, arch, restored=how == "restored")
                name = f"QEMU start to first SSH command, {arch}, {how}, median of {len(times)}"
                rows.append(row(name, statistics.median(times), reach, "s"))
    rows.append(row("the orchestrator's own memory, peak", summary["peak_mib"], MEMORY_REACH_MIB, "MiB"))
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
