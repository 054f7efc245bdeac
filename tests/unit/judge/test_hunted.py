# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hunt learns from its cells, one after another."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.hunted import fresh_findings, place_of, summary_of, with_cell, with_kernel, with_reach
from orchestrator.model.blocks import Block, BlockCount, CoverageMap
from orchestrator.model.cells import Cell
from orchestrator.model.crashes import Crash
from orchestrator.model.guests import Ending
from orchestrator.model.hunts import Hunted, HuntSummary
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from tests.unit.samples import cell, cell_report, crash, guest_run

SPLAT = crash()
LATER = crash(title="BUG: Bad page state", follow_up=True)


def ended(
    outcome: Outcome = Outcome.PASSED,
    title: str = "",
    *,
    of: Cell | None = None,
    ending: Ending = Ending.REPORTED,
    crashes: tuple[Crash, ...] = (),
    release: str = "6.19.6",
) -> CellReport:
    report = cell_report(outcome, title or str(outcome), of=of, run=guest_run(ending), crashes=crashes)
    return replace(report, kernel={"release": release})


def crashed(of: Cell | None = None, *, title: str = SPLAT.title, more: tuple[Crash, ...] = ()) -> CellReport:
    return ended(Outcome.CRASHED, title, of=of, ending=Ending.GUEST_GONE, crashes=(crash(title=title), *more))


def after(*reports: CellReport, before: Hunted | None = None) -> Hunted:
    hunted = before or Hunted()
    for report in reports:
        hunted = with_cell(hunted, report, "0001")
    return hunted


def summary(*reports: CellReport, cells: tuple[Cell, ...] = (cell(),)) -> HuntSummary:
    return summary_of(after(*reports), cells, ())


def number(repeat: int, workload: str = "mincore") -> Cell:
    return replace(cell(workload=workload), repeat=repeat, seed=100 + repeat)


def test_a_splat_counts_once_with_its_rate_among_the_cells_that_would_have_shown_it() -> None:
    reports = (ended(of=number(1)), crashed(number(2)), ended(of=number(3)), crashed(number(4)))
    other = ended(of=number(1, "shmem"))

    (found,) = summary(*reports, other).new

    assert (found.rate.seen, found.rate.cells) == (2, 4)
    assert (found.finding.first.number, found.finding.first.seed) == (2, 102)
    # Both of the two cells that had ended by then count.
    assert found.finding.first.guest_seconds == 40.0
    assert found.finding.seen == {place_of(cell()): 2}


def test_cells_that_another_splat_ended_say_nothing_of_the_rate() -> None:
    reports = (crashed(number(1)), crashed(number(2), title="WARNING in g"), ended(Outcome.NOT_EXERCISED, of=number(3)))

    first, second = summary(*reports).new

    assert (first.rate.seen, first.rate.cells) == (second.rate.seen, second.rate.cells) == (1, 2)


def test_what_is_new_is_told_once() -> None:
    first = after(crashed(number(1)))
    second = with_cell(first, crashed(number(2)), "0002")

    assert [finding.title for finding in fresh_findings(Hunted(), first)] == [SPLAT.title]
    assert not list(fresh_findings(first, second))


def test_the_same_splat_of_two_workloads_is_one_finding() -> None:
    (found,) = summary(crashed(number(1)), crashed(number(1, "shmem"))).new

    assert {place: (rate.seen, rate.cells) for place, rate in found.places.items()} == {
        "patched.plain.x86_64.mincore": (1, 1),
        "patched.plain.x86_64.shmem": (1, 1),
    }


@pytest.mark.parametrize(
    ("outcome", "titles"),
    [
        (Outcome.CORRUPTED, ("1 page has the wrong data (stale)", "17 pages have the wrong data (stale, torn)")),
        (Outcome.FAILED, ("madvise failed with ENOMEM", "madvise failed with ENOMEM, 3 times")),
        (Outcome.FAILED, ("SwapFree is 12 KiB short", "SwapFree is 408 KiB short")),
        (Outcome.HUNG, ("a swapoff never returned", "a swapoff never returned")),
    ],
)
def test_titles_that_only_count_differently_are_one_finding_of_a_workload(
    outcome: Outcome, titles: tuple[str, str]
) -> None:
    one, other = (ended(outcome, title, of=number(at)) for at, title in enumerate(titles, start=1))

    assert len(summary(one, other).new) == 1
    # They do not say where in the kernel: another workload may have met another bug.
    assert len(summary(one, ended(outcome, titles[1], of=number(1, "shmem"))).new) == 2


def test_different_errors_are_different_findings() -> None:
    one, other = (ended(Outcome.FAILED, f"madvise failed with {errno}") for errno in ("ENOMEM", "EFAULT"))

    assert len(summary(one, other).new) == 2


def test_what_unmodified_kernels_are_known_for_is_set_aside() -> None:
    known = crashed(number(1, "large"), title="WARNING in unuse_pte_range")
    elsewhere = crashed(number(1), title="WARNING in unuse_pte_range")

    found = summary(*(replace(one, kernel={"release": "7.1.8"}) for one in (known, elsewhere)))

    assert [one.finding.known.partition(":")[0] for one in found.known] == ["known in unmodified 7.1.8"]
    assert [list(one.places) for one in found.new] == [["patched.plain.x86_64.mincore"]]


