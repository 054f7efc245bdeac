# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's folder in which work goes on: what ended stays, and nothing else does."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.model.guests import Ending, Fault
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.phases import Phase, Span
from orchestrator.model.reports import CellReport
from orchestrator.report.reopened import has_ended, is_reported, reopened
from orchestrator.report.store import load_run
from tests.unit.report.test_store import opened
from tests.unit.samples import HASHES, cell, cell_report, guest_run, image

PLANNED = tuple(cell(workload=name) for name in ("mincore", "shmem", "swapin"))
INTERRUPTED = guest_run(Ending.INTERRUPTED)


def lost(fault: Fault | None) -> CellReport:
    return cell_report(Outcome.LOST, "it can't be known", run=replace(guest_run(Ending.LOST), fault=fault))


@pytest.mark.parametrize(
    ("report", "ended"),
    [
        (cell_report(run=guest_run()), True),
        (cell_report(Outcome.HUNG, "no progress", run=guest_run(Ending.NO_PROGRESS)), True),
        (cell_report(Outcome.SKIPPED, "its sites are absent", run=guest_run()), True),
        (cell_report(Outcome.BUILD_FAILED, "mm/x.c:1: error"), True),
        # The kernel had said so before the end came.
        (cell_report(Outcome.CRASHED, "KASAN", run=INTERRUPTED), True),
        (cell_report(Outcome.SKIPPED, "not run: interrupted by the user", run=INTERRUPTED), False),
        (lost(Fault.GUEST), True),
        (lost(Fault.OURS), True),
        (lost(Fault.MACHINE), False),
        (lost(None), False),
        (cell_report(Outcome.LOST, "line 3 is missing"), False),
    ],
)
def test_a_verdict_stays_and_what_this_machine_spoilt_does_not(report: CellReport, *, ended: bool) -> None:
    assert has_ended(report) is ended


def test_what_had_not_ended_is_forgotten(tmp_path: Path) -> None:
    spans = (Span(phase=Phase.BOOT, start=0.0, end=0.0),)
    with opened(tmp_path) as store:
        store.add_cells([replace(cell_report(of=PLANNED[0], run=guest_run()), spans=spans)])
        store.add_cells([cell_report(Outcome.SKIPPED, "not run", of=PLANNED[1], run=INTERRUPTED)])
        for one in PLANNED:
            (store.cell_folder(one) / "console.log").write_text("as far as it came")
        (store.build_folder(PLANNED[0].build) / ".image.x7d_1q").write_text("half of it")
    before = load_run(store.folder)

    with reopened(before, PLANNED) as again:
        assert [one.cell.name for one in again.report().cells] == [PLANNED[0].name]
        assert [one.cell.name for one in load_run(store.folder).cells] == [PLANNED[0].name]
        assert sorted(path.name for path in (store.folder / "cells").iterdir()) == [PLANNED[0].name]
        assert not [path for path in store.folder.rglob(".*") if path.name != ".lock"]
        again.add_cells([cell_report(of=one, run=guest_run()) for one in PLANNED[1:]])

    after = load_run(store.folder)
    assert [one.cell.name for one in after.cells] == [one.name for one in PLANNED]
    assert after.seconds >= before.seconds
    assert len(after.resumed) == 1
    assert is_reported(after)


def test_a_report_of_before_the_last_cell_is_none(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_cells([cell_report(of=PLANNED[0], run=guest_run())])
        assert not is_reported(load_run(store.folder))
        store.save()
        assert is_reported(load_run(store.folder))
        store.add_cells([cell_report(of=PLANNED[1], run=guest_run())])
        assert not is_reported(load_run(store.folder))


def test_a_kernel_that_is_built_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    arm, x86 = image("arm64"), image()
    failed = BuildFailure(build=x86.build, outcome=Outcome.BUILD_FAILED, title="e", detail="", log=None)
    with opened(tmp_path) as store:
        store.plan([cell(), cell(arch="arm64")], {})
        for one in (arm, failed, x86):
            store.add_build(one)
        assert store.report().builds == (x86, arm)

        store.add_build(replace(x86, seconds=0.0))
        with pytest.raises(UserError, match=r"is not the kernel that cells of .* ran on: another compiler"):
            store.add_build(replace(x86, hashes={**HASHES, "toolchain": "9" * 64}))
