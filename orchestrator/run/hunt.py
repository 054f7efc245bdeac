# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig hunt`: round after round of all workloads on all builds, each time with other seeds."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import Cancelled, InfraError
from orchestrator.model.cells import Cell
from orchestrator.model.events import CellEnded, Event, Listener, Notice
from orchestrator.model.hunts import HuntFinding, HuntTask
from orchestrator.model.reports import RunReport
from orchestrator.plan.config import Plan
from orchestrator.plan.hunting import hunt_cells, next_cells
from orchestrator.report.hunt_files import ROUNDS, round_name
from orchestrator.report.hunt_text import repro_words
from orchestrator.report.store import Store, open_run_at
from orchestrator.run.hunt_ledger import HuntLedger
from orchestrator.run.kernels import Request
from orchestrator.run.matrix import rerun, run_matrix
from orchestrator.run.notices import each_notice_once

_HOUR = 3600.0
TIME_IS_UP = "the time of the hunt"


def request_of_task(task: HuntTask) -> Request:
    """What the rounds of a hunt ask for."""
    plan = Plan(path=Path(task.matrix_path), matrix=task.matrix, workloads=task.workloads)
    return Request(
        plan=plan,
        cells=hunt_cells(task.matrix, task.workloads),
        series=task.matrix.series,
        series_version=task.series_version,
        tree=task.tree,
        revision=task.revision,
        sandbox=task.sandbox,
        delayed_files=task.files,
        deterministic=task.deterministic,
        in_order=True,
    )


def run_hunt(ledger: HuntLedger, request: Request, listener: Listener) -> None:
    """Hunt until the time is up or nothing is left to run; what is known is in the ledger whatever happens.

    Raises UserError for functions to delay in that no kernel has, InfraError where this machine fails.
    """
    hours, task, listener = ledger.hunt.hours, ledger.hunt.task, each_notice_once(listener)
    request = replace(request, until=Deadline.after(hours * _HOUR - ledger.seconds, TIME_IS_UP))
    ended = "interrupted"
    try:
        while True:
            cells = next_cells(ledger.cells, task.matrix.seed, ledger.hunted, task.most_rounds)
            if not cells:
                ended = f"{task.most_rounds} rounds are over" if task.most_rounds else "nothing is left to run"
                return
            if request.until is None or request.until.passed():
                ended = f"its {hours:g} hours are over"
                return
            learned = ledger.hunted.learned
            _round(ledger, cells, request, listener)
            if not request.until.passed():
                _check_learned(ledger, learned)
    except (KeyboardInterrupt, Cancelled):
        raise
    except Exception as why:
        ended = f"{type(why).__name__}: {why}".splitlines()[0]
        raise
    finally:
        ledger.end(ended)


def _round(ledger: HuntLedger, cells: Sequence[Cell], request: Request, listener: Listener) -> None:
    number, hunt = ledger.next_round, ledger.hunt
    folder = hunt.folder / ROUNDS / round_name(number)

    def heard(event: Event) -> None:
        listener(event)
        if isinstance(event, CellEnded):
            for finding in ledger.add(event.report, number):
                listener(Notice(text=_notice_of(ledger, finding)))

    with open_run_at(
        folder,
        f"{hunt.id}/{ROUNDS}/{round_name(number)}",
        argv=hunt.argv,
        matrix_path=hunt.task.matrix_path,
        matrix=hunt.task.matrix,
        versions=hunt.versions,
    ) as store:
        try:
            _run(ledger.kernels(), replace(request, cells=tuple(cells)), store, heard)
        finally:
            ledger.end_round(store.report())


def _check_learned(ledger: HuntLedger, before: int) -> None:
    """Raise InfraError where the last round told nothing: what a bug of ours does to a cell, it does to the next."""
    if ledger.hunted.learned == before:
        number = ledger.hunt.rounds
        summary = ledger.hunt.folder / ROUNDS / round_name(number) / "summary.txt"
        raise InfraError(f"all cells of round {number} were lost", hint=f"less {summary}")


def _run(kernels: RunReport | None, request: Request, store: Store, listener: Listener) -> None:
    """With the kernels of an earlier round, where that has them all: a developer's tree may have changed since."""
    if kernels:
        rerun(kernels, request.cells, request, store, listener)
    else:
        run_matrix(request, store, listener)


def _notice_of(ledger: HuntLedger, finding: HuntFinding) -> str:
    mark = "known" if finding.known else "NEW"
    command = shlex.join(repro_words(ledger.hunt, finding.first, ledger.results))
    return f"{mark}: {finding.outcome}: {finding.title}: {command}"
