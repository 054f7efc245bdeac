# SPDX-License-Identifier: GPL-2.0-or-later
"""A matrix to cells: order, seeds, and what the command line changes."""

import json
from itertools import pairwise
from pathlib import Path, PurePosixPath

import pytest

from orchestrator.host.errors import UserError
from orchestrator.model.configuration import DeviceKind, Matrix, SwapDevice, Variant, Workload
from orchestrator.plan.expansion import (
    Selection,
    as_json,
    builds_of,
    cell_seed,
    describe,
    expand,
    left_out,
    on_cores,
    refuse_left_out,
    selected,
)


def workload(name: str) -> Workload:
    device = SwapDevice(kind=DeviceKind.ZRAM, size_mib=64)
    return Workload(
        name=name, summary=f"{name} in a loop", program=PurePosixPath("x.c"), devices=(device,), exercised={"calls": 1}
    )


WORKLOADS = (workload("swapin"), workload("mincore"))
MATRIX = Matrix(
    kernel="6.19",
    variants=(Variant.BASELINE, Variant.PATCHED),
    flavours=("plain", "debug"),
    workloads=("swapin", "mincore"),
    repeat=2,
)


def test_cells_of_one_build_are_side_by_side() -> None:
    builds = [cell.build for cell in expand(MATRIX, WORKLOADS)]

    changes = sum(before != after for before, after in pairwise(builds))

    assert changes == len(set(builds)) - 1 == 2 * 2 * 2 - 1


def test_each_workload_runs_once_before_any_runs_twice() -> None:
    names = [cell.name for cell in expand(MATRIX, WORKLOADS)]

    assert names[:4] == [
        "baseline.plain.x86_64.swapin.1",
        "baseline.plain.x86_64.mincore.1",
        "baseline.plain.x86_64.swapin.2",
        "baseline.plain.x86_64.mincore.2",
    ]
    assert len(set(names)) == len(names) == 2 * 2 * 2 * 2 * 2


def test_builds_race_the_same_random_sequence() -> None:
    cells = expand(MATRIX, WORKLOADS)

    assert len({cell.seed for cell in cells if cell.workload.name == "swapin" and cell.repeat == 1}) == 1
    assert len({cell.seed for cell in cells}) == 4


def test_a_cell_alone_has_the_seed_that_it_has_among_others() -> None:
    alone = expand(MATRIX, WORKLOADS, Selection(workloads=("mincore",), arches=("arm64",), repeat=1))[0]

    assert alone.seed == expand(MATRIX, WORKLOADS)[1].seed


def test_seeds_stay_what_they_were_in_older_runs() -> None:
    assert cell_seed(1, workload="swapin", repeat=1) == 5_259_029_509_249_854_591


def test_a_seed_fits_in_what_the_model_allows() -> None:
    assert all(0 <= cell_seed(seed, workload="x", repeat=1) < 2**63 for seed in range(200))


def test_the_selection_replaces_what_the_matrix_says() -> None:
    selection = Selection(
        arches=("arm64", "arm64"), flavours=("plain",), variants=(Variant.PATCHED,), seconds=5, seed=0, repeat=1
    )

    cells = expand(MATRIX, WORKLOADS, selection)

    assert [cell.name for cell in cells] == ["patched.plain.arm64.swapin", "patched.plain.arm64.mincore"]
    assert {cell.seconds for cell in cells} == {5}
    assert cells[0].seed == cell_seed(0, workload="swapin", repeat=1)


def test_an_empty_selection_changes_nothing() -> None:
    assert selected(MATRIX, Selection()) == MATRIX


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (
            Selection(arches=("x86-64",)),
            "--arch: unknown arch 'x86-64', did you mean 'x86_64'?; allowed: arm64, x86_64",
        ),
        (Selection(workloads=("swapim",)), "--workload: unknown workload 'swapim', did you mean 'swapin'?"),
        (Selection(seconds=0), "--seconds: must be greater than 0 (got 0)"),
        (Selection(repeat=-1), "--repeat: must be greater than 0 (got -1)"),
        (Selection(seed=2**63), "--seed: must be less than"),
    ],
)
def test_what_a_matrix_could_not_say_the_command_line_can_t_either(selection: Selection, message: str) -> None:
    with pytest.raises(UserError) as refused:
        expand(MATRIX, WORKLOADS, selection)

    assert str(refused.value).startswith(message)


def test_two_workloads_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="two workloads are called 'swapin'"):
        expand(MATRIX, (*WORKLOADS, workload("swapin")))


