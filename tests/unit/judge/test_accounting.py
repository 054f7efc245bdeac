# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures before and after a load -> what did not come back: exact where the kernel is, and silent about the rest."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.accounting import EXACT, UNMAPPED, Back, Figure, drifts
from orchestrator.judge.verdict import judge
from orchestrator.model.cells import Cell
from orchestrator.model.guests import Accounting, UnexpectedError
from orchestrator.model.outcomes import Outcome
from tests.unit.samples import cell, guest_run, result

# As a guest with 4 swap devices said them.
FIGURES = {
    **{figure.name: 0 for figure in EXACT},
    **{"page_kib": 4, "meminfo.MemTotal": 495_772, "meminfo.VmallocUsed": 92, "meminfo.Percpu": 752},
    **{"vmstat.nr_anon_pages": 203, "vmstat.nr_file_pages": 2361, "vmstat.nr_shmem": 2361, "vmstat.nr_zspages": 3},
    **{"vmstat.nr_slab_reclaimable": 193, "vmstat.nr_slab_unreclaimable": 1230, "vmstat.nr_page_table_pages": 128},
    **{"zoneinfo.free": 119_011, "devices.null_blk_kib": 8192, "devices.zram_kib": 12},
    **{"files.mounts": 10, "files.tmpfs_kib": 9444},
    **{"large.nr_anon": 2, "large.nr_anon_partially_mapped": 1},
}


def grown(changes: Mapping[str, int]) -> Accounting:
    after = FIGURES | {name: FIGURES.get(name, 0) + growth for name, growth in changes.items()}
    return Accounting(before=FIGURES, after=after)


def texts(accounting: Accounting | None, of: Cell | None = None) -> list[str]:
    return [drift.text for drift in drifts(of or cell(), accounting)]


def flavoured(flavour: str) -> Cell:
    return replace(cell(), build=replace(cell().build, flavour=flavour))


def test_what_came_back_is_no_drift() -> None:
    assert texts(grown({})) == []
    assert texts(None) == []


def test_the_noise_of_a_healthy_guest_is_none() -> None:
    # swapin on 6.19.6: what null_blk keeps, slab, and a few pages of other tasks.
    noise = {"zoneinfo.free": -1741, "vmstat.nr_slab_unreclaimable": 133, "vmstat.nr_slab_reclaimable": 26}

    assert texts(grown(noise | {"vmstat.nr_anon_pages": 14, "cgroup.mapped_pages": 0})) == []


@pytest.mark.parametrize("figure", EXACT, ids=lambda figure: figure.name)
def test_one_more_of_what_the_kernel_counts_exactly_is_a_drift(figure: Figure) -> None:
    (drift,) = drifts(cell(), grown({figure.name: 1}))

    assert "1" in drift.text
    assert drift.promise


@pytest.mark.parametrize("name", ["large.nr_anon", "large.nr_anon_partially_mapped"])
def test_large_folios_that_are_counted_and_are_not_there_are_a_drift_either_way(name: str) -> None:
    assert texts(grown({name: 8})) == texts(grown({name: -8})) == []
    (more,) = texts(grown({name: 9}))
    assert more.startswith(name.removeprefix("large."))
    assert len(texts(grown({name: -9}))) == 1


@given(st.sampled_from(EXACT), st.integers(-(1 << 40), -1))
def test_less_is_a_drift_only_of_what_nobody_else_has_a_part_in(figure: Figure, growth: int) -> None:
    before = FIGURES | {figure.name: -growth}

    assert bool(texts(Accounting(before=before, after=FIGURES))) == (figure.back is Back.SAME)


@given(st.sampled_from(EXACT), st.integers(-(1 << 40), -1))
def test_less_than_none_is_a_drift(figure: Figure, value: int) -> None:
    (drift,) = drifts(cell(), grown({figure.name: value}))

    assert str(value) in drift.text


def test_a_count_that_was_below_zero_before_the_load_is_none_of_its() -> None:
    name = "zswap.stored_pages"
    before = FIGURES | {name: -24}

    assert texts(Accounting(before=before, after=before)) == []
    assert texts(Accounting(before=before, after=FIGURES | {name: -25})) == [
        "stored_pages of zswap: -24 pages before the load, -25 after it"
    ]


@pytest.mark.parametrize("name", ["zswap.stored_pages", "zswap.pool_total_size"])
def test_a_count_whose_file_comes_with_the_first_use_was_zero_before(name: str) -> None:
    without = {key: value for key, value in FIGURES.items() if key != name}

    assert texts(Accounting(before=without, after=FIGURES)) == []
    assert len(texts(Accounting(before=without, after=FIGURES | {name: 3}))) == 1
    assert len(texts(Accounting(before=without, after=FIGURES | {name: -3}))) == 1


def test_a_gap_is_a_drift_although_it_was_there_before() -> None:
    gap = Accounting(before=FIGURES | {"swap_gap": 4}, after=FIGURES | {"swap_gap": 4})

    assert texts(gap) == ["with a device on, SwapTotal less SwapFree less what is used by /proc/swaps: 4 kB"]


