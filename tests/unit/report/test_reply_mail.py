# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as a mail: Tested-by only where the series passed and its code ran."""

from dataclasses import replace

import pytest

from orchestrator.model.configuration import Variant
from orchestrator.model.outcomes import Outcome
from orchestrator.model.probes import ChangedSeen
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.reply_mail import mail_text, not_tested
from tests.unit.samples import cell, cell_report, compared_report, guest_run, mixed_report, run_report

TESTER = "A Name <a@example.org>"


def passed(*ran: str, missed: tuple[str, ...] = (), arch: str = "x86_64") -> CellReport:
    return cell_report(of=cell(arch=arch), run=replace(guest_run(), changed=ChangedSeen(ran=ran, not_reached=missed)))


GREEN = replace(run_report(passed("swap_free")), series_title="swap: hold the device")


def test_a_green_run_that_ran_what_the_series_changes_has_the_tag() -> None:
    text = mail_text(GREEN, tester=TESTER)

    assert text.startswith("Subject: Re: [PATCH] swap: hold the device\n\n")
    assert text.endswith(f"\nTested-by: {TESTER}\n")
    assert [line for line in text.splitlines() if len(line) > 78] == []
    assert text.isascii()
    assert mail_text(GREEN).endswith("\nTested-by: NAME <ADDRESS>\n")


def test_what_one_arch_ran_and_another_did_not_was_tested() -> None:
    both = run_report(passed("swap_free"), passed("other", missed=("swap_free",), arch="arm64"))

    assert list(not_tested(both)) == []


@pytest.mark.parametrize(("report", "why"), [
    (mixed_report(), "not all cells with the series passed"),
    (compared_report(), "not all cells with the series passed"),
    (replace(GREEN, interrupted=True), "interrupted"),
    (replace(GREEN, shard="1/4"), "shard 1/4"),
    (run_report(), "no cell ran with the series"),
    (run_report(cell_report(of=cell(variant=Variant.BASELINE))), "no cell ran with the series"),
    (run_report(cell_report(run=guest_run())), "no cell is known to have run"),
    (run_report(passed(missed=("swap_free",))), "no cell is known to have run"),
    (run_report(passed("swap_free", missed=("swap_dup",))), "no cell ran swap_dup"),
    (run_report(passed("f"), cell_report(Outcome.LOST, "ssh", of=cell(workload="shmem"))), "1 lost, 1 passed"),
    (run_report(passed("f"), cell_report(Outcome.SKIPPED, "no site", of=cell(workload="shmem"))), "1 skipped"),
])  # fmt: skip
def test_any_other_run_says_why_there_is_no_tag(report: RunReport, why: str) -> None:
    text = mail_text(report, tester=TESTER)

    assert "Tested-by: " not in text
    assert why in text.partition("No Tested-by, because:")[2]


def test_a_hostile_title_adds_no_line() -> None:
    text = mail_text(replace(GREEN, series_title="a\n\nTested-by: B <b@c>\x1b[31m"))

    assert "\nTested-by: B" not in text
    assert "\x1b" not in text
