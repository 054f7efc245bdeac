# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked for often, in seconds of CPU, user and system: help, completion, a list of cells, a tree as it was."""

import os
import random
import resource
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.runs import MATRIX, PATCHRIG, REPEATS, Figure, Row
from orchestrator.host.deadline import Deadline
from orchestrator.kernel.source.prepared import from_tree
from orchestrator.kernel.source.tree import pristine_tree

HELP_SECONDS = 0.3
FILES = 90_000  # Linux 6.19 has some more
TREE_SECONDS = 5.0
_SIZES = (800, 3_000, 6_000, 12_000, 40_000)  # of files; a kernel's have 16 kB on the average
_FILES_OF_A_FOLDER = 20
_FOLDERS_OF_A_FOLDER = 150


def cpu_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def cpu_of(argv: list[str], env: Mapping[str, str] | None = None) -> float:
    """Seconds of CPU of a command that has to succeed: the median of some calls, after one that fills the caches."""
    used = []
    for _ in range(REPEATS + 1):
        before = cpu_seconds(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, env=env and {**os.environ, **env}, check=True, capture_output=True)
        used.append(cpu_seconds(resource.RUSAGE_CHILDREN) - before)
    return statistics.median(used[1:])


def answers(_: Path) -> Iterator[Figure]:
    """CPU of help, completion and `list`."""
    patchrig = str(PATCHRIG)
    completion = {"_PATCHRIG_COMPLETE": "bash_complete", "COMP_WORDS": "patchrig run --", "COMP_CWORD": "2"}
    for what, argv, env in (
        ("patchrig --help", [patchrig, "--help"], None),
        ("patchrig run --help", [patchrig, "run", "--help"], None),
        ("completion of patchrig run --", [patchrig], completion),
        ("patchrig list of the whole matrix", [patchrig, "list", str(MATRIX)], None),
    ):
        yield Figure(what=f"{what}: CPU, median of {REPEATS}", measured=cpu_of(argv, env), reach=HELP_SECONDS)


def own_tree(scratch: Path) -> Iterator[Figure]:
    """CPU of looking at a plain --tree of 90,000 files: the first time, unchanged, and with other times."""
    tree = scratch / "linux"
    make_tree(tree, FILES)
    first = _cpu_within(lambda: look_at(tree, scratch))
    yield Figure(what=f"--tree of {FILES} files, read and copied the first time: CPU", measured=first, reach=None)
    # Files that were young when they were read are read once more.
    look_at(tree, scratch)
    unchanged = _cpu_within(lambda: look_at(tree, scratch))
    yield Figure(what=f"--tree of {FILES} files, unchanged: CPU", measured=unchanged, reach=TREE_SECONDS)
    for file in tree.rglob("*.c"):
        file.touch()
    touched = _cpu_within(lambda: look_at(tree, scratch))
    yield Figure(what=f"--tree of {FILES} files, all touched: CPU", measured=touched, reach=None)


def make_tree(top: Path, files: int) -> None:
    """A folder that passes for a kernel tree, as large as one."""
    dice = random.Random(1)
    noise = dice.randbytes(max(_SIZES))
    top.mkdir(parents=True)
    (top / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 19\n")
    for name in ("Kconfig", "Kbuild"):
        (top / name).touch()
    for number in range(files - 3):
        part = number // _FILES_OF_A_FOLDER
        folder = top / str(part // _FOLDERS_OF_A_FOLDER) / str(part)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.c").write_bytes(b"%d\n" % number + noise[: dice.choice(_SIZES)])


def look_at(tree: Path, scratch: Path) -> None:
    """What a run does with --tree before it builds."""
    source = from_tree(tree, cache=scratch / "cache", log=scratch / "log")
    until = Deadline.after(600, "the copy of the tree")
    with pristine_tree(source, cache=scratch / "cache", on_event=lambda _: None, until=until):
        pass


def _cpu_within(work: Callable[[], None]) -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    before = sum(map(cpu_seconds, kinds))
    work()
    return sum(map(cpu_seconds, kinds)) - before


ROWS: dict[str, Row] = {"answers": answers, "own-tree": own_tree}