def test_a_figure_that_the_guest_could_not_give_once_is_no_drift() -> None:
    for figure in (one for one in EXACT if not one.comes_with_use):
        without = {name: value for name, value in FIGURES.items() if name != figure.name}
        with_one = FIGURES | ({figure.name: 9} if figure.back is not Back.ZERO else {})
        assert texts(Accounting(before=without, after=with_one)) == []
        assert texts(Accounting(before=FIGURES | {figure.name: 9}, after=without)) == []
    assert texts(Accounting(before={}, after={})) == []
    assert texts(Accounting(before={}, after=FIGURES)) == []


def test_the_pages_that_were_left_are_shown() -> None:
    (drift,) = drifts(cell(), replace(grown({UNMAPPED: 2}), left_pages=("pfn 1954: lru anon",)))

    assert drift.text == "the number of the load's pages that nobody maps: 0 pages before the load, 2 after it"
    assert drift.details == ("a page that was left: pfn 1954: lru anon",)


def test_pages_of_files_that_were_left_are_no_leak() -> None:
    left = {UNMAPPED: 16, "cgroup.stat.shmem": 65_536, "vmstat.nr_shmem": 16, "vmstat.nr_file_pages": 16}
    left |= {"cgroup.stat.shmem_thp": 65_536}

    assert texts(grown(left | {"files.tmpfs_kib": 64})) == []
    assert texts(grown(left | {"files.mounts": 1})) == []
    assert len(texts(grown(left))) == 3
    assert len(texts(grown(left | {"files.tmpfs_kib": 60}))) == 3
    # Files explain no anonymous page, no swap and no counter below zero.
    assert texts(grown({"cgroup.stat.anon": 4096, "files.mounts": 1})) != []


def test_a_page_has_the_size_that_the_guest_says() -> None:
    left = {UNMAPPED: 1, "files.tmpfs_kib": 64, "page_kib": 60}

    assert texts(grown(left)) == []
    assert texts(grown({"vmstat.nr_anon_pages": 100})) == []
    assert texts(grown({"vmstat.nr_anon_pages": 100, "page_kib": 60})) != []


def test_a_total_below_zero_is_a_drift_unless_it_was_before() -> None:
    negative = {"negative.nr_swapcached": -5}

    assert texts(Accounting(before=FIGURES, after=FIGURES | negative)) == ["nr_swapcached of /proc/vmstat: -5 pages"]
    assert texts(Accounting(before=FIGURES | negative, after=FIGURES | negative)) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"vmstat.nr_anon_pages": 1100, "zoneinfo.free": -1100}, "anonymous memory"),
        ({"vmstat.nr_shmem": 300, "vmstat.nr_file_pages": 300, "zoneinfo.free": -300}, "shared memory"),
        ({"vmstat.nr_slab_unreclaimable": 2100, "zoneinfo.free": -2100}, "slab memory"),
        ({"zoneinfo.free": -4200}, "memory that is neither free nor used"),
    ],
)
def test_a_lot_of_what_others_use_as_well_is_a_drift(changes: dict[str, int], what: str) -> None:
    (text,) = texts(grown(changes))

    assert text.startswith(what)
    assert texts(grown({name: growth // 3 for name, growth in changes.items()})) == []


def test_what_swap_devices_keep_is_not_lost() -> None:
    fallen = grown({"zoneinfo.free": -4000})

    assert texts(fallen) == []
    assert texts(replace(fallen, after={**fallen.after, "devices.null_blk_kib": 0})) != []


def test_kasan_holds_freed_objects_back() -> None:
    slab = grown({"vmstat.nr_slab_unreclaimable": 5000, "zoneinfo.free": -5000})

    assert texts(slab, flavoured("plain")) != []
    assert texts(slab, flavoured("kasan+widened")) == []


def test_a_drift_fails_a_cell_that_else_would_pass() -> None:
    verdict = judge(cell(), guest_run(result=result(accounting=grown({"meminfo.SwapFree": -4}))), (), ())[0]

    assert (verdict.outcome, verdict.title) == (Outcome.FAILED, "SwapFree: 0 kB before the load, -4 after it")
    assert verdict.reasons == ("promised: proc_meminfo(5): the swap space of the devices that are on; none is",)


def test_a_drift_is_no_question_of_how_much_was_exercised() -> None:
    run = guest_run(result=result(counters={}, accounting=grown({UNMAPPED: 1})))

    assert judge(cell(), run, (), ())[0].outcome is Outcome.FAILED


def test_an_errno_says_more_than_the_drift_that_it_leaves() -> None:
    error = UnexpectedError(call="swapoff", errno="ENOMEM", count=1)
    run = guest_run(result=result(errors=(error,), accounting=grown({"meminfo.SwapTotal": 8188})))

    assert judge(cell(), run, (), ())[0].title == "swapoff failed with ENOMEM"
