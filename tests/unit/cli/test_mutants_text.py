# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig mutate --list` says of the changes that it leaves out."""

from orchestrator.cli.mutants_text import described
from orchestrator.model.mutants import Mutants, NotMutated


def left_out(*places: tuple[str, int]) -> list[str]:
    changes = tuple(NotMutated(file=file, line=line, why="it is not whole statements") for file, line in places)
    found = Mutants(mutants=(), in_kernel=(), left_out=changes, statements=0, texts={})
    return [line for line in described(found, {}) if line.startswith("left out")]


def test_a_few_changes_are_named_with_their_lines() -> None:
    assert left_out(("mm/zswap.c", 7), ("mm/shmem.c", 3)) == [
        "left out: it is not whole statements: mm/zswap.c:7, mm/shmem.c:3"
    ]


def test_of_many_changes_the_files_are_named_and_how_many_each_has() -> None:
    places = [("mm/zswap.c", line) for line in range(40)] + [("mm/shmem.c", 3)]

    assert left_out(*places) == [
        "left out: it is not whole statements: 41 changes, each with --json: mm/zswap.c (40), mm/shmem.c (1)"
    ]
