# SPDX-License-Identifier: GPL-2.0-or-later
"""A run on a cluster of a thousand workers that answer at once: what planner, scheduler and report cost for each cell.

make simulation                                               10,000 cells
make simulation ARGS="--cells 1000000"                        the target; takes its time
make simulation ARGS="--cells 10000 100000 --write"           stores the table for docs/measurements.md
TMPDIR=/dev/shm make simulation                                results in memory: ext4 takes 100 to 400 µs more for a
                                                               cell's folder within minutes of a large removal

Everything of the caller is real but for kernels, Dask and the files of the guests: matrix, schedule, threads,
cells.jsonl, report. Each number of cells has a process of its own, so that its peak of memory is its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import many_cells, measurements
from orchestrator.host.deadline import now
from orchestrator.model.cells import Cell
from orchestrator.model.phases import Phase
from orchestrator.plan.config import load_plan
from orchestrator.report.store import Store
from orchestrator.run import matrix
from orchestrator.run.bootable import Bootable
from orchestrator.run.capacity import Room
from orchestrator.run.cell import Observed
from orchestrator.run.stopwatch import Stopwatch

WORKERS = 1000
TARGET_CELLS = 1_000_000
TARGET_MICROSECONDS = 100
TARGET_MIB = 2048
MOST_REPEATS = 10_000  # of a matrix: what is more takes further flavours
FLAVOURS = ("plain", "debug", "kcsan", "numa")


@dataclass(frozen=True)
class FakeCluster:
    """Takes the place of ClusterGuests."""

    workers: int

    def room(self, jobs: int | None) -> Room:
        return Room(cores=0, memory_mib=0, jobs=jobs or 2 * self.workers)

    def observe(self, cell: Cell, _bootable: Bootable, folder: Path) -> Observed:
        stopwatch, started = Stopwatch(cell.name), now()
        for phase in (Phase.BOOT, Phase.WORKLOAD):
            stopwatch.begin(phase)
        run = many_cells.observation_of(tuple(cell.workload.exercised))
        return Observed(observation=run, folder=folder, started=started, stopwatch=stopwatch)


@contextmanager
def with_cluster(workers: int, saves: list[dict[str, float]]) -> Iterator[None]:
    """The caller's side of a run, cut off where the cluster begins; notes what each writing of the reports takes."""

    @contextmanager
    def cluster_guests(*_: Any) -> Iterator[FakeCluster]:
        yield FakeCluster(workers)

    save = Store.save

    def timed_save(self: Store, **how: Any) -> Any:
        start, used = time.monotonic(), time.process_time()
        report = save(self, **how)
        saves.append(_since(start, used))
        return report

    with many_cells.exchanged((matrix, "cluster_guests", cluster_guests), (Store, "save", timed_save)):
        yield


def _since(start: float, used: float) -> dict[str, float]:
    return {"seconds": time.monotonic() - start, "cpu_seconds": time.process_time() - used}


