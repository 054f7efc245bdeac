# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of parts of a matrix become one: each cell once, times on one axis, and nothing that is missing is silent."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.model.blocks import CoverageMap
from orchestrator.model.cells import Cell
from orchestrator.model.guests import Ending, Fault
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome
from orchestrator.model.phases import Phase, Span, Timing
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.merging import merged_builds, merged_cells, merged_report
from tests.unit.samples import HASHES, VERSIONS, cell, cell_report, guest_run, image, run_report

PLANNED = tuple(cell(workload=name) for name in ("mincore", "shmem", "swapin"))
NO_SPACE = replace(guest_run(Ending.LOST), fault=Fault.MACHINE)
PASSED = {one.name: cell_report(of=one, run=guest_run()) for one in PLANNED}


def passed(*names: str) -> list[CellReport]:
    return [report for name, report in PASSED.items() if name.endswith(names)]


def run(name: str, *cells: CellReport, builds: tuple[KernelImage | BuildFailure, ...] | None = None) -> RunReport:
    return replace(run_report(*cells, builds=builds), id=name, folder=Path(name))


def why(cell: Cell) -> str:
    return f"nobody ran {cell.workload.name}"


def outcomes(*runs: RunReport) -> list[tuple[str, str, str]]:
    found = merged_cells(runs, PLANNED, why)
    return [
        (one.report.cell.workload.name, one.report.verdict.outcome.value, one.run.id if one.run else "")
        for one in found
    ]


def test_each_cell_comes_from_the_run_that_has_it_in_the_order_of_the_plan() -> None:
    runs = (run("b", *passed("swapin")), run("a", *passed("shmem", "mincore")))

    assert outcomes(*runs) == [("mincore", "passed", "a"), ("shmem", "passed", "a"), ("swapin", "passed", "b")]


def test_a_cell_that_no_run_has_is_lost() -> None:
    (_, lost, _) = merged_cells([run("a", *passed("mincore", "swapin"))], PLANNED, why)

    assert lost.report.verdict.outcome is Outcome.LOST
    assert lost.report.verdict.title == "nobody ran shmem"


@pytest.mark.parametrize(
    "before",
    [
        cell_report(Outcome.LOST, "the disk is full", of=PLANNED[0], run=NO_SPACE),
        cell_report(Outcome.SKIPPED, "interrupted", of=PLANNED[0], run=guest_run(Ending.INTERRUPTED)),
        replace(cell_report(Outcome.LOST, "line 1 can't be read", of=PLANNED[0]), kernel={"unreadable": "cells.jsonl"}),
    ],
)
def test_what_ended_counts_before_what_did_not(before: CellReport) -> None:
    ended, other = run("a", *passed("mincore", "shmem", "swapin")), run("b", before)

    assert outcomes(other, ended) == outcomes(ended, other) == outcomes(ended)
    assert next(outcome for _, outcome, _ in outcomes(other)) == str(before.verdict.outcome)


def test_the_same_report_twice_is_one() -> None:
    one = run("a", *passed("mincore", "shmem", "swapin"))

    assert outcomes(one, replace(one, id="copy")) == outcomes(one)


def test_a_cell_that_ended_twice_in_different_ways_is_refused() -> None:
    red = cell_report(Outcome.HUNG, "a swapoff never returned", of=PLANNED[1], run=guest_run(Ending.SWAPOFF_STUCK))

    with pytest.raises(UserError, match=r"shmem was run twice, in a \(passed\) and b \(hung\): which of the two"):
        outcomes(run("a", *passed("shmem")), run("b", red))


def test_kernels_of_one_build_must_be_the_same() -> None:
    other = replace(image(), hashes={**HASHES, "toolchain": "9" * 64})

    with pytest.raises(UserError, match=r"patched.plain.x86_64 differ between a and b: another compiler"):
        merged_builds([run("a"), run("b", builds=(other,))])


def test_a_kernel_that_failed_on_one_machine_alone_is_refused() -> None:
    failed = BuildFailure(
        build=image().build, outcome=Outcome.BUILD_FAILED, title="mm/x.c:1: error", detail="", log=None
    )

    with pytest.raises(UserError, match=r"one could not be built: mm/x.c:1: error"):
        merged_builds([run("a"), run("b", builds=(failed,))])
    assert merged_builds([run("a", builds=(failed,)), run("b", builds=(failed,))]) == (failed,)


def test_another_image_of_the_same_inputs_will_do_unless_blocks_are_counted() -> None:
    one, other = (replace(image(), hashes={**HASHES, "image": digit * 64}) for digit in "12")
    assert merged_builds([run("a", builds=(one,)), run("b", builds=(other,))]) == (one,)

    counted = replace(other, coverage=CoverageMap(side="new", diff=(), lines=(), blocks=()))
    with pytest.raises(UserError, match="the same inputs gave another image"):
        merged_builds([run("a", builds=(one,)), run("b", builds=(counted,))])


def test_the_merged_run_tested_what_its_parts_did() -> None:
    runs = tuple(
        replace(run(name, *passed("mincore")), series={"mm/x.c": "ab"}, series_title="swap: one") for name in "ab"
    )

    merged = merged_report(runs, list(merged_cells(runs, PLANNED, why)), run("whole"))

    assert (merged.series_title, merged.series) == ("swap: one", {"mm/x.c": "ab"})


def test_times_are_on_one_axis() -> None:
    spans = (Span(phase=Phase.BOOT, start=1.0, end=2.5),)
    early = run("a", *(replace(one, spans=spans) for one in passed("mincore")))
    early = replace(early, started="2026-11-22T19:01:02+00:00")
    late = replace(
        run("b", *(replace(one, spans=spans) for one in passed("shmem", "swapin"))),
        started="2026-11-22T20:01:12+01:00",
        timings=(Timing(name="kernel source", spans=spans),),
        shard="2/2",
        versions={**VERSIONS, "qemu": "8.2.0"},
        argv=("patchrig", "run", "m.yaml", "--shard", "2/2", "--seconds", "3"),
    )
    runs = (late, early)

    merged = merged_report(runs, list(merged_cells(runs, PLANNED, why)), run("whole"))

    assert merged.started == early.started
    assert merged.seconds == 361.0
    assert [one.spans[0].start for one in merged.cells] == [1.0, 11.0, 11.0]
    assert [(one.name, one.spans[0].end) for one in merged.timings] == [("2/2 kernel source", 12.5)]
    assert merged.versions == {**VERSIONS, "qemu": "8.2.0, 7.2.17"}
    assert merged.argv == ("patchrig", "run", "m.yaml", "--seconds", "3")
    assert (merged.id, merged.shard, merged.merged) == ("whole", "", ("b", "a"))
