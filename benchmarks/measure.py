# SPDX-License-Identifier: GPL-2.0-or-later
"""Speed of the main job, measured through the command line: a table of figures, what to reach, and ratios.

python -m benchmarks.measure                the rows that take minutes at most
python -m benchmarks.measure --only boot    some rows, long ones included; several names with commas
python -m benchmarks.measure --list         what there is
python -m benchmarks.measure --write        also stores each row for docs/measurements.md
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import hook, measurements, peers, quick_answers
from benchmarks.runs import PROJECT, REPEATS, Figure, Row, edited_series, mark_of, run, starts


def spent(cell: dict[str, Any], *phases: str) -> float:
    """Seconds that a cell was in some phases."""
    return float(sum(span["end"] - span["start"] for span in cell["spans"] if span["phase"] in phases))


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


def cells(_: Path) -> Iterator[Figure]:
    """Ten thousand cells whose guests end at once."""
    argv = [sys.executable, "-m", "benchmarks.many_cells"]
    found = json.loads(subprocess.run(argv, cwd=PROJECT, check=True, capture_output=True, text=True).stdout)
    planned = found["list"]["seconds"] + found["again"]["seconds"]
    used = found["list"]["cpu_seconds"] + found["again"]["cpu_seconds"]
    yield Figure(what=f"{found['cells']} cells: list, schedule, report, wall-clock time", measured=planned, reach=12.0)
    yield Figure(what=f"{found['cells']} cells: CPU seconds of that", measured=used, reach=20.0)
    yield Figure(what=f"{found['cells']} cells: peak of memory", measured=found["peak_mib"], reach=250.0, unit="MiB")


def edit(results: Path) -> Iterator[Figure]:
    """From an edited patch to a verdict: one arch, three workloads of 10 s, two side by side."""
    workloads = (word for name in ("swapin", "mincore", "shmem") for word in ("--workload", name))
    options = ("--arch", "x86_64", "--seconds", "10", "--jobs", "2", *workloads)
    builds, verdicts = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(REPEATS + 1):
            series = Path(scratch) / str(number)
            edited_series(series, mark_of(number))
            asked, _, summary = run(results, *options, "--patch", str(series))
            if number:  # The first only brings the tree and the caches to where a developer's are.
                builds.append(asked["builds"][0]["seconds"])
                verdicts.append(summary["seconds"])
    name = f"an edited .c file to an image, median of {REPEATS}"
    yield Figure(what=name, measured=statistics.median(builds), reach=15.0)
    name = f"an edited patch to a verdict, median of {REPEATS}"
    yield Figure(what=name, measured=statistics.median(verdicts), reach=60.0)


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


ROWS: dict[str, Row] = {
    "boot": boot,
    "cells": cells,
    "edit": edit,
    "matrix": matrix,
    **quick_answers.ROWS,
    **hook.ROWS,
    **peers.ROWS,
}
LONG = ("edit", "matrix", *hook.ROWS, *peers.ROWS)

COLUMNS = ("what", "measured", "peer", "target", "ratio")
HEADER = f"{'what':<74} {'measured':>13} {'peer':>13} {'reach':>13} {'ratio':>6}"


def line(figure: Figure) -> str:
    """A line of the table: the ratio is to the peer where there is one, and so is what it has to reach."""
    unit = f"{figure.unit:<4}"
    against = figure.reach if figure.peer is None else figure.peer
    measured = f"{figure.measured:8.2f} {unit}"
    peer = "" if figure.peer is None else f"{figure.peer:8.2f} {unit}"
    reach = "" if figure.reach is None else f"{figure.reach:8.2f} {unit if figure.peer is None else '':<4}"
    ratio = f"{figure.measured / against:6.2f}" if against else ""
    return f"{figure.what:<74} {measured:>13} {peer:>13} {reach:>13} {ratio:>6}".rstrip()


def measurement(name: str, figures: Sequence[Figure]) -> measurements.Measurement:
    """A row's figures as the page of measured figures has them; its title is the first line of the row's docstring."""
    title = (ROWS[name].__doc__ or name).strip().splitlines()[0].rstrip(".")
    return measurements.Measurement(
        group=measurements.COVERAGE if name in hook.ROWS else measurements.SPEED,
        title=title,
        date=measurements.today(),
        machine=measurements.machine(),
        command=measurements.command_line("benchmark", ("--only", name)),
        columns=COLUMNS,
        rows=tuple(map(columns, figures)),
    )


def columns(figure: Figure) -> tuple[str, ...]:
    """A figure as a row of the page."""
    against = figure.reach if figure.peer is None else figure.peer
    share = "" if figure.peer is None else " of the peer"
    return (
        figure.what,
        f"{figure.measured:.2f} {figure.unit}",
        "" if figure.peer is None else f"{figure.peer:.2f} {figure.unit}",
        "" if figure.reach is None else f"{figure.reach:.2f}{share or ' ' + figure.unit}",
        f"{figure.measured / against:.2f}" if against else "",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of rows, with commas")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument(
        "--write", action="store_true", help="store the figures in docs/measurements and write the page"
    )
    asked = parser.parse_args()
    if asked.list:
        for name, row in ROWS.items():
            sys.stdout.write(f"{name:<16} {(row.__doc__ or '').strip()}{' (long)' if name in LONG else ''}\n")
        return
    chosen = asked.only.split(",") if asked.only else [name for name in ROWS if name not in LONG]
    if unknown := set(chosen) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    sys.stdout.write(f"{HEADER}\n")
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen:
            figures = []
            for figure in ROWS[name](Path(scratch)):
                figures.append(figure)
                sys.stdout.write(f"{line(figure)}\n")
                sys.stdout.flush()
            if asked.write:
                measurements.store(name, measurement(name, figures))
    if asked.write:
        measurements.main()


if __name__ == "__main__":
    main()
