# SPDX-License-Identifier: GPL-2.0-or-later
"""Seeded bugs to cells: which workloads, in which order, for how long."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.bugs import SeededBug
from orchestrator.model.configuration import Matrix, SiteWay, Workload
from orchestrator.plan.bug_cells import (
    SHORTEST,
    budget_of,
    bug_cells,
    cells_for,
    control_cell,
    functions_in,
    leading,
    promising,
    rebuild_order,
    slices,
    workloads_for,
)
from orchestrator.plan.flavours import fitted
from tests.unit.samples import cell


def workload(name: str, *files: str, **sites: tuple[str, ...]) -> Workload:
    return cell(workload=name).workload.model_copy(
        update={"files": files, "sites": {site: (SiteWay(call="f", by=names),) for site, names in sites.items()}}
    )


MATRIX = Matrix(kernel="6.19", workloads=("swapin", "willneed"), seed=1)
SWAPIN = workload("swapin", "mm/memory.c", "mm/swap_state.c", do_swap_page=("do_swap_page",))
WILLNEED = workload("willneed", "mm/swap_state.c", read_swap_cache_async=("read_swap_cache_async",))
READAHEAD = workload("readahead", "mm/swap_state.c", swap_vma_readahead=("swap_vma_readahead", "swapin_readahead"))
ALL = (SWAPIN, WILLNEED, READAHEAD)


def bug(*touched: str, name: str = "leak", diff: str = "", workloads: tuple[str, ...] = ()) -> SeededBug:
    return SeededBug(id=name, path=Path(f"{name}.patch"), diff=diff, touched=touched, workloads=workloads)


def names(workloads: tuple[Workload, ...]) -> list[str]:
    return [one.name for one in workloads]


def test_what_the_header_names_is_all_that_is_run() -> None:
    found = promising(bug("mm/memory.c", workloads=("readahead", "no-such-load", "willneed")), ALL)

    assert names(found) == ["readahead", "willneed"]


def test_a_header_that_names_nothing_of_the_matrix_says_nothing() -> None:
    assert names(promising(bug("mm/memory.c", workloads=("no-such-load",)), ALL)) == ["swapin"]


def test_the_leading_workloads_are_as_good_as_the_first() -> None:
    diff = "@@ -768,8 +768,6 @@ static struct folio *swap_vma_readahead(swp_entry_t targ_entry, gfp_t gfp_mask,\n"
    by_site, by_file = bug("mm/swap_state.c", diff=diff), bug("mm/swap_state.c")
    by_header, unknown = bug("mm/swap_state.c", workloads=("swapin", "willneed")), bug("mm/swapfile.c")

    bugs = (by_site, by_file, by_header, unknown)

    assert [leading(one, promising(one, ALL)) for one in bugs] == [1, 2, 2, 3]


def test_without_a_header_the_function_that_the_diff_is_in_decides() -> None:
    diff = "@@ -768,8 +768,6 @@ static struct folio *swap_vma_readahead(swp_entry_t targ_entry, gfp_t gfp_mask,\n \t}\n"

    assert names(promising(bug("mm/swap_state.c", diff=diff), ALL)) == ["readahead", "willneed", "swapin"]


def test_a_call_in_the_context_does_not_make_a_workload_promising() -> None:
    diff = (
        "@@ -4755,3 +4755,3 @@ vm_fault_t do_swap_page(struct vm_fault *vmf)\n \t\tfolio = swapin_readahead(entry);\n"
    )

    assert names(promising(bug("mm/memory.c", diff=diff), ALL)) == ["swapin"]


def test_a_bug_in_a_file_that_no_workload_names_gets_them_all() -> None:
    assert promising(bug("mm/swapfile.c"), ALL) == ALL


@pytest.mark.parametrize(
    ("line", "function"),
    [
        ("@@ -1,2 +1,2 @@ int f(void)", {"f"}),
        (" static inline bool tryget_swap_entry(swp_entry_t entry,", {"tryget_swap_entry"}),
        ("+struct folio *g(swp_entry_t entry)", {"g"}),
        (" \tcalled(entry);", set()),
        ("@@ -1507,8 +1511,8 @@ out:", set()),
        ("--- a/mm/memory.c", set()),
    ],
)
def test_the_functions_of_a_diff_are_those_that_it_is_in(line: str, function: set[str]) -> None:
    assert functions_in(line) == function


def test_headers_come_last_and_bugs_of_one_file_side_by_side() -> None:
    header, other, one, two = (
        bug("include/linux/swap.h", name="a"),
        bug("mm/zswap.c", name="b"),
        bug("mm/memory.c", name="d"),
        bug("mm/memory.c", name="c"),
    )

    assert rebuild_order([header, other, one, two]) == (two, one, other, header)


def test_a_bug_of_an_easy_class_gets_less_time_unless_the_user_says_how_much() -> None:
    assert [budget_of(replace(bug("f.c"), bug_class=one), None) for one in ("A", "B", "C", "")] == [30, 120, 300, 300]
    assert budget_of(replace(bug("f.c"), bug_class="A"), 77) == 77


def test_rounds_grow_until_the_time_is_used_up() -> None:
    assert list(slices(1, lead=1, budget=120, first=20)) == [(0, 20), (0, 40), (0, 60)]
    assert list(slices(2, lead=1, budget=120, first=20)) == [(0, 20), (1, 20), (0, 40), (1, 40)]


def test_a_small_budget_is_shared() -> None:
    assert list(slices(3, lead=3, budget=20, first=20)) == [(0, 6), (1, 6), (2, 6)]
    assert list(slices(1, lead=1, budget=2, first=2)) == [(0, 2)]


def test_the_leading_ones_get_theirs_before_the_others() -> None:
    assert list(slices(3, lead=1, budget=20, first=20)) == [(0, 20)]
    assert list(slices(3, lead=1, budget=40, first=20)) == [(0, 20), (1, 10), (2, 10)]


@given(count=st.integers(1, 9), lead=st.integers(1, 9), budget=st.integers(1, 2000), first=st.integers(1, 60))
def test_no_more_is_planned_than_there_is_and_no_cell_is_too_short(
    count: int, lead: int, budget: int, first: int
) -> None:
    planned = [seconds for _, seconds in slices(count, lead=min(lead, count), budget=budget, first=first)]

    assert 0 < sum(planned) <= budget
    assert sum(planned) > budget - SHORTEST
    assert min(planned) >= min(SHORTEST, budget)


def test_cells_of_one_bug_have_names_and_seeds_of_their_own() -> None:
    build = cell().build

    cells = bug_cells(build, [SWAPIN, WILLNEED], MATRIX, lead=2, budget=100, first=20)

    assert [one.name for one in cells] == [
        "patched.plain.x86_64.swapin.1",
        "patched.plain.x86_64.willneed.1",
        "patched.plain.x86_64.swapin.2",
        "patched.plain.x86_64.willneed.2",
    ][: len(cells)]
    assert len({one.seed for one in cells}) == len(cells)
    assert sum(one.seconds for one in cells) == 100


def test_cells_of_a_widened_flavour_are_widened_and_have_its_memory() -> None:
    build = replace(cell().build, flavour="widened+debug")
    matrix = MATRIX.model_copy(update={"widen": "max=7ms"})

    (one,) = bug_cells(build, [SWAPIN], matrix, lead=1, budget=20, first=20)

    assert one.widening is not None
    assert one.widening.sleep_us == 7_000
    assert one.workload == fitted(SWAPIN, "widened+debug") != SWAPIN


def test_a_workload_that_is_red_without_the_bug_is_not_tried() -> None:
    build, one = cell().build, replace(bug("mm/swap_state.c"), bug_class="A")

    both = cells_for(one, build, ALL, MATRIX, seconds=None, red=())
    rest = cells_for(one, build, ALL, MATRIX, seconds=None, red={"willneed"})

    assert "willneed" in {each.workload.name for each in both}
    assert "willneed" not in {each.workload.name for each in rest}
    assert sum(each.seconds for each in both) == sum(each.seconds for each in rest) == budget_of(one, None)
    assert cells_for(one, build, ALL, MATRIX, seconds=None, red={load.name for load in ALL}) == ()


def test_the_control_takes_no_longer_than_the_matrix_says() -> None:
    build = cell().build

    assert control_cell(build, SWAPIN, MATRIX, None).seconds == MATRIX.seconds
    assert control_cell(build, SWAPIN, MATRIX, 10_000).seconds == MATRIX.seconds
    assert control_cell(build, SWAPIN, MATRIX, 3).seconds == 3


def test_only_workloads_that_a_bug_is_tried_with_are_needed() -> None:
    bugs = (bug("mm/memory.c", workloads=("readahead",)), bug("mm/memory.c"))

    assert names(workloads_for(bugs, ALL, "plain")) == ["swapin", "readahead"]
