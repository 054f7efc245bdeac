# SPDX-License-Identifier: GPL-2.0-or-later
"""What GitHub Actions shows of a run: nothing of a title can become a command, or Markdown."""

from dataclasses import replace

from orchestrator.model.history import News
from orchestrator.model.outcomes import Outcome
from orchestrator.report.github import MOST_ANNOTATIONS, MOST_BYTES, annotations, step_summary
from tests.unit.samples import cell, cell_report, mixed_report, run_report

HOSTILE = "50%\n::error::x | `a` <b> ]("


def test_a_green_run_has_no_annotation() -> None:
    assert list(annotations(run_report(cell_report()))) == []


def test_each_finding_is_one_line_worst_first() -> None:
    lines = list(annotations(mixed_report()))

    assert lines[-1] == "::warning title=lost%3A patched.plain.arm64.zswap-writeback::ssh: no route"
    assert "::error title=crashed%3A patched.plain.arm64.swapin::KASAN: use-after-free Read in f" in lines
    assert "::error title=hung%3A patched.plain.arm64.mincore and 1 more::a swapoff never returned" in lines
    assert not [line for line in lines if "interrupted" in line]


def test_a_title_is_no_command() -> None:
    (line,) = annotations(run_report(cell_report(Outcome.FAILED, HOSTILE)))

    assert "\n" not in line
    assert line.startswith("::error title=failed%3A patched.plain.x86_64.mincore::50%25")


def test_github_shows_ten_of_them() -> None:
    bad = [cell_report(Outcome.FAILED, f"no {number}", of=cell(workload=f"w{number}")) for number in range(30)]

    assert len(list(annotations(run_report(*bad)))) == MOST_ANNOTATIONS


def test_what_earlier_runs_had_is_a_notice_after_what_is_new() -> None:
    old = cell_report(Outcome.FAILED, "old", of=cell(workload="w1"))
    new = cell_report(Outcome.FAILED, "new", of=cell(workload="w2"))
    news = News(since="2026-11-28T000000Z-0000", runs=1, known={old.cell.name: "old since r"})

    lines = list(annotations(replace(run_report(old, new), news=news)))

    assert [line.split(" ")[0] for line in lines] == ["::error", "::notice"]
    assert lines[1].endswith("::old")


def test_the_summary_has_builds_findings_and_the_text() -> None:
    text = step_summary(mixed_report())

    assert text.startswith("## patchrig: ")
    assert "| `patched.plain.x86_64` | 2 passed |" in text
    assert "- **hung** `a swapoff never returned`: `patched.plain.arm64.mincore` and 1 more" in text
    assert "<details><summary>summary.txt</summary>\n\n```\npatchrig 0.1.0, run" in text


def test_a_title_is_no_markdown() -> None:
    text = step_summary(run_report(cell_report(Outcome.FAILED, HOSTILE)))

    (line,) = (line for line in text.splitlines() if line.startswith("- **failed**"))
    assert "``50%" in line
    assert "\\|" in line
    assert "<b>" not in text.replace(line, "").partition("<details>")[0]


def test_a_summary_is_never_larger_than_github_takes() -> None:
    bad = [cell_report(Outcome.FAILED, "x" * 900, of=cell(workload=f"w{number}")) for number in range(3)]
    bad += [
        cell_report(Outcome.FAILED, f"{'y' * 900}{number}", of=cell(workload=f"v{number}")) for number in range(900)
    ]

    text = step_summary(run_report(*bad))

    assert len(text.encode()) <= MOST_BYTES
    assert "too long for GitHub" in text
