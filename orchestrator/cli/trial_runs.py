# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig sensitivity` and `patchrig mutate` do alike: the work under a view of it, and how it ended."""

import shutil
import sys
from collections.abc import Callable
from typing import TypeVar

from orchestrator.cli.messages import tell
from orchestrator.host.errors import Cancelled, InfraError, UserError
from orchestrator.model.configuration import Results
from orchestrator.model.events import Listener
from orchestrator.model.trials_report import TrialsReport
from orchestrator.report.terminal import screen, terminal
from orchestrator.report.trial_ledger import TrialLedger
from orchestrator.run.kernels import Request

T = TypeVar("T", bound=TrialsReport)


def refuse_suites(request: Request, what: str) -> None:
    """Raise UserError for a suite among the workloads. `what`: what is run once, as "each mutant"."""
    if suites := [cell.workload.name for cell in request.cells if cell.workload.results is Results.KTAP]:
        raise UserError(
            f"{suites[0]}: a test suite finds a bug by comparing runs, and {what} is run once",
            hint="leave out --suite, or name workloads with --workload",
        )


def run_shown(
    ledger: TrialLedger[T], measure: Callable[[Listener], object], show: Callable[[T], None], *, beside_output: bool
) -> tuple[T, InfraError | None]:
    """Do the work and show the report, whatever ends it; returns the report, and the trouble that this machine had."""
    trouble: InfraError | None = None
    try:
        with terminal(screen(beside_output=beside_output)) as listener:
            measure(listener)
    except InfraError as e:
        trouble = e
    finally:
        why = sys.exc_info()[1]
        report = ledger.save(interrupted=isinstance(why, KeyboardInterrupt | Cancelled))
        if isinstance(why, UserError) and not report.tried:
            # After a mistake on the command line there is nothing to show, and no folder is left.
            shutil.rmtree(report.folder, ignore_errors=True)
        else:
            show(report)
    return report, trouble


def tell_trouble(trouble: InfraError | None, *, missed: bool) -> None:
    """What was missed stays missed, whatever this machine did afterwards; else raise its trouble."""
    if trouble and not missed:
        raise trouble
    if trouble:
        tell(trouble)
