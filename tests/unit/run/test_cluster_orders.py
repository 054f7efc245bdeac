# SPDX-License-Identifier: GPL-2.0-or-later
"""What is sent to a worker and fetched from it, and when a cell runs again."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.errors import InfraError
from orchestrator.model.guests import Ending, Fault, Observation
from orchestrator.run.cluster_orders import (
    Loss,
    batches,
    check_names,
    demand,
    lost_observation,
    machine_failed,
    runs_again,
)

SMALL = {"guests": 1.0, "memory": 1000.0}
LARGE = {"guests": 4.0, "memory": 9000.0}


def test_a_cell_runs_again_once() -> None:
    first, second = Loss(worker="tcp://a:1", why="it was lost"), Loss(worker="tcp://b:2", why="the disk is full")

    assert runs_again([])
    assert runs_again([first])
    assert not runs_again([first, second])
    seen = lost_observation([first, second])
    assert (seen.ending, seen.fault) == (Ending.LOST, Fault.MACHINE)
    assert "tcp://a:1: it was lost; tcp://b:2: the disk is full" in seen.detail


@pytest.mark.parametrize(
    ("ending", "fault", "again"),
    [
        (Ending.LOST, Fault.MACHINE, True),
        (Ending.LOST, Fault.GUEST, False),
        (Ending.LOST, Fault.OURS, False),
        (Ending.GUEST_GONE, None, False),
        (Ending.REPORTED, None, False),
    ],
)
def test_another_machine_helps_only_where_the_machine_failed(ending: Ending, fault: Fault | None, again: bool) -> None:
    assert machine_failed(Observation(ending=ending, fault=fault)) is again


def test_a_guest_asks_for_what_it_needs_if_a_worker_has_that() -> None:
    need = {"guests": 2.0, "memory": 8000.0}

    assert demand(need, [SMALL, LARGE]) == need
    assert demand(need, []) == need


def test_a_guest_that_is_too_large_for_all_workers_has_the_largest_for_itself() -> None:
    assert demand({"guests": 8.0, "memory": 700.0}, [SMALL, LARGE]) == {"guests": 4.0, "memory": 700.0}
    assert demand({"guests": 1.0, "memory": 20000.0}, [SMALL, LARGE]) == {"guests": 1.0, "memory": 9000.0}
    # Each of two workers has something that the other lacks: the guest must fit into one of them.
    many = {"guests": 9.0, "memory": 500.0}
    asked = demand({"guests": 5.0, "memory": 2000.0}, [many, LARGE])
    assert all(asked[name] <= LARGE[name] for name in asked)


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 50), max_size=8), st.integers(1, 20))
def test_batches_have_all_bytes_of_all_files_once_and_in_order(files: dict[str, int], most: int) -> None:
    found = list(batches(files, most))

    at = Counter[str]()
    for batch in found:
        assert sum(piece.size for piece in batch) <= most
        for piece in batch:
            assert piece.offset == at[piece.name]
            at[piece.name] += piece.size
    assert {piece.name for batch in found for piece in batch} == set(files)
    assert {name: at[name] for name in files} == files


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/console.log", "evidence/../../x", "", "a\0b"])
def test_a_file_outside_of_the_cells_folder_is_refused(name: str) -> None:
    check_names(["console.log", "evidence/tasks-1.txt"])
    with pytest.raises(InfraError, match="a worker says"):
        check_names([name])
