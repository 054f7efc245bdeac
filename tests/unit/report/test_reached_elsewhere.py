# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cells of a run prove together about the functions that a series changes."""

from dataclasses import replace

from orchestrator.cli.reported_runs import exit_code
from orchestrator.host.errors import ExitCode
from orchestrator.model.check_results import Status
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.probes import ChangedSeen
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.reached_elsewhere import excused, reached_by_others, unproved
from orchestrator.report.summary import summary_text
from orchestrator.run.series_checks import run_check
from tests.unit.report_texts import junit_text
from tests.unit.samples import cell, cell_report, guest_run, run_report

SHORT = "no function that the series changes was seen to run; this workload is meant to reach: f"


def report(workload: str, changed: ChangedSeen, *, unreached: bool = False, arch: str = "x86_64") -> CellReport:
    of = cell(workload=workload)
    of = replace(of, build=replace(of.build, arch=arch))
    found = cell_report(of=of, run=replace(guest_run(), changed=changed))
    if unreached:
        return replace(found, verdict=Verdict(outcome=Outcome.NOT_EXERCISED, title=SHORT, unreached=True))
    return replace(found, verdict=Verdict(outcome=Outcome.PASSED, title=""))


LARGE = report("large", ChangedSeen(ran=(), not_reached=("f", "g"), meant=("f",)), unreached=True)
MIX = report("mix", ChangedSeen(ran=("f",), not_reached=("g",), meant=("f",)))


def of(*cells: CellReport) -> RunReport:
    return run_report(*cells)


def test_a_workload_that_ran_none_of_the_changed_functions_is_excused_where_another_one_did() -> None:
    both = of(LARGE, MIX)

    assert dict(excused(both)) == {LARGE.cell.name: "does not fail the run, as other cells ran f"}
    assert exit_code(both) is ExitCode.OK
    assert "NOT-EXERCISED (1 cell)" in summary_text(both)
    assert "does not fail the run, as other cells ran f" in summary_text(both)
    assert "<failure" not in junit_text(both)
    assert "<skipped" in junit_text(both)
    assert run_check(both).status is Status.PASS


def test_alone_or_beside_another_arch_or_other_functions_it_fails_the_run() -> None:
    other_arch = report("mix", ChangedSeen(ran=("f",), not_reached=()), arch="arm64")
    other_function = report("mix", ChangedSeen(ran=("g",), not_reached=("f",)))

    for cells in ((LARGE,), (LARGE, other_arch), (LARGE, other_function)):
        assert reached_by_others(cells) == {}
        assert exit_code(of(*cells)) is ExitCode.BAD_KERNEL


def test_a_cell_with_another_shortfall_is_not_excused() -> None:
    verdict = Verdict(outcome=Outcome.NOT_EXERCISED, title="pswpin grew by 0, at least 1 expected", reasons=(SHORT,))

    assert exit_code(of(replace(LARGE, verdict=verdict), MIX)) is ExitCode.BAD_KERNEL


def test_a_run_in_which_nothing_of_the_series_ran_is_no_success() -> None:
    quiet = of(report("mix", ChangedSeen(ran=(), not_reached=("f",))))

    assert unproved(quiet).startswith("No cell was seen to run a function that the series changes")
    assert exit_code(quiet) is ExitCode.BAD_KERNEL
    assert unproved(quiet) in " ".join(summary_text(quiet).split())
    assert (run_check(quiet).status, run_check(of(LARGE)).status) == (Status.FAIL, Status.FAIL)
    assert 'classname="series"' in junit_text(quiet)


def test_what_may_have_run_is_not_said_to_have_not() -> None:
    for changed in (
        ChangedSeen(ran=(), not_reached=("f",), unknown=("g",)),
        ChangedSeen(ran=(), not_reached=("f",), early=("f",)),
        ChangedSeen(ran=(), not_reached=(), no_code=("f",)),
        ChangedSeen(ran=(), not_reached=()),
    ):
        assert unproved(of(report("mix", changed))) == ""
    assert unproved(of()) == ""


def test_a_run_on_kernels_that_have_none_of_the_changed_functions_is_no_success() -> None:
    left_out = ChangedSeen(ran=(), not_reached=(), no_code=("f",), left_out={"f": "CONFIG_CMA is not set"})
    run = of(report("mix", left_out))

    assert unproved(run).startswith("These kernels have no function that the series changes (CONFIG_CMA is not set)")
    assert exit_code(run) is ExitCode.BAD_KERNEL
    assert "f (CONFIG_CMA is not set)" in " ".join(summary_text(run).split())
    # On the other arch it is there.
    ran = report("mix", ChangedSeen(ran=("f",), not_reached=()), arch="arm64")
    assert unproved(of(report("mix", left_out), ran)) == ""
    folded = ChangedSeen(ran=(), not_reached=(), no_code=("f", "g"), left_out={"f": "CONFIG_CMA is not set"})
    assert unproved(of(report("mix", folded))) == ""


def test_a_run_whose_host_failed_is_not_said_to_prove_nothing() -> None:
    quiet = report("mix", ChangedSeen(ran=(), not_reached=("f",)))
    lost = replace(
        report("large", ChangedSeen(ran=(), not_reached=())), verdict=Verdict(outcome=Outcome.LOST, title="x")
    )
    gone = replace(lost, run=None, verdict=Verdict(outcome=Outcome.SKIPPED, title="x"))

    assert exit_code(of(quiet, lost)) is ExitCode.INFRA
    assert exit_code(of(quiet, gone)) is ExitCode.OK
