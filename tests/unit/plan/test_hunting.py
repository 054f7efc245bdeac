# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hunt runs: files, order and the next cells."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import DeviceKind, Matrix, SwapDevice, Variant, Workload
from orchestrator.model.hunts import Hunted, Tally
from orchestrator.model.reach import Extent, KernelIdentity, Ran, ReachMap, Recorded, SourceFunction, WorkloadReach
from orchestrator.plan.expansion import cell_seed
from orchestrator.plan.hunting import (
    all_workloads,
    delays_text_of,
    files_of,
    hunt_cells,
    most_reach_first,
    next_cells,
    patterns_of,
)

NAMES = ("mm/swapfile.c", "mm/swap_state.c", "mm/zswap.c", "mm/damon/core.c", "fs/swap.c")


def workload(name: str, *, widen_only: tuple[str, ...] = (), most_seconds: int = 0) -> Workload:
    return Workload(
        name=name,
        summary="s",
        program=PurePosixPath("load.c"),
        devices=(SwapDevice(kind=DeviceKind.ZRAM, size_mib=16),),
        exercised={"swapoffs": 1},
        widen_only=widen_only,
        most_seconds=most_seconds,
    )


LOADS = (workload("swapin"), workload("readahead", widen_only=("swap_vma_readahead",)), workload("shmem"))
MATRIX = Matrix(
    kernel="7.1",
    variants=(Variant.BASELINE,),
    flavours=("plain", "widened"),
    workloads=tuple(load.name for load in LOADS),
    seed=5,
)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("mm/swap*.c", ("mm/swap_state.c", "mm/swapfile.c")),
        ("mm/zswap.c, mm/swapfile.c", ("mm/swapfile.c", "mm/zswap.c")),
        ("mm/", ("mm/swap_state.c", "mm/swapfile.c", "mm/zswap.c")),
        ("mm", ("mm/swap_state.c", "mm/swapfile.c", "mm/zswap.c")),
        ("mm/*/core.c", ("mm/damon/core.c",)),
    ],
)
def test_files_are_chosen_as_a_shell_does(text: str, files: tuple[str, ...]) -> None:
    assert files_of(patterns_of(text), NAMES) == files


@pytest.mark.parametrize("text", ["/etc/passwd", "../mm/swap.c", "mm/a b.c", "$(x)", ","])
def test_what_is_no_file_of_a_tree_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--in:"):
        patterns_of(text)


def test_each_pattern_that_the_user_gives_has_to_mean_a_file() -> None:
    with pytest.raises(UserError, match=r"no C file mm/zswop\.c"):
        files_of(("mm/swap*.c", "mm/zswop.c"), NAMES)
    assert files_of(("mm/zswop.c",), NAMES, all_mean_some=False) == ()


def test_a_hunt_delays_more_rarely_unless_the_user_says_how_often() -> None:
    assert delays_text_of("") == "chance=0.2%"
    assert delays_text_of("max=5ms") == "chance=0.2%,max=5ms"
    assert delays_text_of("max=5ms,chance=2%") == "max=5ms,chance=2%"


def test_the_builds_of_a_workload_are_side_by_side_and_each_is_delayed_everywhere() -> None:
    cells = hunt_cells(MATRIX.model_copy(update={"repeat": 3}), LOADS)

    assert [cell.workload.name for cell in cells] == [name for load in LOADS for name in [load.name] * 4]
    assert [cell.build.name for cell in cells[:4]] == [
        *("baseline.plain.x86_64", "baseline.plain.arm64", "baseline.widened.x86_64", "baseline.widened.arm64")
    ]
    assert all(cell.workload.widen_only == () for cell in cells)


def test_all_workloads_take_part_the_default_matrix_s_first() -> None:
    assert all_workloads(("swapin", "large"), ("large", "slots", "mix", "swapin")) == (
        *("swapin", "large", "slots", "mix"),
    )


CELLS = hunt_cells(MATRIX, LOADS)


