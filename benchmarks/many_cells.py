# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten thousand cells through `patchrig list` and `patchrig run`, with guests that end at once: what we ourselves cost.

Everything is real but for the kernels and the guests: matrix, schedule, threads, files of each cell, report. Prints
JSON.
"""

import json
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.cli.main import cli, collect_garbage_seldom
from orchestrator.host.deadline import now
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import BASELINE, Series
from orchestrator.model.cells import Build, Cell
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.guests import Ending, Observation, WorkloadResult
from orchestrator.model.images import KernelImage
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.phases import Phase
from orchestrator.model.reports import CellReport
from orchestrator.plan.config import load_plan
from orchestrator.report.stored import cell_values
from orchestrator.run import matrix, observed_cell
from orchestrator.run.bootable import Bootable, BootFiles
from orchestrator.run.cell import Observed
from orchestrator.run.kernels import Building
from orchestrator.run.stopwatch import Stopwatch

PROJECT = Path(__file__).resolve().parent.parent
MATRIX = PROJECT / "configs" / "swapoff.yaml"
CELLS = 10_000
VARIANTS = ("patched", "baseline")
# So many cells are red, with a few splats that many share.
EVERY_RED = 100
SPLATS = 5


@dataclass(frozen=True)
class FakeKernels:
    """Images that nobody boots."""

    folder: Path
    request: Any = field(default_factory=lambda: SimpleNamespace(cache=Path("/nonexistent")))
    series: Series = BASELINE
    tested: Series = BASELINE
    source: Any = field(default_factory=lambda: SimpleNamespace(sha256="60f1" * 16, version="6.19.6"))
    diffs: SeriesDiffs = field(default_factory=SeriesDiffs)
    sandbox: bool = False

    def image(self, build: Build, _how: Building) -> KernelImage:
        for name in ("image", "vmlinux", "config", "log"):
            (self.folder / name).write_text(name)
        return KernelImage(
            build=build,
            image=self.folder / "image",
            vmlinux=self.folder / "vmlinux",
            config=self.folder / "config",
            log=self.folder / "log",
            release="6.19.6",
            hashes={"source": "60f1" * 16, "series": "ab12" * 16},
            seconds=1.0,
        )


def fake_observe(cell: Cell, *_: Any, folder: Path, **__: Any) -> Observed:
    """What a guest leaves behind that passed, or now and then crashed."""
    stopwatch, started = Stopwatch(cell.name), now()
    for phase in (Phase.BOOT, Phase.WORKLOAD):
        stopwatch.begin(phase)
    (folder / "console.log").write_text("[    0.000000] Linux version 6.19.6\n" * 20)
    (folder / "workload.log").write_text("{}\n")
    run = observation_of(tuple(cell.workload.exercised))
    return Observed(observation=run, folder=folder, started=started, stopwatch=stopwatch)


@cache
def observation_of(exercised: tuple[str, ...]) -> Observation:
    """What was seen of a guest that passed, with these counters and those of 20 sites."""
    result = WorkloadResult(
        operations=81_230,
        verified=40_960,
        mismatch_count=0,
        mismatches=(),
        errors=(),
        swapoffs=57,
        swapoff_longest_ms=812.5,
        swapoff_stuck=False,
        counters=dict.fromkeys([*exercised, *(f"site.s{number}.calls" for number in range(20))], 12_345),
    )
    return Observation(
        ending=Ending.REPORTED, result=result, exit_status=0, boot_seconds=2.1, guest_seconds=20.0, accelerator="tcg"
    )


def fake_judge(cell: Cell, observed: Observed, *_: Any) -> CellReport:
    red = cell.repeat % EVERY_RED == 1
    title = f"KASAN: use-after-free Read in f{cell.repeat // EVERY_RED % SPLATS}" if red else "81230 operations"
    observed.stopwatch.begin(Phase.JUDGE)
    return CellReport(
        cell=cell,
        verdict=Verdict(outcome=Outcome.CRASHED if red else Outcome.PASSED, title=title),
        run=observed.observation,
        crashes=(crash_of(title),) if red else (),
        seconds=24.5,
        kernel={"release": "6.19.6", "source": "60f1" * 16},
        spans=observed.stopwatch.stop(),
    )


def crash_of(title: str) -> Crash:
    text = "BUG: KASAN\n" * 40
    return Crash(kind=CrashKind.KASAN, title=title, function="f", line=7, severity=Severity.FATAL, text=text)


def fake_bootable(
    image: KernelImage, _kernels: FakeKernels, files: BootFiles, _how: Building, *, run: Path
) -> Bootable:
    """A kernel without probes, explainer and test suites."""
    initramfs = run / "guest" / "initramfs"
    initramfs.touch()
    return Bootable(kernel=image, initramfs=initramfs, guests=files.guests)


class FakeBootFiles(BootFiles):
    """Guests that nobody boots."""

    def with_usable_kvm(self, bootable: Bootable, *_: Any) -> Bootable:
        return bootable


@contextmanager
def without_guests(folder: Path) -> Iterator[None]:
    """The matrix of our own process, cut off where kernels and guests begin."""

    @contextmanager
    def open_kernels(*_: Any) -> Iterator[FakeKernels]:
        yield FakeKernels(folder)

    with exchanged(
        (matrix, "open_kernels", open_kernels),
        (observed_cell, "observe", fake_observe),
        (matrix, "new_bootable", fake_bootable),
        (matrix, "judge_cell", fake_judge),
        (matrix, "BootFiles", FakeBootFiles),
    ):
        yield


@contextmanager
def exchanged(*cuts: tuple[object, str, object]) -> Iterator[None]:
    """Names of modules and classes that stand for something else meanwhile: (module or class, name, value)."""
    kept = [(place, name, getattr(place, name)) for place, name, _ in cuts]
    try:
        for place, name, cut in cuts:
            setattr(place, name, cut)
        yield
    finally:
        for place, name, own in kept:
            setattr(place, name, own)


def timed(*argv: str) -> dict[str, float]:
    """What a command takes, its output thrown away: seconds by the clock, and of a CPU."""
    collect_garbage_seldom()  # as the program does
    start, used = time.monotonic(), time.process_time()
    with Path("/dev/null").open("w") as nowhere, redirect_stdout(nowhere):
        cli.main(list(argv), standalone_mode=False)
    return {"seconds": round(time.monotonic() - start, 2), "cpu_seconds": round(time.process_time() - used, 2)}


def check_recorded(run: Path, expected: int) -> None:
    """Exit with a message unless so many cells are recorded, none of them lost: a lost cell costs something else."""
    outcomes = Counter(values["verdict"]["outcome"] for values in cell_values(run))
    if outcomes.total() != expected or outcomes["lost"]:
        sys.exit(f"{run}: recorded: {dict(outcomes)}; expected: {expected} cells, none lost; less {run}/summary.txt")


def main(cells: int = CELLS) -> None:
    plan = load_plan(MATRIX).matrix
    once = len(plan.arches) * len(plan.flavours) * len(plan.workloads) * len(VARIANTS)
    repeat = -(-cells // once)
    chosen = [str(MATRIX), *(f"--variant={name}" for name in VARIANTS), "--repeat", str(repeat)]
    with tempfile.TemporaryDirectory() as scratch:
        folder, results = Path(scratch), Path(scratch) / "results"
        (folder / "kernel").mkdir()
        with without_guests(folder / "kernel"):
            figures: dict[str, Any] = {
                "cells": once * repeat,
                "list": timed("list", *chosen),
                "run": timed("run", *chosen, "--results", str(results)),
                # The second knows of the first how each cell ended.
                "again": timed("run", *chosen, "--results", str(results)),
            }
        for run in (one for one in results.glob("2*") if not one.is_symlink()):
            check_recorded(run, figures["cells"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({**figures, "peak_mib": round(peak, 1)}) + "\n")


if __name__ == "__main__":
    main()
