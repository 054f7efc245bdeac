# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the suite reaches what is asked of it, as one table: measured now, or read from what was measured.

python -m benchmarks.reach                              measures everything: hours
python -m benchmarks.reach --only coverage,control      some parts: coverage, bugs, bugs-plain, control
python -m benchmarks.reach --read results/A results/B   measures nothing: folders of runs and `patchrig sensitivity`
python -m benchmarks.reach --write                      also stores the tables for docs/measurements.md

Coverage is that of the best single run. Of a bug the latest report counts, unless it was lost or not tried there. Every
guest with a correct kernel of the widened flavour is control: those of runs, and those that sensitivity begins with.

Exit code 0: all is reached. 1: something is not. 3: something was not measured, and nothing that was is missed.
2: a mistake on the command line. 130: interrupted; what had finished is in results/.
"""

import argparse
import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import measurements
from benchmarks.reach_measured import PLAIN, WIDENED, Measured, latest_bugs, read_folders, read_run
from benchmarks.reach_table import (
    CONTROL_MINUTES,
    SAID,
    Expected,
    Row,
    all_rows,
    best_run,
    class_rows,
    control_rows,
    coverage_rows,
    exit_code,
    notes,
    race_rows,
    table_lines,
)
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode, OrchestratorError
from orchestrator.kernel.series.bug_patches import read_bugs
from orchestrator.model.arch import ARCHES
from orchestrator.model.configuration import Variant
from orchestrator.plan.config import load_plan

PATCHRIG = Path(sys.executable).with_name("patchrig")
MATRIX = paths.CONFIGS / "swapoff.yaml"
# At 80 s a cell two guests side by side are through with both arches in 13 minutes.
SECONDS = 80
# Guests may be lost; where so many runs don't give the minutes, no further one will.
CONTROL_RUNS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the command line says of measuring."""

    arches: tuple[str, ...] = tuple(ARCHES)
    seconds: int = SECONDS
    jobs: int | None = None

    @property
    def load(self) -> tuple[str, ...]:
        """The options of runs alone: seeded bugs have the seconds of their class."""
        return ("--seconds", str(self.seconds), *self.side_by_side, *arch_options(self.arches))

    @property
    def side_by_side(self) -> tuple[str, ...]:
        return ("--jobs", str(self.jobs)) if self.jobs else ()


Part = Callable[[Asked], Iterator[Path]]


def coverage(asked: Asked) -> Iterator[Path]:
    # Its own command, so that the time of the run is not that of compilers.
    patchrig("build", "--flavour", WIDENED, *arch_options(asked.arches))
    yield measured_folder("run", "--flavour", WIDENED, *asked.load)


def bugs(asked: Asked, flavour: str = WIDENED) -> Iterator[Path]:
    for arch in asked.arches:
        yield measured_folder("sensitivity", "--flavour", flavour, *asked.side_by_side, *arch_options([arch]))


def bugs_plain(asked: Asked) -> Iterator[Path]:
    yield from bugs(asked, PLAIN)


def control(asked: Asked) -> Iterator[Path]:
    seconds = dict.fromkeys(asked.arches, 0.0)
    cells = len(expected().pairs)
    variants = [word for variant in Variant for word in ("--variant", str(variant))]
    for number in range(CONTROL_RUNS):
        short = tuple(arch for arch in asked.arches if seconds[arch] < 60 * CONTROL_MINUTES)
        if not short:
            return
        left = 60 * CONTROL_MINUTES - min(seconds.values())
        # The first seed is that of the other parts.
        again = ("--repeat", str(repeats(left, seconds=asked.seconds, cells=cells)), "--seed", str(number + 2))
        folder = measured_folder("run", "--flavour", WIDENED, *variants, *again, *replace(asked, arches=short).load)
        yield folder
        for watch in read_run(folder).watches:
            seconds[watch.arch] += watch.seconds


PARTS: dict[str, Part] = {"coverage": coverage, "bugs": bugs, "bugs-plain": bugs_plain, "control": control}


def repeats(left: float, *, seconds: int, cells: int) -> int:
    """How often each cell of one arch is run, so that so many seconds are left no more."""
    return math.ceil(left / (seconds * cells))


def arch_options(arches: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for arch in arches for word in ("--arch", arch))


def measured_folder(*words: str) -> Path:
    folder = Path(patchrig(*words)["folder"])
    sys.stderr.write(f"reach: {folder}\n")
    return folder


