# SPDX-License-Identifier: GPL-2.0-or-later
"""In which order mutants and their workloads are tried."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.configuration import Matrix
from orchestrator.model.mutants import MOST_NUMBER, Edit, Guard, Mutant
from orchestrator.plan.mutant_cells import (
    cells_of_mutant,
    control_cells,
    most_promising,
    no_mutant,
    reaching,
    trial_order,
)
from tests.unit.samples import cell

LOADS = tuple(cell(workload=name).workload for name in ("mincore", "shmem", "swapin"))
MATRIX = Matrix(kernel="6.19", workloads=("mincore", "shmem", "swapin"), seconds=20)
BUILD = cell().build


def mutant(number: int, *, function: str = "f", own: bool = False) -> Mutant:
    edit = Edit(start=0, end=1, text="", guard=Guard.OWN_BUILD if own else Guard.STATEMENT)
    return Mutant(
        number=number, operator="never", file="mm/a.c", function=function, line=1, before="", after="", edits=(edit,)
    )


def test_the_workload_that_passes_a_place_most_often_comes_first_and_the_others_not_at_all() -> None:
    passed = {"mincore": {1: 5}, "shmem": {1: 80, 2: 1}, "swapin": {2: 3}}

    assert reaching(mutant(1), (), passed) == ("shmem", "mincore")
    assert reaching(mutant(2), (), passed) == ("swapin", "shmem")
    assert reaching(mutant(3), (), passed) == ()


def test_those_that_are_meant_for_its_file_come_first_and_red_ones_last() -> None:
    loads = [
        load.model_copy(update={"files": ("mm/a.c",) if load.name != "mincore" else ("mm/b.c",)}) for load in LOADS
    ]

    assert most_promising(mutant(1), ("mincore", "swapin", "shmem"), loads, ()) == ("swapin", "shmem", "mincore")
    assert most_promising(mutant(1), ("swapin", "mincore", "shmem"), loads, {"swapin": "crashed"}) == (
        "shmem", "mincore", "swapin",
    )  # fmt: skip


def test_without_a_counter_of_its_own_a_mutant_has_those_of_its_function() -> None:
    passed = {"mincore": {1: 5}, "shmem": {2: 7}}
    others = (mutant(1), mutant(2, function="g"), mutant(9, function="h", own=True))

    assert reaching(mutant(3, own=True), others, passed) == ("mincore",)
    assert reaching(mutant(9, function="h", own=True), others, passed) == ("mincore", "shmem")


def test_the_control_has_a_number_of_its_own_and_mutants_the_same_load() -> None:
    numbered = (mutant(1), mutant(7))

    controls = control_cells(BUILD, LOADS, MATRIX, numbered, None)
    cells = cells_of_mutant(mutant(7), controls, ("swapin", "mincore"))

    assert [one.mutant for one in controls] == [8, 8, 8]
    assert [one.name for one in cells] == [
        "patched.plain.x86_64.swapin.m7", "patched.plain.x86_64.mincore.m7",
    ]  # fmt: skip
    assert {one.seconds for one in (*controls, *cells)} == {5}
    assert cells[1] == replace(controls[0], mutant=7)
    assert cells_of_mutant(mutant(7, own=True), controls, ("shmem",))[0].mutant is None
    assert {one.seconds for one in control_cells(BUILD, LOADS, MATRIX, numbered, 60)} == {60}
    assert no_mutant((mutant(MOST_NUMBER),)) == MOST_NUMBER


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 99))
def test_a_sample_is_shuffled_and_kernels_of_their_own_come_last(own: list[bool], seed: int) -> None:
    given_order = [mutant(number, own=one) for number, one in enumerate(own, 1)]

    plain = trial_order(given_order, seed, sampled=False)
    shuffled = trial_order(given_order, seed, sampled=True)

    assert sorted(shuffled, key=lambda one: one.number) == given_order
    assert [one.number for one in plain] == sorted((one.number for one in plain), key=lambda n: (own[n - 1], n))
    assert [one.guard is Guard.OWN_BUILD for one in shuffled] == sorted(own)
    assert shuffled == trial_order(given_order, seed, sampled=True)