def chosen_cells(cells: int) -> tuple[list[str], int]:
    """The arguments for so many cells or a few more, and how many these are."""
    plan = load_plan(many_cells.MATRIX).matrix
    of_flavour = len(plan.arches) * len(plan.workloads) * len(many_cells.VARIANTS)
    flavours = FLAVOURS[: -(-cells // (of_flavour * MOST_REPEATS))]
    repeat = -(-cells // (of_flavour * len(flavours)))
    names = [*(f"--variant={name}" for name in many_cells.VARIANTS), *(f"--flavour={name}" for name in flavours)]
    return [str(many_cells.MATRIX), *names, "--repeat", str(repeat)], of_flavour * len(flavours) * repeat


def simulate(cells: int, workers: int, more: Sequence[str] = ()) -> dict[str, Any]:
    """Plan, run and report so many cells in this process; CPU seconds and MiB."""
    chosen, expected = chosen_cells(cells)
    saves: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder, results = Path(scratch) / "kernel", Path(scratch) / "results"
        folder.mkdir()
        peak = partial(_peak_mib)
        with many_cells.without_guests(folder), with_cluster(workers, saves):
            listed, listed_mib = many_cells.timed("list", *chosen), peak()
            ran = many_cells.timed("run", *chosen, "--results", str(results), *more)
        many_cells.check_recorded(results / "latest", expected)
    saved = sum(save["cpu_seconds"] for save in saves)
    return {
        "cells": expected,
        "plan": listed["cpu_seconds"],
        "schedule": ran["cpu_seconds"] - saved,
        "report": saved,
        "seconds": listed["seconds"] + ran["seconds"],
        "plan_mib": listed_mib,
        "peak_mib": peak(),
    }


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def row(figures: dict[str, Any]) -> tuple[str, ...]:
    """Microseconds of CPU for each cell, by what they are spent on, and the peak of memory."""
    cells = figures["cells"]
    each = [figures[name] / cells * 1e6 for name in ("plan", "schedule", "report")]
    reached = sum(each) <= TARGET_MICROSECONDS and figures["peak_mib"] <= TARGET_MIB
    times = (f"{part:.0f} µs" for part in (*each, sum(each)))
    return (f"{cells:,}", *times, f"{figures['peak_mib']:.0f} MiB", "yes" if reached else "no")


def further_row(first: dict[str, Any], last: dict[str, Any]) -> tuple[str, ...]:
    """What each cell beyond the smaller run takes: without what a run takes however small it is."""
    more = {name: last[name] - first[name] for name in ("cells", "plan", "schedule", "report", "peak_mib")}
    kib = more["peak_mib"] / more["cells"] * 1024
    _, *times, _, _ = row(more)
    expected = first["peak_mib"] + kib / 1024 * (TARGET_CELLS - first["cells"])
    return ("each further one", *times, f"{kib:.1f} KiB", f"memory: {TARGET_CELLS:,} would take {expected:,.0f} MiB")


COLUMNS = ("cells", "plan", "schedule and record", "report", "together", "peak of memory", "within the target")


def measured(cells: int, workers: int) -> dict[str, Any]:
    """simulate() in a process of its own. Raises CalledProcessError."""
    argv = [sys.executable, "-m", "benchmarks.simulated_cluster", "--here", "--workers", str(workers), "--cells"]
    ran = subprocess.run([*argv, str(cells)], check=True, stdout=subprocess.PIPE, text=True, cwd=many_cells.PROJECT)
    return dict(json.loads(ran.stdout))


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[10_000])
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--write", action="store_true", help="store the table for docs/measurements.md")
    parser.add_argument("--here", action="store_true", help="print the figures of the first number as JSON")
    asked = parser.parse_args()
    if asked.here:
        sys.stdout.write(json.dumps(simulate(asked.cells[0], asked.workers)) + "\n")
        return
    figures, rows = [], []
    for cells in sorted(asked.cells):
        figures.append(measured(cells, asked.workers))
        rows.append(row(figures[-1]))
        sys.stdout.write(" | ".join(rows[-1]) + "\n")
        sys.stdout.flush()
    if len(figures) > 1:
        rows.append(further_row(figures[0], figures[-1]))
        sys.stdout.write(" | ".join(rows[-1]) + "\n")
    if asked.write:
        measurements.store("simulated-cluster", measurement(asked.workers, asked.cells, rows))
        measurements.main()


def _place() -> str:
    return f"TMPDIR={os.environ['TMPDIR']} " if "TMPDIR" in os.environ else ""


def measurement(workers: int, cells: Sequence[int], rows: Sequence[tuple[str, ...]]) -> measurements.Measurement:
    return measurements.Measurement(
        group=measurements.SPEED,
        title=f"A simulated cluster of {workers:,} workers: CPU for each cell",
        date=measurements.today(),
        machine=measurements.machine(),
        command=f'{_place()}make simulation ARGS="--cells {" ".join(map(str, cells))}"',
        columns=COLUMNS,
        rows=tuple(rows),
        notes=(
            f"The target, for {TARGET_CELLS:,} cells: {TARGET_MICROSECONDS} µs for each cell and {TARGET_MIB:,} MiB. "
            "Small numbers of cells have the cost of starting patchrig in them.",
        ),
    )


if __name__ == "__main__":
    main()