def test_what_follows_a_splat_is_named_until_it_comes_first_somewhere() -> None:
    follows = crashed(number(1), more=(LATER,))

    assert {title: splat.cells for title, splat in summary(follows).later.items()} == {LATER.title: 1}
    assert not summary(follows, crashed(number(2), title=LATER.title)).later


def test_an_interrupted_cell_is_as_if_it_had_never_begun() -> None:
    hunted = after(ended(Outcome.SKIPPED, "ended early", ending=Ending.INTERRUPTED))

    assert hunted == Hunted()


def test_a_splat_of_a_cell_that_is_interrupted_counts() -> None:
    report = ended(Outcome.CRASHED, SPLAT.title, ending=Ending.INTERRUPTED, crashes=(SPLAT,))

    assert len(summary(report).new) == 1


def test_a_cell_that_this_kernel_can_prove_nothing_with_runs_no_more() -> None:
    hunted = after(ended(Outcome.SKIPPED, "nothing proves this cell: site s: absent"))

    assert hunted.tallies[place_of(cell())].dropped.startswith("nothing proves")


def test_a_kernel_that_does_not_come_up_without_a_word_is_lost() -> None:
    report = ended(Outcome.BOOT_FAILED, "the guest never became ready", ending=Ending.NEVER_READY)

    (build,) = summary(report).builds
    assert (build.lost, build.bad) == (1, 0)


def test_a_kernel_that_is_not_built_is_no_finding() -> None:
    report = replace(ended(Outcome.BUILD_FAILED, "swap.c:1: error"), run=None)

    hunted = after(report)

    assert hunted.unbuilt == {"patched.plain.x86_64": "build-failed: swap.c:1: error"}
    assert not hunted.findings
    assert summary(report).builds == ()


def test_silence_counts_the_workload_that_was_silent_least() -> None:
    quiet = [ended(of=number(at)) for at in (1, 2, 3)]
    cells = (cell(), cell(workload="shmem"))

    (build,) = summary(*quiet, ended(Outcome.NOT_EXERCISED, of=number(1, "shmem")), cells=cells).builds
    assert (build.workloads, build.cells, build.quiet, build.thin) == (2, 4, 3, 1)
    assert (build.least_silent, round(build.most_missed, 2)) == (1, 0.95)
    assert (round(build.quiet_hours * 3600), round(build.guest_hours * 3600)) == (60, 80)


OUTCOMES = (Outcome.PASSED, Outcome.NOT_EXERCISED, Outcome.LOST, Outcome.HUNG, Outcome.CRASHED)


@given(st.lists(st.sampled_from(OUTCOMES)))
def test_each_cell_counts_exactly_once(outcomes: list[Outcome]) -> None:
    reports = [ended(outcome, of=number(at)) for at, outcome in enumerate(outcomes, start=1)]

    hunted = after(*reports)

    (build,) = summary_of(hunted, (cell(),), ()).builds
    assert build.cells == build.quiet + build.thin + build.bad + build.lost == len(outcomes)
    assert sum(finding.cells for finding in hunted.findings.values()) == build.bad
    assert hunted.guest_seconds == pytest.approx(20.0 * len(outcomes))


def test_only_cells_that_were_lost_teach_nothing() -> None:
    lost = after(ended(Outcome.LOST))

    assert (lost.learned, lost.tallies[place_of(cell())].last) == (0, 1)
    for report in (ended(), ended(Outcome.NOT_EXERCISED), crashed(), replace(ended(Outcome.BUILD_FAILED), run=None)):
        assert after(report, before=lost).learned == 1


def block(offset: int, target: str, file: str) -> Block:
    return Block(offset=offset, target=target, inside=target, file=file, line=1)


CODE = CoverageMap(
    side="old",
    diff=(),
    lines=(),
    blocks=(
        block(0, "swap_read_folio", "include/linux/bio.h"),
        block(1, "swap_read_folio", "mm/page_io.c"),
        block(2, "zswap_load", "mm/zswap.c"),
        block(3, "zswap_load", "include/linux/mm.h"),
    ),
    whole=("mm/page_io.c", "mm/swap_cgroup.c", "mm/zswap.c"),
)


def test_reach_is_that_of_all_cells_together() -> None:
    build = cell().build
    hunted = with_kernel(Hunted(), build, CODE)
    once = with_reach(hunted, build, CODE, {1: BlockCount(hits=3)})

    (silence,) = summary_of(once, (cell(),), CODE.whole).builds
    assert (silence.delayed, silence.ran) == (2, 1)
    assert silence.not_run == ("mm/zswap.c: zswap_load",)
    assert silence.no_code == ("mm/swap_cgroup.c",)
    both = with_reach(once, build, CODE, {3: BlockCount(hits=1)})
    assert both.ran[build.name] == ("swap_read_folio", "zswap_load")
