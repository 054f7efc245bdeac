# SPDX-License-Identifier: GPL-2.0-or-later
"""What earlier runs in a results folder tell."""

from pathlib import Path

from orchestrator.model.configuration import Matrix
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from orchestrator.report.earlier import Earlier, LastRun, read_earlier
from orchestrator.report.store import open_run_at
from tests.unit.samples import cell, cell_report


def ran(
    root: Path, name: str, *cells: CellReport, matrix: str = "m.yaml", series: dict[str, str] | None = None
) -> None:
    made = Matrix(kernel="6.19", workloads=("mincore",))
    with open_run_at(root / name, name, argv=(), matrix_path=str(root / matrix), matrix=made, versions={}) as store:
        if series is not None:
            store.plan([one.cell for one in cells], series)
        store.add_cells(cells)


def read(root: Path, before: str = "9") -> Earlier:
    return read_earlier(root, matrix_path=str(root / "m.yaml"), before=before)


def test_of_each_cell_the_newest_run_that_knows_it_tells(tmp_path: Path) -> None:
    shmem, swapin = cell(workload="shmem"), cell(workload="swapin", repeat=2, repeats=3)
    ran(
        tmp_path, "1", cell_report(Outcome.HUNG, of=shmem), cell_report(Outcome.CRASHED, of=swapin), series={"a.c": "1"}
    )
    ran(tmp_path, "2", cell_report(of=shmem), cell_report(Outcome.SKIPPED, of=swapin), series={"a.c": "2"})
    ran(tmp_path, "3")
    ran(tmp_path, "4", cell_report(Outcome.FAILED, of=shmem), matrix="other.yaml", series={"a.c": "4"})

    earlier = read(tmp_path)

    assert earlier.cells == {
        shmem.name: LastRun(outcome=Outcome.PASSED, overhead=4.5),
        swapin.name: LastRun(outcome=Outcome.CRASHED, overhead=4.5),
    }
    assert earlier.series == {"a.c": "2"}


def test_the_run_itself_and_what_can_not_be_read_tell_nothing(tmp_path: Path) -> None:
    ran(tmp_path, "1", cell_report(Outcome.HUNG))
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "run.json").write_text("{")
    with (tmp_path / "1" / "cells.jsonl").open("a") as file:
        file.write('{"cell": 3}\n{"half')

    assert read(tmp_path, before="1") == Earlier()
    assert [known.outcome for known in read(tmp_path).cells.values()] == [Outcome.HUNG]