def test_each_build_is_listed_once_in_the_order_of_its_cells() -> None:
    assert [build.name for build in builds_of(expand(MATRIX, WORKLOADS))][:3] == [
        "baseline.plain.x86_64",
        "baseline.plain.arm64",
        "baseline.debug.x86_64",
    ]


def test_a_description_says_where_swap_is_and_with_which_seed() -> None:
    cell = expand(MATRIX, WORKLOADS)[0]

    assert describe(cell) == (
        f"baseline.plain.x86_64.swapin.1  20 s, seed {cell.seed}, swap on zram 64 MiB: swapin in a loop"
    )


def test_a_cell_can_be_written_as_json() -> None:
    cell = json.loads(json.dumps(as_json(expand(MATRIX, WORKLOADS)[0])))

    assert (cell["name"], cell["workload"]["devices"][0]["kind"]) == ("baseline.plain.x86_64.swapin.1", "zram")


PAGES = MATRIX.model_copy(update={"flavours": ("plain", "64k"), "repeat": 1, "variants": (Variant.BASELINE,)})
NO_64K = workload("swapin").model_copy(update={"not_with": {"64k": "it counts bytes"}})


def test_cells_that_there_can_not_be_are_left_out_and_named() -> None:
    loads = (NO_64K, workload("mincore"))

    assert [cell.name for cell in expand(PAGES, loads)] == [
        "baseline.plain.x86_64.swapin",
        "baseline.plain.x86_64.mincore",
        "baseline.plain.arm64.swapin",
        "baseline.plain.arm64.mincore",
        "baseline.64k.arm64.mincore",
    ]
    assert left_out(PAGES, loads) == ("64k on x86_64 (64k: arm64 only)", "swapin: not with 64k: it counts bytes")
    assert left_out(MATRIX, WORKLOADS) == ()


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection(arches=("x86_64",), flavours=("64k",)), "m.yaml: no cell is left: 64k on x86_64 .64k: arm64 only."),
        (Selection(arches=("x86_64",), flavours=("plain", "64k")), "--flavour 64k: no cell is left: 64k on x86_64"),
        (Selection(arches=("x86_64", "arm64"), flavours=("64k",)), "--arch x86_64: no cell is left"),
        (Selection(workloads=("swapin",), flavours=("64k",)), "swapin: not with 64k: it counts bytes"),
    ],
)
def test_what_is_asked_for_by_name_and_left_out_is_a_mistake(selection: Selection, says: str) -> None:
    matrix, names = selected(PAGES, selection), selection.workloads or ("swapin", "mincore")
    loads = tuple(load for load in (NO_64K, workload("mincore")) if load.name in names)

    with pytest.raises(UserError, match=says):
        refuse_left_out(Path("m.yaml"), selection, expand(matrix, loads), left_out(matrix, loads))


@pytest.mark.parametrize("selection", [Selection(), Selection(arches=("x86_64",)), Selection(flavours=("64k",))])
def test_what_is_left_runs(selection: Selection) -> None:
    matrix, loads = selected(PAGES, selection), (NO_64K, workload("mincore"))

    refuse_left_out(Path("m.yaml"), selection, expand(matrix, loads), left_out(matrix, loads))


def test_a_workload_with_a_flavour_of_its_own_runs_on_the_flavour_that_is_asked_for() -> None:
    selection = Selection(flavours=("plain",))
    matrix, loads = selected(PAGES, selection), (workload("numa-policy").model_copy(update={"flavour": "numa"}),)

    refuse_left_out(Path("m.yaml"), selection, expand(matrix, loads), left_out(matrix, loads))


@pytest.mark.parametrize(("asked", "cores", "given"), [(4, 2, 2), (4, 16, 4), (4, 1, 2), (1, 8, 1), (8, 4, 4)])
def test_a_guest_has_no_more_cpus_than_its_host_has_cores(asked: int, cores: int, given: int) -> None:
    (load,) = on_cores([workload("swapin").model_copy(update={"cpus": asked})], cores)

    assert load.cpus == given


def test_options_of_the_command_line_join_those_of_the_matrix() -> None:
    matrix = Matrix(kernel="6.19", workloads=("mincore",), config=("CONFIG_CMA=y", "CONFIG_NUMA=y"))

    assert selected(matrix, Selection(config=("CMA=n",))).config == ("CONFIG_CMA=n", "CONFIG_NUMA=y")
    with pytest.raises(UserError, match="no modules"):
        selected(matrix, Selection(config=("CONFIG_CMA=m",)))
