# SPDX-License-Identifier: GPL-2.0-or-later
"""Bugs of unmodified kernels: which cells are told of, and that they stay red."""

import pytest

from orchestrator.host.paths import PROJECT
from orchestrator.judge.upstream_bugs import UPSTREAM_BUGS, UpstreamBug, annotated, without_their_bugs
from orchestrator.judge.watch import find_crashes
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.plan.checks import known_workloads

CRASHED = Verdict(outcome=Outcome.CRASHED, title="WARNING in unuse_pte_range", reasons=("console line 7",))


def note_of(verdict: Verdict = CRASHED, *, release: str = "7.1.8", workload: str = "large") -> str:
    noted = annotated(verdict, release=release, workload=workload)
    assert (noted.outcome, noted.title) == (verdict.outcome, verdict.title)
    return noted.reasons[0] if noted.reasons != verdict.reasons else ""


def test_a_known_bug_comes_first_among_the_reasons_and_the_cell_stays_red() -> None:
    noted = annotated(CRASHED, release="7.1.8-patchrig", workload="large")

    assert noted.outcome is Outcome.CRASHED
    assert noted.reasons[0].startswith("known in unmodified 7.1.8: swapoff maps a page")
    assert "see docs/found/" in noted.reasons[0]
    assert noted.reasons[1:] == CRASHED.reasons


@pytest.mark.parametrize("release", ["7.1", "7.1.0-rc3", "7.1.8", "7.1.8-00012-gabc", "7.1.20", "7.2.1"])
def test_releases_with_the_code_at_fault_are_told_of(release: str) -> None:
    assert note_of(release=release)


@pytest.mark.parametrize("release", ["7.0.9", "6.19.6", "6.12.107", "", "next", "5.7.1"])
def test_releases_without_it_are_not(release: str) -> None:
    assert not note_of(release=release)


def test_another_title_and_another_workload_are_not_known() -> None:
    assert not note_of(Verdict(outcome=Outcome.CRASHED, title="KASAN: use-after-free Read in unuse_pte_range"))
    assert not note_of(Verdict(outcome=Outcome.CRASHED, title="BUG: Bad page state"))
    assert not note_of(workload="mincore")


def test_the_title_is_that_of_the_judge() -> None:
    huh = "[    9.000000][  T402] Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF"
    (splat,) = find_crashes([huh])

    assert note_of(Verdict(outcome=Outcome.CRASHED, title=splat.title))


def test_a_green_cell_has_no_known_bug() -> None:
    assert not note_of(Verdict(outcome=Outcome.PASSED, title=CRASHED.title))


def test_stale_data_of_zswap_is_known_of_the_workload_that_looks_for_it_only() -> None:
    stale = Verdict(outcome=Outcome.CORRUPTED, title="2 pages have the wrong data (stale)")

    assert note_of(stale, release="6.19.6", workload="zswap-zero")
    assert not note_of(stale, release="6.19.6", workload="zswap-writeback")


@pytest.mark.parametrize(
    ("release", "known"),
    [
        ("6.1.176", True),
        ("6.12.100", True),
        ("6.12.107", False),
        ("6.12.110", False),
        ("6.19.6", True),
        ("7.1.13", False),
    ],
)
def test_an_older_stable_tree_may_have_the_fix(release: str, *, known: bool) -> None:
    crashed = Verdict(outcome=Outcome.CRASHED, title="WARNING in zap_huge_pmd")

    assert bool(note_of(crashed, release=release, workload="huge-zero")) is known


def test_a_workload_is_a_check_where_its_bug_is_fixed() -> None:
    assert "scan-dropped" in without_their_bugs("6.12.107")
    assert "scan-dropped" not in without_their_bugs("6.19.6")


def test_a_write_to_memory_max_that_goes_on_is_known_of_the_workload_that_looks_for_it() -> None:
    goes_on = Verdict(outcome=Outcome.FAILED, title="write to memory.max: goes on although the limit was raised")

    assert note_of(goes_on, release="6.19.6", workload="memory-max")
    assert note_of(goes_on, release="7.1.8", workload="memory-max")
    assert not note_of(goes_on, release="7.2.6", workload="memory-max")
    refused = Verdict(outcome=Outcome.FAILED, title="write to memory.max failed with EINVAL")
    assert not note_of(refused, workload="memory-max")


