# SPDX-License-Identifier: GPL-2.0-or-later
"""JUnit XML that other people's tools read."""

from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped

from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.report.junit_document import valid_xml
from tests.conftest import GOLDEN, Golden
from tests.unit.report_texts import junit_text
from tests.unit.samples import cell, cell_report, compared_report, crash, guest_run, image, mixed_report, run_report


def test_the_report_is_the_golden_one(golden: Golden) -> None:
    golden.text(GOLDEN / "junit" / "mixed.xml", junit_text(mixed_report()))


def test_a_failure_has_the_whole_stack_with_file_and_line(golden: Golden) -> None:
    golden.text(GOLDEN / "junit" / "compared.xml", junit_text(compared_report()))


def test_junitparser_opens_it_and_counts_the_same(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    file.write_text(junit_text(mixed_report()), encoding="utf-8")

    suites = JUnitXml.fromfile(str(file))

    assert [suite.name for suite in suites] == ["patched.plain.x86_64", "patched.plain.arm64"]
    arm64 = list(suites)[1]
    assert (arm64.tests, arm64.failures, arm64.errors, arm64.skipped) == (6, 4, 1, 1)
    kinds = [type(outcome) for case in arm64 for outcome in case.result]
    assert kinds == [Failure, Failure, Failure, Failure, Error, Skipped]
    assert next(iter(arm64)).result[0].type == "hung"


def test_properties_have_seed_hashes_and_versions(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    file.write_text(junit_text(run_report(cell_report(run=guest_run()))), encoding="utf-8")

    properties = ET.parse(file).iterfind("testsuite[1]/properties/property")
    found = {known.get("name"): known.get("value") for known in properties}

    assert found["seed"] == "1"
    assert found["kernel.series"] == "ab12" * 16
    assert found["version.qemu"] == "7.2.17"


def test_a_build_that_failed_before_any_cell_is_a_case() -> None:
    build = BuildFailure(
        build=image().build, outcome=Outcome.NOT_APPLIED, title="1.patch: mm/x.c: hunk 2", detail="reject", log=None
    )

    failure = ET.fromstring(junit_text(run_report(builds=(build,)))).find(".//failure")

    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("not-applied", "1.patch: mm/x.c: hunk 2")


def test_control_characters_are_shown_not_lost() -> None:
    assert valid_xml("a\x00b\x1b[0m\ud800\ufffe\n") == "a\\x00b\\x1b[0m\\ud800\\ufffe\n"


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_is_well_formed_xml(title: str, text: str) -> None:
    report = run_report(
        cell_report(Outcome.CRASHED, title, run=guest_run(), crashes=(crash(title=title, text=text),)),
        cell_report(Outcome.SKIPPED, title),
        cell_report(Outcome.LOST, text, of=cell(workload="shmem")),
    )

    cases = ET.fromstring(junit_text(report).encode()).findall(".//testcase")

    assert len(cases) == 3
