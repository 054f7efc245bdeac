# SPDX-License-Identifier: GPL-2.0-or-later
"""The text for a mail."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.replay_keys import parse_key
from orchestrator.model.reports import RunReport
from orchestrator.report.summary import findings, outcome_counts, rows, summary_text
from tests.conftest import GOLDEN, Golden
from tests.unit.model.test_replay_keys import KEY
from tests.unit.report_texts import junit_text
from tests.unit.samples import cell, cell_report, compared_report, guest_run, image, mixed_report, result, run_report


def test_the_summary_is_the_golden_one(golden: Golden) -> None:
    golden.text(GOLDEN / "summary" / "mixed.txt", summary_text(mixed_report()))


def test_the_summary_of_both_variants_is_the_golden_one(golden: Golden) -> None:
    golden.text(GOLDEN / "summary" / "compared.txt", summary_text(compared_report()))


def test_an_allowed_crash_shows_beside_a_pass() -> None:
    reason = "allowed: WARNING in f (fixed upstream)"
    report = run_report(cell_report(run=guest_run(), reasons=(reason,)))

    assert f"{reason} (1 passed cell)" in summary_text(report)
    assert reason in junit_text(report)


@pytest.mark.parametrize("report", [mixed_report(), compared_report()], ids=["mixed", "compared"])
def test_no_line_is_too_wide_for_a_mail(report: RunReport) -> None:
    assert max(len(line.expandtabs()) for line in summary_text(report).splitlines()) <= 78


def test_a_finding_of_two_cells_is_told_once() -> None:
    hung = next(finding for finding in findings(mixed_report().cells) if finding.outcome is Outcome.HUNG)

    assert [found.cell.workload.name for found in hung.cells] == ["mincore", "shmem"]


def test_findings_come_worst_first_and_not_exercised_is_one() -> None:
    outcomes = [finding.outcome for finding in findings(mixed_report().cells)]

    assert outcomes == [Outcome.LOST, Outcome.CRASHED, Outcome.HUNG, Outcome.NOT_EXERCISED]


def test_where_only_the_series_ran_the_summary_has_the_command_that_runs_the_baseline() -> None:
    crashed = cell_report(Outcome.CRASHED, "WARNING in f", of=cell(), run=guest_run())
    argv = ("patchrig", "run", "swapoff", "--patch", "x.mbox")

    text = summary_text(run_report(crashed, argv=argv))

    assert "an old bug or a new one? Without the series:\n  patchrig run swapoff --patch x.mbox --variant" in text
    assert "--variant baseline --variant patched tells" in summary_text(run_report(crashed, argv=("patchrig", "repro")))


def test_a_splat_of_both_variants_is_not_blamed_on_the_series() -> None:
    text = summary_text(compared_report())
    both = text[text.index("possible deadlock in swapoff") :]

    assert text.count("also in the baseline: the series did not bring it in") == 1
    assert both.index("also in the baseline") < both.index("patchrig repro")


def test_repeats_share_a_row() -> None:
    good = [cell_report(run=guest_run(), of=cell(repeat=number, repeats=3)) for number in (1, 2)]
    hung = cell_report(Outcome.HUNG, "stuck", of=cell(repeat=3, repeats=3))

    (row,) = rows([*good, hung])

    assert (row.outcome, row.cells, row.figures[2]) == ("1 hung, 2 passed", 3, "114")
    assert row.proof == ("site.mincore 18240",)


def test_a_counter_that_the_kernel_lacks_is_no_zero_in_its_row() -> None:
    workload = cell().workload.model_copy(update={"instead": {"site.mincore": {"looks": 3}}})
    run = guest_run(result=result(counters={"site.mincore": 0, "looks": 12}, lacking={"site.mincore": "no function"}))

    (row,) = rows([cell_report(run=run, of=replace(cell(), workload=workload))])
    (without,) = rows([cell_report(run=run)])

    assert row.proof == ("site.mincore lacking", "looks 12")
    assert without.proof == ("site.mincore lacking",)


def test_what_was_left_out_is_named_beside_what_passed() -> None:
    text = summary_text(replace(run_report(cell_report()), left_out=("64k on x86_64 (64k: arm64 only)",)))

    assert "LEFT OUT of the matrix:\n  64k on x86_64 (64k: arm64 only)" in text
    assert "LEFT OUT" not in summary_text(run_report(cell_report()))


def test_an_interrupted_run_says_so() -> None:
    assert "INTERRUPTED" in summary_text(replace(run_report(), interrupted=True))


def test_a_run_without_cells_is_not_called_good() -> None:
    assert outcome_counts(()) == "no cell finished"


def test_a_failed_build_without_cells_is_told() -> None:
    build = BuildFailure(
        build=image().build, outcome=Outcome.BUILD_FAILED, title="mm/x.c:1: error: no", detail="", log=None
    )

    assert "build-failed: patched.plain.x86_64: mm/x.c:1: error: no" in summary_text(run_report(builds=(build,)))


def test_cells_without_a_kernel_are_one_row() -> None:
    cells = tuple(cell_report(Outcome.BUILD_FAILED, "x.c:1: error", of=cell(workload=name)) for name in ("a", "b", "c"))

    (row,) = rows(cells)

    assert (row.workload, row.outcome) == ("all 3", "build-failed")


@given(st.text(), st.text())
def test_any_title_gives_narrow_ascii(title: str, reason: str) -> None:
    text = summary_text(run_report(cell_report(Outcome.FAILED, title, reasons=(reason,))))

    assert text.isascii()


def test_the_key_of_a_deterministic_cell_can_be_pasted() -> None:
    red = replace(cell_report(Outcome.CRASHED, "WARNING in f"), key=KEY.text)

    text = summary_text(run_report(red, cell_report()))

    assert max(map(len, text.splitlines())) <= 78
    _, _, lines = text.partition("its key, for `patchrig replay '...'` on another machine:\n")
    assert parse_key(lines.partition("\n\n")[0]) == KEY


def test_a_green_cell_needs_no_key_and_an_ordinary_one_has_none() -> None:
    green = replace(cell_report(), key=KEY.text)
    red = cell_report(Outcome.CRASHED, "WARNING in f")

    assert "key" not in summary_text(run_report(green, red))


def test_the_summary_has_the_kernel_options_that_were_given_by_hand() -> None:
    report = run_report(cell_report())
    report = replace(report, matrix=report.matrix.model_copy(update={"config": ("CONFIG_CMA=y",)}))

    assert "Kernel options beside those of the flavours: CONFIG_CMA=y." in summary_text(report)