def tallied(*counts: tuple[Cell, int]) -> Hunted:
    return Hunted(tallies={cell.name: Tally(last=last) for cell, last in counts})


def test_each_pass_has_its_own_seeds_and_they_are_those_of_the_repeats_of_a_run() -> None:
    first = next_cells(CELLS, 5, Hunted())
    second = next_cells(CELLS, 5, tallied(*((cell, 1) for cell in CELLS)))

    assert [cell.name for cell in first] == [cell.name for cell in second] == [cell.name for cell in CELLS]
    assert {cell.seed for cell in second} == {cell_seed(5, workload=load.name, repeat=2) for load in LOADS}
    assert not {cell.seed for cell in first} & {cell.seed for cell in second}


def test_a_pass_that_was_cut_short_is_finished_first() -> None:
    done, *rest = CELLS

    found = next_cells(CELLS, 5, tallied((done, 3), *((cell, 2) for cell in rest)))

    assert [cell.name for cell in found] == [cell.name for cell in rest]
    assert {cell.repeat for cell in found} == {3}


def test_what_has_no_kernel_or_proves_nothing_is_left_out() -> None:
    dropped = Hunted(
        unbuilt={"baseline.plain.arm64": "build-failed: x"},
        tallies={CELLS[0].name: Tally(last=1, dropped="nothing proves this cell")},
    )

    names = [cell.name for cell in next_cells(CELLS, 5, dropped)]

    assert CELLS[0].name not in names
    assert not any("plain.arm64" in name for name in names)
    assert len(names) == 8
    everything = Hunted(unbuilt={cell.build.name: "x" for cell in CELLS})
    assert next_cells(CELLS, 5, everything) == ()


@given(st.integers(1, 4), st.lists(st.integers(0, 11), max_size=40))
def test_however_a_hunt_is_cut_each_round_runs_each_cell_once(rounds: int, cuts: list[int]) -> None:
    hunted, ran = Hunted(), list[tuple[str, int]]()
    left = iter(cuts)
    while cells := next_cells(CELLS, 5, hunted, rounds):
        for cell in cells[: next(left, None) or len(cells)]:
            ran.append((cell.name, cell.seed))
            hunted = Hunted(tallies={**hunted.tallies, cell.name: Tally(last=cell.repeat)})

    assert len(ran) == len(set(ran)) == rounds * len(CELLS)


def reach(**ran: tuple[str, ...]) -> ReachMap:
    functions = {SourceFunction("mm/swapfile.c", name) for names in ran.values() for name in names}
    workloads = (
        WorkloadReach(
            workload=load,
            content="c",
            seconds=20,
            outcome="passed",
            ran={SourceFunction("mm/swapfile.c", name): Ran(1, (1,)) for name in names},
        )
        for load, names in ran.items()
    )
    return ReachMap(
        kernel=KernelIdentity(source="s", version="7.1.8", arch="x86_64", build="b"),
        folders=("mm/",),
        functions={function: Extent(Recorded.YES, 1, 1) for function in functions},
        workloads=tuple(workloads),
    )


def names_of(loads: tuple[Workload, ...]) -> list[str]:
    return [load.name for load in loads]


def test_most_new_functions_of_the_files_go_first() -> None:
    loads = tuple(map(workload, ("one", "two", "three", "unmapped", "nothing")))
    known = reach(one=("a", "b"), two=("a", "b", "c"), three=("d", "e"), nothing=())

    assert names_of(most_reach_first(loads, ["mm/swapfile.c"], [known], 20)) == [
        *("two", "three", "unmapped", "one", "nothing")
    ]
    assert names_of(most_reach_first(loads, ["mm/zswap.c"], [known], 20))[0] == "unmapped"


def test_a_workload_that_takes_longer_has_to_reach_more() -> None:
    slow, quick = workload("slow", most_seconds=200), workload("quick")
    known = reach(slow=("a", "b", "c"), quick=("d",))

    assert names_of(most_reach_first((slow, quick), ["mm/swapfile.c"], [known], 20)) == ["quick", "slow"]
