# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as KCIDB takes it: kcidb-io, KCIDB's own package, has the schema."""

import json
from typing import Any

import pytest
from kcidb_io.schema.v05_03 import Version

from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.report.kcidb import STATUS, kcidb_text
from tests.unit.samples import cell_report, compared_report, crash, image, mixed_report, run_report


def told(report: RunReport, origin: str = "my_ci") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kcidb_text(report, origin=origin))
    Version.validate(found)
    return found


@pytest.mark.parametrize("report", [mixed_report(), compared_report(), run_report()], ids=["mixed", "compared", "none"])
def test_kcidb_takes_a_run(report: RunReport) -> None:
    found = told(report)

    assert len(found["tests"]) == len(report.cells)
    ids = [one["id"] for kind in ("checkouts", "builds", "tests") for one in found[kind]]
    assert len(set(ids)) == len(ids)
    assert {one["checkout_id"] for one in found["builds"]} <= {one["id"] for one in found["checkouts"]}
    assert {one["build_id"] for one in found["tests"]} <= {one["id"] for one in found["builds"]}


def test_each_outcome_has_a_status_and_only_a_bad_kernel_fails() -> None:
    assert set(STATUS) == set(Outcome)
    assert {outcome for outcome, status in STATUS.items() if status == "PASS"} == {Outcome.PASSED}
    failed = {outcome for outcome, status in STATUS.items() if status == "FAIL"}
    assert not failed & {Outcome.LOST, Outcome.SKIPPED, Outcome.NOT_EXERCISED}


def test_a_cell_is_a_test_with_its_splat() -> None:
    bad = cell_report(Outcome.CRASHED, "KASAN: use-after-free Read in f", crashes=(crash(),))

    (test,) = told(run_report(bad))["tests"]

    assert (test["path"], test["status"]) == ("patchrig.mincore", "FAIL")
    assert "BUG: KASAN: use-after-free in f" in test["log_excerpt"]
    assert test["misc"]["outcome"] == "crashed"


def test_a_series_that_does_not_apply_is_no_valid_checkout_and_its_cells_are_missed() -> None:
    build = Build(variant=Variant.PATCHED, flavour="plain", arch="x86_64")
    refused = BuildFailure(build=build, outcome=Outcome.NOT_APPLIED, title="mm/a.c hunk 1", detail="", log=None)
    found = told(run_report(cell_report(Outcome.NOT_APPLIED, "mm/a.c hunk 1"), builds=(refused,)))

    assert [one["valid"] for one in found["checkouts"]] == [False]
    assert [one["status"] for one in (*found["builds"], *found["tests"])] == ["MISS", "MISS"]


def test_a_kernel_that_does_not_build_fails_with_its_error() -> None:
    broken = BuildFailure(
        build=image().build, outcome=Outcome.BUILD_FAILED, title="a.c:4: error", detail="x\0y\n" * 9000, log=None
    )
    (build,) = told(run_report(cell_report(Outcome.BUILD_FAILED, "a.c:4: error"), builds=(broken,)))["builds"]

    assert build["status"] == "FAIL"
    assert build["log_excerpt"].startswith("a.c:4: error\nx\\x00y")
