# SPDX-License-Identifier: GPL-2.0-or-later
"""Two revisions of patchrig side by side: the same commands in turn, so that a busy machine is busy for both.

python -m benchmarks.against d1f7ea3            what this tree takes, what d1f7ea3 takes, and the ratio
python -m benchmarks.against d1f7ea3 --write    also stores it for docs/measurements.md

Both use this tree's Python packages. Kernels and guests take no part: nothing is built or booted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measurements
from benchmarks.measure import COLUMNS, HEADER, columns, line
from benchmarks.runs import PROJECT, REPEATS, Figure

_PATCHRIG = ("-c", "import sys; from orchestrator.cli.main import main; sys.exit(main())")
# What users wait for that needs no guest.
COMMANDS = {
    "patchrig --help": (*_PATCHRIG, "--help"),
    "patchrig run --help": (*_PATCHRIG, "run", "--help"),
    "patchrig list of the whole matrix": (*_PATCHRIG, "list", "configs/swapoff.yaml"),
    "10,008 cells: list, schedule, report": ("-m", "benchmarks.many_cells"),
}


@dataclass(frozen=True)
class Use:
    """What a command took: seconds of CPU, user and system, of all its processes, and its largest process in MiB."""

    seconds: float
    mib: float


# A process that execs begins with the peak of memory of its parent, so the parent is a small one.
_PARENT = """
import os, sys
null = os.open(os.devnull, os.O_WRONLY)
quiet = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
pid = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ, file_actions=quiet)
_, status, used = os.wait4(pid, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def use_of(words: Sequence[str], tree: Path) -> Use:
    """Run Python on the tree's code. Raises CalledProcessError where the command fails."""
    env = {**os.environ, "PYTHONPATH": str(tree)}
    argv = [sys.executable, "-I", "-S", "-c", _PARENT, *words]
    done = subprocess.run(argv, cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    seconds, kib = done.stdout.split()
    return Use(seconds=float(seconds), mib=int(kib) / 1024)


def compared(before: Path, repeats: int) -> Iterator[Figure]:
    """For each command its median here, with the median there as its peer. One more call of each fills the caches."""
    for what, words in COMMANDS.items():
        pairs = [(use_of(words, PROJECT), use_of(words, before)) for _ in range(repeats + 1)][1:]
        here, there = zip(*pairs, strict=True)
        yield Figure(
            what=f"{what}: CPU, median of {repeats}",
            measured=statistics.median(use.seconds for use in here),
            peer=statistics.median(use.seconds for use in there),
            reach=None,
        )
        yield Figure(
            what=f"{what}: peak of memory",
            measured=max(use.mib for use in here),
            peer=max(use.mib for use in there),
            reach=None,
            unit="MiB",
        )


def this_revision() -> str:
    """The commit of this tree, and whether files that git knows differ from it."""
    argv = ("git", "-C", str(PROJECT), "describe", "--always", "--exclude=*", "--abbrev=7", "--dirty= with changes")
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def measurement(here: str, revision: str, figures: Sequence[Figure]) -> measurements.Measurement:
    """The table; `here` is the revision that was measured, `revision` the one that it was compared with."""
    return measurements.Measurement(
        group=measurements.SPEED,
        title=f"Commit {here}, with commit {revision} as the peer",
        date=measurements.today(),
        machine=measurements.machine(),
        command=f".venv/bin/python -m benchmarks.against {revision}",
        columns=COLUMNS,
        rows=tuple(map(columns, figures)),
    )


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """The files of a revision in a folder of their own."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        git = ("git", "-C", str(PROJECT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", help="commit to compare with")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"calls of each command (default: {REPEATS})")
    parser.add_argument("--write", action="store_true", help="store the figures for docs/measurements.md")
    asked = parser.parse_args()
    sys.stdout.write(f"{HEADER}\n")
    figures = []
    with checked_out(asked.revision) as before:
        for figure in compared(before, asked.repeats):
            figures.append(figure)
            sys.stdout.write(f"{line(figure)}\n")
            sys.stdout.flush()
    if asked.write:
        measurements.store("against", measurement(this_revision(), asked.revision, figures))
        measurements.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
