# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's folder tells the history the same as its report in memory; what is damaged is left out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.model.blocks import DelaySettings
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Matrix, Variant
from orchestrator.model.history import PastRun
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.subtests import Change, SubtestChange, SuiteComparison
from orchestrator.report.history.past_runs import as_read, past_run, read_past_run
from orchestrator.report.store import open_run_at
from tests.unit.samples import cell, cell_report, crash, guest_run

MATRIX = Matrix(kernel="6.19", workloads=("mincore",))
SUITE = SuiteComparison(
    flavour="plain",
    arch="x86_64",
    suite="mm",
    baseline_runs=5,
    patched_runs=5,
    changes=(SubtestChange(path="a/b", change=Change.REGRESSED), SubtestChange(path="a/c", change=Change.OK)),
)


def stored(
    root: Path, name: str, *cells: CellReport, argv: Sequence[str] = ("patchrig", "run"), title: str = "swap: hold"
) -> RunReport:
    """A run's folder as a run leaves it."""
    with open_run_at(root / name, name, argv=argv, matrix_path="m.yaml", matrix=MATRIX, versions={}) as store:
        store.plan([one.cell for one in cells], {"mm/x.c": "ab"}, series_title=title)
        store.set_suites([SUITE])
        store.add_cells(cells)
    return store.report()


def reports() -> list[CellReport]:
    allowed = crash(title="allowed", allowed="known")
    widened = replace(cell(workload="swapin"), widening=DelaySettings(chance_ppm=20_000, sleep_us=30_000, spin_us=1000))
    return [
        cell_report(run=guest_run(), of=cell(repeat=2, repeats=3)),
        cell_report(Outcome.CRASHED, "KASAN: x", run=guest_run(), crashes=(crash(title="KASAN: x"), allowed)),
        cell_report(Outcome.HUNG, "\ud800 half a pair", of=cell(workload="shmem", variant=Variant.BASELINE)),
        cell_report(of=replace(widened, build=Build(variant=Variant.PATCHED, flavour="widened", arch="arm64"))),
        replace(cell_report(Outcome.BUILD_FAILED, "mm/x.c:1: error", of=cell(workload="willneed")), kernel={}),
    ]


def read(root: Path, name: str = "1") -> PastRun:
    found = read_past_run(root / name)
    assert found is not None
    return found


def test_folder_and_report_tell_the_same(tmp_path: Path) -> None:
    report = stored(tmp_path, "1", *reports())

    one, other = past_run(report), read(tmp_path)

    assert [each.identity for each in one.cells] == [each.identity for each in other.cells]
    same = as_read(report)
    assert same is not None
    assert same._replace(seconds=0.0) == other._replace(seconds=0.0)
    assert as_read(replace(report, cells=(cell_report(Outcome.HUNG, "x" * 2000),))) is None
    assert other.regressed == ("plain.x86_64.mm a/b",)


def test_a_cell_is_known_by_kernel_line_series_and_place_and_not_by_its_repeat(tmp_path: Path) -> None:
    stored(tmp_path, "1", *reports())

    first, second, third, fourth, unbuilt = read(tmp_path).cells

    assert first.identity == second.identity
    assert first.name == "patched.plain.x86_64.mincore.2"
    assert (first.identity.kernel, first.identity.series) == ("6.19", "swap: hold")
    assert third.identity.series == ""
    assert '"chance_ppm"' in fourth.identity.delays
    assert unbuilt.identity.kernel == ""
    assert second.splats == ("KASAN: x",)


def test_a_damaged_line_is_left_out_and_a_damaged_run_tells_nothing(tmp_path: Path) -> None:
    stored(tmp_path, "1", *reports())
    file = tmp_path / "1" / "cells.jsonl"
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([lines[0].replace(b"passed", b"failed"), b"\xff", b"[]", *lines[1:]]))

    assert len(read(tmp_path).cells) == 4

    (tmp_path / "1" / "run.json").write_text("{")
    assert read_past_run(tmp_path / "1") is None