def test_lost_data_after_a_collapse_is_known_of_the_workload_that_looks_for_it_only() -> None:
    lost = Verdict(outcome=Outcome.CORRUPTED, title="1092 pages have the wrong data (wrong)")

    assert note_of(lost, release="7.1.8", workload="collapse-dirty")
    assert not note_of(lost, release="6.19.6", workload="huge")


def test_an_entry_without_a_page_is_known_until_linux_7_1() -> None:
    crashed = Verdict(outcome=Outcome.CRASHED, title="Bad pagetable")

    assert note_of(crashed, release="6.19.6", workload="huge-zero-move")
    assert not note_of(crashed, release="7.1.8", workload="huge-zero-move")
    assert not note_of(crashed, release="6.19.6", workload="huge-zero")


def test_a_warning_of_mseal_is_known_until_linux_7_1() -> None:
    crashed = Verdict(outcome=Outcome.CRASHED, title="WARNING in vma_modify")

    assert note_of(crashed, release="6.19.6", workload="mseal")
    assert not note_of(crashed, release="7.1.8", workload="mseal")
    assert not note_of(crashed, release="6.19.6", workload="mix")


@pytest.mark.parametrize(
    ("workload", "has", "has_not"),
    [
        ("unmap-dirty", "7.1.8", "7.2.6"),
        ("split-read", "6.19.6", "7.1.8"),
        ("scan-dropped", "6.19.6", "7.1.8"),
        ("free-restored", "6.19.6", "7.1.8"),
        ("memfd-seals", "6.19.6", "7.1.8"),
    ],
)
def test_what_a_later_kernel_fixed_is_known_of_the_earlier_ones_only(workload: str, has: str, has_not: str) -> None:
    wrong = Verdict(outcome=Outcome.CORRUPTED, title="15 pages have the wrong data (wrong)")

    assert note_of(wrong, release=has, workload=workload)
    assert not note_of(wrong, release=has_not, workload=workload)
    assert not note_of(wrong, release=has, workload="huge")


def test_a_kill_while_the_lru_is_switched_is_known_of_the_workload_that_looks_for_it_only() -> None:
    killed = Verdict(outcome=Outcome.FAILED, title="child: KILL, 3 times")

    assert note_of(killed, release="7.2.6", workload="lru-gen-switch")
    assert not note_of(killed, release="7.2.6", workload="memcg")


def test_a_workload_that_shows_one_bug_is_a_check_where_the_bug_is_fixed() -> None:
    assert not without_their_bugs("6.19.6")
    assert "huge-zero-move" in without_their_bugs("7.1.8")
    assert "memory-max" not in without_their_bugs("7.1.8")
    assert {"huge-zero-move", "memory-max"} <= without_their_bugs("7.2.6-patchrig")
    assert not without_their_bugs("7.2.6") & {"zswap-zero", "collapse-dirty", "large"}
    assert not without_their_bugs("")


@pytest.mark.parametrize("bug", UPSTREAM_BUGS, ids=lambda bug: bug.what[:30])
def test_each_entry_leads_to_a_page_of_the_index_and_to_workloads_that_exist(bug: UpstreamBug) -> None:
    page = PROJECT / bug.page

    assert page.is_file()
    assert f"({page.name})" in (page.parent / "README.md").read_text(encoding="utf-8")
    assert bug.workloads <= set(known_workloads())
    assert bug.since <= bug.seen


def test_the_trace_that_the_retried_fault_prints_is_not_that_of_the_bug() -> None:
    console = (
        "[   32.300043][  T145] Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF",
        "[   32.302156][  T145] load invoked oom-killer: gfp_mask=0xcca(GFP_HIGHUSER_MOVABLE), order=0",
        "[   32.302373][  T145] CPU: 3 UID: 0 PID: 145 Comm: load Not tainted 7.1.8 #1 PREEMPT",
        "[   32.302391][  T145] Call Trace:",
        "[   32.302405][  T145]  <TASK>",
        "[   32.302415][  T145]  dump_stack_lvl+0x4f/0x60",
        "[   32.302437][  T145]  dump_header+0x3e/0x180",
        "[   32.302450][  T145]  out_of_memory+0x265/0x310",
        "[   32.302458][  T145]  mem_cgroup_out_of_memory+0xc0/0xd0",
        "[   32.302471][  T145]  </TASK>",
    )

    assert next(iter(find_crashes(console))).title == "Huh VM_FAULT_OOM leaked"
