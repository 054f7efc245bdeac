# SPDX-License-Identifier: GPL-2.0-or-later
"""Which shard has a cell: each cell in one, and always in the same."""

import pytest

from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.shards import Shard
from orchestrator.plan.division import cells_of, shard_of
from tests.unit.samples import cell

CELLS = tuple(
    cell(workload=f"w{number}", arch=arch, variant=variant, repeat=repeat, repeats=2)
    for number in range(25)
    for arch in ("x86_64", "arm64")
    for variant in Variant
    for repeat in (1, 2)
)


def names(cells: tuple[Cell, ...]) -> list[str]:
    return [cell.name for cell in cells]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_each_cell_is_in_one_shard(count: int) -> None:
    shards = [cells_of(CELLS, Shard(number, count)) for number in range(1, count + 1)]

    assert sorted(name for shard in shards for name in names(shard)) == sorted(names(CELLS))
    assert all(shards)
    for shard in shards:
        assert list(shard) == [cell for cell in CELLS if cell in shard], "in the order of the matrix"


def test_without_a_shard_all_cells_are_run() -> None:
    assert cells_of(CELLS, None) == CELLS


def test_cells_that_are_added_move_no_other() -> None:
    for number in (1, 2, 3):
        shard = Shard(number, 3)
        assert names(cells_of(CELLS[::2], shard)) == [
            name for name in names(cells_of(CELLS, shard)) if name in names(CELLS[::2])
        ]


def test_a_second_repeat_leaves_the_first_where_it_was() -> None:
    once = [cell(workload=f"w{number}") for number in range(20)]
    twice = [cell(workload=f"w{number}", repeat=1, repeats=2) for number in range(20)]

    for number in (1, 2, 3):
        found = [[one.workload.name for one in cells_of(cells, Shard(number, 3))] for cells in (once, twice)]
        assert found[0] == found[1]


def test_a_shard_is_a_number_of_so_many() -> None:
    assert shard_of("2/5") == Shard(2, 5)
    assert shard_of(" 1/1 ").text == "1/1"


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "-1/2", "1/2/3", "1 / 2", "01/2", ""])
def test_anything_else_is_a_mistake(text: str) -> None:
    with pytest.raises(UserError, match=r"must be I/N, with I from 1 to N"):
        shard_of(text)
