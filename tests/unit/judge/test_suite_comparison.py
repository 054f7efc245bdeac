# SPDX-License-Identifier: GPL-2.0-or-later
"""The runs of both variants, subtest by subtest."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.suite_comparison import compared, comparisons
from orchestrator.model.configuration import Variant
from orchestrator.model.reports import CellReport
from orchestrator.model.subtests import Change, Subtest, SubtestStatus, SuiteComparison, SuiteResult
from tests.unit.samples import cell, cell_report, guest_run

LETTERS = {
    "o": SubtestStatus.OK,
    "x": SubtestStatus.NOT_OK,
    "t": SubtestStatus.TIMED_OUT,
    "s": SubtestStatus.SKIPPED,
    "u": SubtestStatus.UNFINISHED,
}


def runs_of(letters: Iterable[str], *, complete: bool = True) -> tuple[SuiteResult, ...]:
    """A run for each letter, in which the subtest `a` ended so; "-": it was not there."""
    return tuple(
        SuiteResult(
            subtests=() if letter == "-" else (Subtest(path="a", status=LETTERS[letter], reason=letter),),
            complete=complete,
        )
        for letter in letters
    )


def of(baseline: Sequence[SuiteResult], patched: Sequence[SuiteResult]) -> SuiteComparison:
    return compared(baseline=baseline, patched=patched, name=("plain", "x86_64", "suite"))


@pytest.mark.parametrize(
    ("baseline", "patched", "change"),
    [
        ("ooooo", "ooooo", Change.OK),
        ("xxxxx", "xxxxx", Change.FAILING),
        ("ooooo", "xxxxx", Change.REGRESSED),
        ("ooooo", "xttxx", Change.REGRESSED),
        ("ooooo", "xxxxo", Change.REGRESSED),
        ("ooooo", "xxooo", Change.SUSPECT),
        ("o", "x", Change.SUSPECT),
        ("xxxxx", "ooooo", Change.FIXED),
        ("x", "o", Change.FLAKY),
        ("oxoxo", "xoxox", Change.FLAKY),
        ("ooxoo", "ooooo", Change.FLAKY),
        ("sssss", "sssss", Change.SKIPPED),
        ("ooooo", "sssss", Change.SKIPPED),
        ("xxxxx", "sssss", Change.SKIPPED),
        ("sssss", "ooooo", Change.NEW),
        ("sssss", "xxxxx", Change.NEW),
        ("-----", "ooooo", Change.NEW),
        ("-----", "xxxxx", Change.NEW),
        ("ooooo", "-----", Change.GONE),
        ("sssss", "-----", Change.GONE),
        ("", "xxxxx", Change.FAILING),
        ("", "xooox", Change.FLAKY),
        ("", "ooooo", Change.OK),
        ("ooooo", "", Change.OK),
        ("", "sssss", Change.SKIPPED),
        ("ooooo", "uuuuu", Change.REGRESSED),
    ],
)
def test_the_runs_of_a_subtest_come_to(baseline: str, patched: str, change: Change) -> None:
    found = of(runs_of(baseline), runs_of(patched))

    assert [one.change for one in found.changes] == [change]


def test_what_a_run_that_broke_off_did_not_come_to_is_not_gone() -> None:
    found = of(runs_of("ooooo"), runs_of("-----", complete=False))

    assert [one.change for one in found.changes] == [Change.OK]


def test_what_a_run_that_broke_off_had_begun_is_not_bad() -> None:
    found = of(runs_of("ooooo"), runs_of("uuuuu", complete=False))

    assert [one.change for one in found.changes] == [Change.OK]


def test_what_a_run_that_broke_off_did_come_to_counts() -> None:
    found = of(runs_of("ooooo"), runs_of("xxxxx", complete=False))

    assert [one.change for one in found.changes] == [Change.REGRESSED]
    assert (found.baseline_runs, found.patched_runs) == (5, 0)


def test_the_reason_is_that_of_a_bad_run_with_the_series() -> None:
    found = of(runs_of("xs"), runs_of("sot"))

    assert found.changes[0].reason == "t"


@given(st.text("oxtsu-", max_size=12), st.text("oxtsu-", max_size=12))
def test_only_what_is_worse_than_before_is_ever_regressed(baseline: str, patched: str) -> None:
    found = of(runs_of(baseline), runs_of(patched))

    for one in found.changes:
        if one.change is Change.REGRESSED:
            assert one.patched.bad * one.baseline.ran > one.baseline.bad * one.patched.ran
        if one.change is Change.OK:
            assert one.patched.ok + one.baseline.ok > 0
        if not (one.patched.ok or one.baseline.ok):
            assert one.change not in (Change.OK, Change.FIXED)


@given(st.text("oxtsu-", min_size=1, max_size=12))
def test_a_kernel_against_itself_is_never_regressed(letters: str) -> None:
    found = of(runs_of(letters), runs_of(letters))

    assert not found.of(Change.REGRESSED)
    assert not found.of(Change.SUSPECT)


def test_cells_are_compared_by_suite_flavour_and_arch() -> None:
    def report(variant: Variant, arch: str, letter: str) -> CellReport:
        run = replace(guest_run(), suite=runs_of(letter)[0])
        return cell_report(of=cell(variant=variant, arch=arch, workload="kselftest-mm"), run=run)

    both = [report(variant, arch, "o") for variant in Variant for arch in ("x86_64", "arm64") for _ in range(4)]
    found = comparisons([*both, *[report(Variant.PATCHED, "arm64", "x")] * 20, cell_report(run=guest_run())])

    assert [(one.name, one.baseline_runs, one.patched_runs) for one in found] == [
        ("plain.x86_64.kselftest-mm", 4, 4),
        ("plain.arm64.kselftest-mm", 4, 24),
    ]
    assert [[change.change for change in one.changes] for one in found] == [[Change.OK], [Change.REGRESSED]]
