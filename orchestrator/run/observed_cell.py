# SPDX-License-Identifier: GPL-2.0-or-later
"""A cell observed, with what its folder has beside what was observed: the same here and on a worker of a cluster."""

from pathlib import Path

from orchestrator.model.cells import Cell
from orchestrator.model.events import Listener
from orchestrator.model.guests import Ending
from orchestrator.report.kept_replay import keep_replay
from orchestrator.run.bootable import Bootable
from orchestrator.run.cell import Observed, observe
from orchestrator.run.guest_files import write_repro
from orchestrator.run.replaying import record_of


def observed_cell(cell: Cell, bootable: Bootable, *, folder: Path, listener: Listener) -> Observed:
    """Run the cell's guest to its end. The folder then has repro.sh, too, and the record of a deterministic guest."""
    write_repro(cell, bootable, folder)
    observed = observe(cell, bootable, folder=folder, listener=listener)
    # One that was ended in between can't be replayed, and nothing is started for it any more.
    if bootable.guests.deterministic and observed.observation.ending is not Ending.INTERRUPTED:
        keep_replay(record_of(cell, bootable, folder), folder)
    return observed
