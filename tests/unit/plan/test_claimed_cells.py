# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of a claimed race, the workloads for it, and its cells."""

import pytest

from orchestrator.host.errors import UserError
from orchestrator.model.blocks import DelaySettings
from orchestrator.model.claims import ClaimedPlace, Place
from orchestrator.model.configuration import Matrix, Variant
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reach import Extent, KernelIdentity, Ran, ReachMap, Recorded, SourceFunction, WorkloadReach
from orchestrator.plan.claimed_cells import claim_cells, parse_claim, without_delays, workloads_for
from tests.unit.samples import cell

FAULT, SWAPOFF = SourceFunction("mm/memory.c", "do_swap_page"), SourceFunction("mm/swapfile.c", "sys_swapoff")
PLACES = (
    ClaimedPlace(place=Place(function="do_swap_page"), name="do_swap_page", file=FAULT.file, first=10, last=90),
    ClaimedPlace(place=Place(function="swapoff"), name="sys_swapoff", file=SWAPOFF.file, first=5, last=50),
)
LOADS = tuple(
    cell(workload=name).workload.model_copy(update={"files": files})
    for name, files in (("mincore", ("mm/mincore.c",)), ("shmem", ("mm/shmem.c", "mm/memory.c")), ("swapin", ()))
)


def reach_map(**ran: tuple[SourceFunction, ...]) -> ReachMap:
    kernel = KernelIdentity(source="60f1", version="6.19.6", arch="x86_64", build="00")
    return ReachMap(
        kernel=kernel,
        folders=("mm/",),
        functions=dict.fromkeys((FAULT, SWAPOFF), Extent(Recorded.YES, 9, 9)),
        workloads=tuple(
            WorkloadReach(
                workload=name, content="c", seconds=9, outcome=str(Outcome.PASSED), ran=dict.fromkeys(own, Ran(1, ()))
            )
            for name, own in ran.items()
        ),
    )


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("f | g", (Place(function="f"), Place(function="g"))),
        (" A:f() |B:g:12", (Place(function="f"), Place(function="g", line=12))),
        ("mm/a.c:f:7|mm/b-c.c:g", (Place(function="f", file="mm/a.c", line=7), Place(function="g", file="mm/b-c.c"))),
        ("A:mm/a.c:f | B:f", (Place(function="f", file="mm/a.c"), Place(function="f"))),
    ],
)
def test_a_claim_is_two_places(text: str, places: tuple[Place, Place]) -> None:
    assert parse_claim(text) == places


@pytest.mark.parametrize(
    "text", ["", "f", "f | g | h", "f |", "f:x | g", "../a.c:f | g", "/a.c:f | g", "f:1:2 | g", "C:f | g"]
)
def test_what_is_no_claim_is_refused(text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_claim(text)

    assert refused.value.hint.startswith("patchrig settle")


def test_a_place_is_shown_as_it_is_written() -> None:
    assert [place.text for place in parse_claim("mm/a.c:f:7 | B:g")] == ["mm/a.c:f:7", "g"]


def test_workloads_that_run_both_functions_by_the_map_are_chosen() -> None:
    chosen, how = workloads_for(PLACES, LOADS, [reach_map(mincore=(FAULT,), shmem=(SWAPOFF,), swapin=(FAULT, SWAPOFF))])

    assert [load.name for load in chosen] == ["swapin"]
    assert how == "they run 2 of 2 functions by the reach map of 6.19.6 x86_64"


def test_without_a_map_those_that_are_meant_for_the_files_are() -> None:
    chosen, how = workloads_for(PLACES, LOADS, ())

    assert [load.name for load in chosen] == ["shmem"]
    assert "by the files" in how


def test_the_workloads_take_turns_and_each_cell_has_a_seed_of_its_own() -> None:
    matrix = Matrix(kernel="6.19", workloads=("mincore", "shmem"), variants=(Variant.BASELINE,), arches=("x86_64",))

    cells = claim_cells(matrix, LOADS[:2], 5)

    assert [one.workload.name for one in cells] == ["mincore", "shmem", "mincore", "shmem", "mincore"]
    assert len({one.seed for one in cells}) == len({one.name for one in cells}) == 5


def test_the_same_cell_without_delays_keeps_its_seed() -> None:
    settings = DelaySettings(chance_ppm=20_000, sleep_us=30_000, spin_us=1_000, hold_us=500_000)
    (delayed,) = claim_cells(
        Matrix(kernel="6.19", workloads=("mincore",), flavours=("widened",), arches=("x86_64",)), LOADS[:1], 1
    )

    alone = without_delays(delayed, 21)

    assert delayed.widening == settings
    assert (alone.seed, alone.repeat) == (delayed.seed, 21)
    assert alone.widening
    assert (alone.widening.chance_ppm, alone.widening.hold_us) == (0, 0)
