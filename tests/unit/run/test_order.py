# SPDX-License-Identifier: GPL-2.0-or-later
"""What is begun first: what is likeliest to fail, then the longest."""

from collections.abc import Mapping

from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.outcomes import Outcome
from orchestrator.report.earlier import Earlier, LastRun
from orchestrator.run.order import edited_files, scheduled
from tests.unit.samples import cell


def order(
    cells: list[Cell],
    earlier: Earlier | None = None,
    edited: tuple[str, ...] = (),
    ranks: Mapping[str, int] | None = None,
) -> list[str]:
    jobs = scheduled(cells, earlier or Earlier(), edited, ranks or {}).jobs
    return [one.name.removeprefix("patched.plain.") for one in jobs]


def known(outcome: Outcome = Outcome.PASSED, overhead: float = 5.0) -> LastRun:
    return LastRun(outcome=outcome, overhead=overhead)


def for_file(name: str, *files: str) -> Cell:
    base = cell(workload=name)
    return Cell(
        build=base.build,
        workload=base.workload.model_copy(update={"files": files}),
        seconds=20,
        seed=1,
        repeat=1,
        repeats=1,
    )


def test_where_nothing_is_known_the_order_stays() -> None:
    cells = [cell(workload=name) for name in ("mincore", "shmem", "swapin")]

    assert order(cells) == ["x86_64.mincore", "x86_64.shmem", "x86_64.swapin"]


def test_what_failed_last_time_goes_first_then_its_other_repeats_then_what_was_edited() -> None:
    repeats = [cell(workload="swapin", repeat=number, repeats=3) for number in (1, 2, 3)]
    cells = [for_file("mincore", "mm/mincore.c"), for_file("shmem", "mm/shmem.c"), *repeats]
    earlier = Earlier(cells={repeats[1].name: known(Outcome.HUNG), cells[0].name: known()})

    assert order(cells, earlier, ("mm/shmem.c",)) == [
        *("x86_64.swapin.2", "x86_64.swapin.1", "x86_64.swapin.3", "x86_64.shmem", "x86_64.mincore")
    ]


def test_a_cell_that_was_lost_or_not_run_is_no_likelier_to_fail() -> None:
    cells = [cell(workload="mincore"), cell(workload="shmem")]
    earlier = Earlier(cells={cells[1].name: known(Outcome.LOST)})

    assert order(cells, earlier) == ["x86_64.mincore", "x86_64.shmem"]


def test_the_longest_goes_first_and_each_workload_once_before_any_twice() -> None:
    cells = [cell(workload=name, repeat=n, repeats=2) for n in (1, 2) for name in ("mincore", "shmem")]
    earlier = Earlier(cells={one.name: known(overhead=30.0) for one in cells if one.workload.name == "shmem"})

    assert order(cells, earlier) == ["x86_64.shmem.1", "x86_64.mincore.1", "x86_64.shmem.2", "x86_64.mincore.2"]


def test_kernels_are_built_as_the_matrix_says_but_for_those_that_are_likelier_to_fail() -> None:
    cells = [cell(variant=variant, arch=arch) for variant in Variant for arch in ("x86_64", "arm64")]
    earlier = Earlier(cells={cells[2].name: known(Outcome.CRASHED)})

    assert [build.name for build in scheduled(cells, earlier, ()).builds] == [
        cells[2].build.name,
        cells[0].build.name,
        cells[1].build.name,
        cells[3].build.name,
    ]


def test_edited_is_what_the_series_does_otherwise_than_before() -> None:
    before = {"mm/swapfile.c": "1", "mm/shmem.c": "2", "mm/gone.c": "3"}
    now = {"mm/swapfile.c": "1", "mm/shmem.c": "4", "mm/new.c": "5"}

    assert edited_files(now, before) == {"mm/shmem.c", "mm/gone.c", "mm/new.c"}
    assert edited_files(now, None) == frozenset()


def test_what_reaches_most_of_the_series_goes_before_what_takes_longest() -> None:
    cells = [cell(workload=name, repeat=n, repeats=2) for n in (1, 2) for name in ("mincore", "shmem", "own")]
    ranks = {"shmem": 0, "mincore": 1}
    earlier = Earlier(cells={cells[0].name: known(overhead=30.0), cells[5].name: known(Outcome.HUNG)})

    assert order(cells, earlier, ranks=ranks) == [
        *("x86_64.own.2", "x86_64.own.1", "x86_64.shmem.1", "x86_64.mincore.1", "x86_64.shmem.2", "x86_64.mincore.2")
    ]
