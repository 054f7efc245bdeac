# SPDX-License-Identifier: GPL-2.0-or-later
"""Deterministic cells again and again beside busy processes: how many replays are the same to the byte.

python -m benchmarks.replays                      a swapin cell of each arch, plain and widened, 25 replays each
python -m benchmarks.replays --count 5 --write    five of each; also stores the table for docs/measurements.md

A replay is the cell's repro.sh: QEMU alone. Build the kernels first.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measurements
from benchmarks.hook import GUEST_SECONDS, name_of
from benchmarks.runs import run, timed

WORKLOAD = "swapin"
ARCHES = ("x86_64", "arm64")
FLAVOURS = ("plain", "widened")
COLUMNS = ("arch", "flavour", "outcome", "guest seconds", "identical", "wall seconds, median")
_BUSY = ("sh", "-c", "while :; do :; done")


@dataclass(frozen=True, kw_only=True, slots=True)
class Replays:
    """The replays of one cell."""

    arch: str
    flavour: str
    outcome: str
    guest_seconds: float
    same: tuple[bool, ...]
    wall_seconds: tuple[float, ...]

    def columns(self) -> tuple[str, ...]:
        identical = f"{sum(self.same)} of {len(self.same)}"
        median = f"{statistics.median(self.wall_seconds):.1f}"
        return (self.arch, self.flavour, self.outcome, f"{self.guest_seconds:.1f}", identical, median)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that never wait."""
    started = [subprocess.Popen(_BUSY) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def replays(results: Path, arch: str, flavour: str, *, seconds: int, count: int) -> Replays:
    options = ("--arch", arch, "--flavour", flavour, "--workload", WORKLOAD, "--seconds", str(seconds))
    _, cells, summary = run(results, *options, "--deterministic")
    folder = Path(summary["folder"]) / "cells" / name_of(cells[0])
    console, again = folder / "console.log", folder / "console-again.log"
    same, took = [], []
    for _ in range(count):
        took.append(timed(["sh", "repro.sh"], cwd=folder, limit=10.0 * GUEST_SECONDS))
        same.append(again.read_bytes() == console.read_bytes())
        if not same[-1]:
            again.rename(folder / f"console-again.{len(same)}.log")
    return Replays(
        arch=arch,
        flavour=flavour,
        outcome=cells[0]["verdict"]["outcome"],
        guest_seconds=last_stamp(console.read_text(errors="replace")),
        same=tuple(same),
        wall_seconds=tuple(took),
    )


def last_stamp(console: str) -> float:
    """Guest seconds at the last line that has a time; 0.0 where none has."""
    stamps = [line[1:13] for line in console.splitlines() if line.startswith("[")]
    return float(stamps[-1]) if stamps else 0.0


def measurement(all_replays: Sequence[Replays], processes: int, command: str) -> measurements.Measurement:
    return measurements.Measurement(
        group=measurements.REPLAY,
        title=f"Replays of a deterministic {WORKLOAD} cell beside {processes} busy processes",
        date=measurements.today(),
        machine=measurements.machine(),
        command=command,
        columns=COLUMNS,
        rows=tuple(one.columns() for one in all_replays),
    )


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", action="append", choices=ARCHES, help="default: both")
    parser.add_argument("--flavour", action="append", choices=FLAVOURS, help="default: both")
    parser.add_argument("--seconds", type=int, default=2, help="of the load in each guest (default: 2)")
    parser.add_argument("--count", type=int, default=25, help="replays of each cell (default: 25)")
    parser.add_argument("--busy", type=int, default=4, help="busy processes beside them (default: 4)")
    parser.add_argument("--results", type=Path, help="keep the runs in this folder (default: a temporary one)")
    parser.add_argument("--write", action="store_true", help="store the table for docs/measurements.md")
    asked = parser.parse_args()
    done = []
    results = asked.results or Path(tempfile.mkdtemp(prefix="replays-"))
    with busy(asked.busy):
        for arch in asked.arch or ARCHES:
            for flavour in asked.flavour or FLAVOURS:
                done.append(replays(results, arch, flavour, seconds=asked.seconds, count=asked.count))
                sys.stdout.write("  ".join(done[-1].columns()) + "\n")
                sys.stdout.flush()
    if asked.write:
        command = f"python -m benchmarks.replays --count {asked.count} --seconds {asked.seconds} --busy {asked.busy}"
        measurements.store("replays", measurement(done, asked.busy, command))
        measurements.main()
    if not all(all(one.same) for one in done):
        sys.stdout.write(f"consoles that differ: {results}\n")
        return 1
    if not asked.results:
        shutil.rmtree(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
