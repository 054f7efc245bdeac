# SPDX-License-Identifier: GPL-2.0-or-later
"""Single deterministic cells on a kernel of an earlier run, one after another, each a cell of a run."""

from orchestrator.host.deadline import raise_if_cancelled
from orchestrator.host.paths import cache_root
from orchestrator.model.cells import Cell
from orchestrator.model.events import CellEnded, CellStarted, Listener
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, BootFiles, Guests
from orchestrator.run.bootable_kernels import earlier_bootable
from orchestrator.run.guest_files import guest_folder
from orchestrator.run.judging import judge_cell, record
from orchestrator.run.observed_cell import observed_cell
from orchestrator.run.run_keys import keys_to_repeat


def deterministic_kernel(report: RunReport, cell: Cell, store: Store, listener: Listener, *, sandbox: bool) -> Bootable:
    """The kernel of a cell as the folder of its run has it, for deterministic guests of the store's run."""
    keys, folder = keys_to_repeat(report.folder / "guest", deterministic=True), guest_folder(store)
    guests = Guests(keys=keys, allow=report.matrix.allow, sandbox=sandbox, deterministic=True)
    files = BootFiles(folder=folder, guests=guests, workloads=(cell.workload,), cache=cache_root(), listener=listener)
    return earlier_bootable(report, cell.build, files, run=store.folder, sandbox=sandbox)


def run_deterministic(cell: Cell, bootable: Bootable, store: Store, listener: Listener) -> CellReport:
    """Observe, judge and record one cell."""
    listener(CellStarted(cell=cell))
    observed = observed_cell(cell, bootable, folder=store.cell_folder(cell), listener=listener)
    raise_if_cancelled()
    (report,) = record([judge_cell(cell, observed, bootable)], store)
    listener(CellEnded(report=report))
    return report
