# SPDX-License-Identifier: GPL-2.0-or-later
"""A test suite's subtests in the summary, in JUnit XML and for scripts."""

from dataclasses import replace
from pathlib import Path

from junitparser import Failure, JUnitXml, Skipped

from orchestrator.cli.reported_runs import exit_code
from orchestrator.host.errors import ExitCode
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.model.subtests import Change, SubtestChange, SuiteComparison, Tally
from orchestrator.report.suite_text import suite_json, suite_lines
from orchestrator.report.summary import summary_text
from tests.unit.report_texts import junit_text
from tests.unit.samples import cell_report, run_report

ALWAYS, NEVER = Tally(bad=5), Tally(ok=5)


def change(
    path: str,
    kind: Change,
    baseline: Tally = NEVER,
    patched: Tally = NEVER,
    *,
    chance: float | None = None,
    reason: str = "",
    diagnostics: tuple[str, ...] = (),
) -> SubtestChange:
    return SubtestChange(
        path=path,
        change=kind,
        baseline=baseline,
        patched=patched,
        chance=chance,
        reason=reason,
        diagnostics=diagnostics,
    )


def suite(*changes: SubtestChange, baseline_runs: int = 5, patched_runs: int = 5) -> SuiteComparison:
    return SuiteComparison(
        flavour="plain", arch="x86_64", suite="kselftest-mm",
        baseline_runs=baseline_runs, patched_runs=patched_runs, changes=changes,
    )  # fmt: skip


EACH = suite(
    change("mm/cow", Change.REGRESSED, NEVER, ALWAYS, chance=0.004, reason="exit=1", diagnostics=("# [FAIL] pin",)),
    change("mm", Change.REGRESSED, NEVER, ALWAYS, chance=0.004),
    change("mm/ksm", Change.SUSPECT, NEVER, Tally(ok=4, bad=1), chance=0.5),
    change("mm/gup", Change.FIXED, ALWAYS, NEVER, chance=0.004),
    change("mm/old", Change.GONE, NEVER, Tally()),
    change("mm/young", Change.NEW, Tally(), NEVER),
    change("mm/flaky", Change.FLAKY, Tally(ok=3, bad=2), Tally(ok=2, bad=3)),
    change("mm/bad", Change.FAILING, ALWAYS, ALWAYS),
    change("mm/hmm", Change.SKIPPED, Tally(skipped=5), Tally(skipped=5), reason="no test_hmm"),
    change("mm/uffd", Change.SKIPPED, NEVER, Tally(skipped=5), reason="no memory"),
    change("mm/fine", Change.OK),
)


def report(*suites: SuiteComparison, outcome: Outcome = Outcome.SUBTESTS_FAILED) -> RunReport:
    return replace(run_report(cell_report(outcome)), suites=suites)


def test_the_summary_names_each_subtest_that_is_not_just_ok() -> None:
    lines = list(suite_lines(EACH))

    assert lines[0] == (
        "plain.x86_64.kselftest-mm: 2 regressed, 1 suspect, 1 fixed, 1 gone, 1 new, 1 flaky, 1 failing, 2 skipped, 1 ok"
    )
    assert "- mm/cow: bad 5 of 5 with the series, bad 0 of 5 without (p=0.004): exit=1" in lines
    assert "- mm/uffd: skipped 5 with the series, bad 0 of 5 without: no memory" in lines
    assert "- no test_hmm: mm/hmm" in lines
    assert not any("mm/fine" in line for line in lines)


def test_a_group_that_is_bad_because_of_what_is_in_it_is_not_named_beside_it() -> None:
    assert not any(line.startswith("- mm:") for line in suite_lines(EACH))


def test_the_summary_says_how_to_learn_more_where_there_are_few_runs() -> None:
    few = suite(change("a", Change.SUSPECT, Tally(ok=1), Tally(bad=1)), baseline_runs=1, patched_runs=1)
    alone = suite(change("a", Change.FAILING, Tally(), Tally(bad=1)), baseline_runs=0, patched_runs=1)

    assert "--repeat 5" in list(suite_lines(few))[1]
    assert "--variant baseline --variant patched" in list(suite_lines(alone))[1]
    assert "- a: bad 1 of 1" in list(suite_lines(alone))


def test_hostile_names_stay_in_their_columns() -> None:
    text = summary_text(report(suite(change("a\x1b[31m\n\nPASSED" * 40, Change.REGRESSED, NEVER, ALWAYS))))

    assert "\x1b" not in text
    assert "\n\nPASSED" not in text


def test_only_what_the_series_made_worse_is_a_failure_in_junit(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    file.write_text(junit_text(report(EACH)), encoding="utf-8")

    cases = {
        case.name: case for each in JUnitXml.fromfile(str(file)) if each.name.startswith("subtests.") for case in each
    }

    assert len(cases) == len(EACH.changes)
    assert [name for name, case in cases.items() if any(isinstance(r, Failure) for r in case.result)] == [
        "mm/cow",
        "mm",
    ]
    assert cases["mm/cow"].result[0].text == "# [FAIL] pin"
    passed = [name for name, case in cases.items() if not case.result]
    assert passed == ["mm/young", "mm/fine"]
    assert isinstance(cases["mm/hmm"].result[0], Skipped)


def test_only_what_the_series_made_worse_is_loud() -> None:
    quiet = suite(*(one for one in EACH.changes if one.change is not Change.REGRESSED))

    assert exit_code(report(EACH)) is ExitCode.BAD_KERNEL
    assert exit_code(report(quiet)) is ExitCode.OK
    assert exit_code(report(quiet, outcome=Outcome.NOT_EXERCISED)) is ExitCode.BAD_KERNEL


def test_a_script_gets_the_counts_and_the_names() -> None:
    found = suite_json(EACH)

    assert found["regressed"] == ["mm/cow", "mm"]
    assert found["counts"]["skipped"] == 2  # type: ignore[index]  # a JSON object
