# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest is told to probe."""

from orchestrator.guest.probe_lists import MOST_CHANGED, probed, probes_text
from orchestrator.model.configuration import Failure, Workload
from orchestrator.model.probes import Caller, Located, LocatedFunction, LocatedSite
from tests.unit.samples import cell


def workload(*files: str) -> Workload:
    return cell().workload.model_copy(update={"files": files})


def function(label: str, *entries: str, file: str = "mm/other.c", sources: tuple[str, ...] = ()) -> LocatedFunction:
    return LocatedFunction(label=label, file=file, first=1, last=9, sources=sources or (file,), entries=entries)


SITES = (
    LocatedSite(
        name="fault",
        way="call",
        returns=("get_swap_device",),
        failure=Failure.NULL_POINTER,
        callers=(Caller(symbol="do_swap_page"), Caller(symbol="move_pages", first=16, end=255)),
        entries=("foo+0x3",),
    ),
    LocatedSite(name="gone", why="no f()"),
    LocatedSite(name="any", way="f()", returns=("f",)),
)


def test_the_list_has_the_sites_that_there_are_and_the_changed_functions_by_number() -> None:
    found = Located(sites={"mincore": SITES}, changed=(function("a"), function("b", "b", "c+0x8")))

    assert probes_text(workload(), found) == (
        "site fault\nreturn get_swap_device returns-null\nfrom do_swap_page\nfrom move_pages 10 ff\nentry foo+0x3\n"
        "site any\nreturn f -\n"
        "changed 1\nentry b\nentry c+0x8\n"
    )
    assert "changed" not in probes_text(workload(), found, changed=False)
    assert probes_text(workload(), Located(sites={})) == ""


def test_what_the_workload_is_meant_to_reach_comes_first_and_an_inline_function_by_its_copies() -> None:
    found = Located(
        sites={},
        changed=(
            function("far", "far"),
            function("inline", "own+0x8", file="include/linux/swap.h", sources=("mm/x.c", "mm/own.c")),
            function("own", "own", file="mm/own.c"),
        ),
    )

    assert probed(workload("mm/own.c"), found) == (1, 2, 0)


def test_there_are_no_more_than_the_guest_has_room_for() -> None:
    many = tuple(function(f"f{at}", f"f{at}") for at in range(MOST_CHANGED + 9))
    large = tuple(function(f"f{at}", *(f"g+{place:#x}" for place in range(16))) for at in range(40))

    assert len(probed(workload(), Located(sites={}, changed=many))) == MOST_CHANGED
    assert len(probed(workload(), Located(sites={"mincore": SITES}, changed=large))) == 19


def test_together_the_workloads_of_a_run_look_at_more_than_one_of_them_can() -> None:
    many = tuple(function(f"f{at}", f"f{at}") for at in range(2 * MOST_CHANGED))
    found = Located(sites={"mincore": (), "shmem": (), "swapin": ()}, changed=many)
    names = ("mincore", "shmem", "swapin")

    chosen = [probed(cell(workload=name).workload, found) for name in names]

    assert set(chosen[0]) | set(chosen[1]) == set(range(2 * MOST_CHANGED))
    assert chosen[2] == chosen[0]


def test_more_parts_than_there_is_room_for_become_one_for_each_function() -> None:
    parts = tuple(Caller(symbol="f", first=at, end=at + 1) for at in range(1, 60))
    site = LocatedSite(name="s", way="w", returns=("g",), callers=(*parts, Caller(symbol="h")))

    text = probes_text(workload(), Located(sites={"mincore": (site,)}))

    assert [line for line in text.splitlines() if line.startswith("from")] == ["from f 1 3c", "from h"]
