# SPDX-License-Identifier: GPL-2.0-or-later
"""Which status a check of a series has, by what was found out."""

from dataclasses import replace

from orchestrator.model.check_results import Status
from orchestrator.model.images import BuildFailure
from orchestrator.model.matrix_choices import Base, ChosenWorkload, MatrixChoices, Tried
from orchestrator.model.outcomes import Outcome
from orchestrator.run.series_checks import apply_check, built, run_check, workloads_check
from tests.unit.samples import cell, cell_report, image, mixed_report, run_report

BASE = Base(source="7.1.8", why="the series applies to it")


def test_a_series_that_applies_passes() -> None:
    assert apply_check(BASE).status is Status.PASS
    assert apply_check(BASE).summary == "applies to 7.1.8"


def test_what_the_user_must_not_miss_is_a_warning() -> None:
    assert apply_check(BASE, ["not part of the series: 'idea'"]).status is Status.WARN
    assert apply_check(replace(BASE, notes=("made on top of 2 other patches",))).status is Status.WARN


def test_a_series_that_applies_nowhere_fails_and_says_what_was_tried() -> None:
    tried = (Tried(source="6.19.6", problem="it does not apply in mm/swap.c"),)
    check = apply_check(replace(BASE, fits=False, tried=tried, hint="patchrig run --tree DIR"))

    assert check.status is Status.FAIL
    assert "6.19.6: it does not apply in mm/swap.c" in "\n".join(check.details)
    assert "next: patchrig run --tree DIR" in check.details


def test_workloads_that_reach_all_that_is_changed_pass() -> None:
    chosen = MatrixChoices(base=BASE, workloads=(ChosenWorkload(name="swapin", reason="mm/swap.c", meant=True),))

    assert workloads_check(chosen).status is Status.PASS
    assert workloads_check(replace(chosen, unreached=("mm/slub.c",))).status is Status.WARN
    assert workloads_check(replace(chosen, workloads=())).status is Status.WARN


def test_builds_pass_warn_or_fail() -> None:
    good = image()
    bad = BuildFailure(
        build=good.build, outcome=Outcome.BUILD_FAILED, title="swap.c:4: error", detail="one\ntwo", log=None
    )

    assert built([good]).status is Status.PASS
    assert built([replace(good, new_warnings=("swap.c:4: warning: unused",))]).status is Status.WARN
    assert built([good, bad]).status is Status.FAIL
    assert built([bad]).details == (f"{good.build.name}: build-failed: swap.c:4: error", "one", "two")


def test_a_run_passes_only_where_a_cell_passed_and_none_is_lost() -> None:
    lost = cell_report(Outcome.LOST, "ssh: no route", of=cell(workload="shmem"))

    assert run_check(run_report(cell_report())).status is Status.PASS
    assert run_check(run_report(cell_report(), lost)).status is Status.WARN
    assert run_check(run_report()).status is Status.WARN
    assert run_check(replace(run_report(cell_report()), interrupted=True)).status is Status.WARN
    assert run_check(mixed_report()).status is Status.FAIL
    assert run_check(mixed_report()).summary.endswith(": KASAN: use-after-free Read in f")