def patchrig(command: str, *options: str) -> Any:
    """What a command says as JSON, whatever its verdict; without a word of it this ends as the command did."""
    argv = [str(PATCHRIG), command, str(MATRIX), "--json", *options]
    with ctrl_c_is_the_childs():
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    # After an interrupt there may be a report of what had finished, which is not what was asked for.
    if not done.stdout or done.returncode == ExitCode.INTERRUPTED:
        sys.stderr.write(
            f"reach: {' '.join(argv)} ended with status {done.returncode}; results/ has what was measured\n"
        )
        sys.exit(done.returncode or ExitCode.INFRA)
    return json.loads(done.stdout)


@contextmanager
def ctrl_c_is_the_childs() -> Iterator[None]:
    """It ends its guests and writes its report; run() would kill it in the middle of that."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def expected() -> Expected:
    seeded, _ = read_bugs(paths.KERNELS / "bugs", ())
    workloads = load_plan(MATRIX).workloads
    return Expected(
        classes={bug.id: bug.bug_class for bug in seeded},
        pairs=frozenset((str(variant), workload.name) for variant in Variant for workload in workloads),
    )


def shown(measured: Measured, goal: Expected) -> int:
    """Print the table and what is missing; the exit code."""
    rows = all_rows(measured, goal)
    lines = list(table_lines(rows))
    for heading, texts in notes(measured, goal).items():
        lines += ["", f"{heading}:", "", *(f"- {one}" for one in texts)]
    sys.stdout.write("\n".join(lines) + "\n")
    return exit_code(rows)


def stored(measured: Measured, goal: Expected, command: str) -> Iterator[tuple[str, measurements.Measurement]]:
    """Name and tables of what was measured, as the page of measured figures has them."""

    def table(
        group: str, title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]
    ) -> measurements.Measurement:
        return measurements.Measurement(
            group=group,
            title=title,
            date=measurements.today(),
            machine=measurements.machine(),
            command=command,
            columns=tuple(columns),
            rows=tuple(rows),
        )

    requirement = ("requirement", *ARCHES, "target", "reached")
    run, bugs = best_run(measured.runs), latest_bugs(measured.reports, goal.classes)
    if run:
        title = "Changed lines and failed try-gets of one run"
        yield "coverage", table(measurements.COVERAGE, title, requirement, required(coverage_rows(run)))
    if measured.watches:
        title = f"Control: correct kernels of the flavour `{WIDENED}`"
        yield (
            "control",
            table(measurements.COVERAGE, title, requirement, required(control_rows(measured.watches, goal))),
        )
    if bugs:
        builds = sorted(bugs)
        names = [f"{arch}, {flavour}" for flavour, arch in builds]
        title = "Seeded bugs found: count; median and longest guest seconds"
        yield "seeded-bugs", table(measurements.BUGS, title, ("class", *names), class_rows(bugs, builds))
        title = "Seeded bugs of class C: guest seconds until found"
        yield "class-c", table(measurements.BUGS, title, ("bug", *names), race_rows(bugs, builds))


def required(rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    for one in rows:
        yield (one.what, *(mark.text for mark in one.marks.values()), one.reach, SAID[one.reached])


def folder_named(name: str) -> Path:
    """A path, or a name in results/."""
    return Path(name) if Path(name).exists() else paths.RESULTS / name


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", metavar="PART,...", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    what.add_argument("--read", metavar="FOLDER", nargs="+", help="paths, or names in results/")
    parser.add_argument("--arch", action="append", choices=list(ARCHES), help="only this one; may be given again")
    parser.add_argument(
        "--seconds", type=int, default=SECONDS, help="of load in a cell of coverage and control: %(default)s"
    )
    parser.add_argument("--jobs", type=int, help="guests side by side")
    parser.add_argument("--write", action="store_true", help="store the tables in docs/measurements and write the page")
    asked = parser.parse_args()
    if unknown := set(asked.only.split(",")) - set(PARTS):
        parser.error(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if asked.seconds < 1:
        parser.error("--seconds: at least 1")
    return asked


def main() -> None:
    given = arguments()
    asked = Asked(arches=tuple(given.arch or ARCHES), seconds=given.seconds, jobs=given.jobs)
    try:
        if given.read:
            folders = [folder_named(name) for name in given.read]
        else:
            folders = [folder for name in given.only.split(",") for folder in PARTS[name](asked)]
        measured, goal = read_folders(folders), expected()
        if given.write:
            command = measurements.command_line("targets", [word for word in sys.argv[1:] if word != "--write"])
            for name, table in stored(measured, goal, command):
                measurements.store(name, table)
            measurements.main()
        sys.exit(shown(measured, goal))
    except OrchestratorError as why:
        sys.stderr.write(f"reach: {why}\n  {why.hint}\n" if why.hint else f"reach: {why}\n")
        sys.exit(why.exit_code)


if __name__ == "__main__":
    main()
