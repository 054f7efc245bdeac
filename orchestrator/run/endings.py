# SPDX-License-Identifier: GPL-2.0-or-later
"""A cell that ends without its kernel's doing: it is lost, with who did it and what to type, and no other cell is."""

import shutil
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from orchestrator.guest.workload import Watched
from orchestrator.host.deadline import why_cancelled
from orchestrator.host.errors import Cancelled, GuestNonsense, InfraError, OrchestratorError, of_this_machine
from orchestrator.host.text import one_line
from orchestrator.judge.verdict import judge
from orchestrator.model.cells import Cell
from orchestrator.model.guests import Ending, Fault, Observation
from orchestrator.model.reports import CellReport
from orchestrator.vm.qemu import Vm

T = TypeVar("T")

TRACEBACK = "traceback.txt"
# A console on a disk with less room than this may lack its last lines, which may be those that matter.
_LEAST_ROOM = 1 << 16


def guarded(work: Callable[[], T], folder: Path) -> T | Observation:
    """What `work` returns; where it raises, whatever that is, a run that was lost or interrupted.

    A guest decides on what our code gets to see, and one that finds a bug in it must cost no other guest's verdict.
    """
    try:
        return work()
    except Cancelled:
        return Observation(ending=Ending.INTERRUPTED)
    except Exception as e:
        return lost(e, folder)


def or_bug(work: Callable[[], T]) -> T | Exception:
    """What `work` returns, or the error of it that nobody foresaw; those that say what they are about are raised."""
    try:
        return work()
    except (OrchestratorError, OSError):
        raise
    except Exception as e:
        return e


def lost(error: Exception, folder: Path) -> Observation:
    """The run of a cell that ended with this error; an error that nobody foresaw has its traceback in the folder."""
    if isinstance(error, OSError):
        error = of_this_machine(error)
    if isinstance(error, MemoryError):
        error = InfraError("patchrig itself got no more memory", hint="free -h  # then the same again with --jobs 1")
    if isinstance(error, InfraError):
        fault = Fault.GUEST if isinstance(error, GuestNonsense) else Fault.MACHINE
        return Observation(ending=Ending.LOST, detail=str(error), hint=error.hint, fault=fault)
    told = _kept(error, folder / TRACEBACK)
    detail = f"a bug of patchrig's own: {type(error).__name__} {_place(error)}: {one_line(str(error)) or 'no words'}"
    return Observation(ending=Ending.LOST, detail=detail, hint=told, fault=Fault.OURS)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"at {Path(frames[0].filename).name}:{frames[0].lineno}" if frames else "at an unknown place"


def _kept(error: Exception, file: Path) -> str:
    text = "".join(traceback.format_exception(error))
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return "its traceback could not be kept"
    return f"less {file}  # please report it"


def lost_report(cell: Cell, error: Exception, folder: Path) -> CellReport:
    """The report of a cell of which nothing but its error is known."""
    run = lost(error, folder)
    verdict, _ = judge(cell, run, (), ())
    return CellReport(cell=cell, verdict=verdict, run=run)


def run_of(watched: Watched, vm: Vm, *, boot_seconds: float, guest_seconds: float) -> Observation:
    """What the watch over a workload saw, in the words of the report."""
    detail = watched.detail
    if watched.ending is Ending.GUEST_GONE:
        detail = f"{vm.ending()} while the workload ran"
    if watched.ending is Ending.PROGRAM_DIED and (said := watched.output.strip()):
        detail = f"{detail}; it last said: {one_line(said.splitlines()[-1], 200)}"
    return Observation(
        ending=watched.ending,
        detail=detail,
        result=watched.result,
        broken=watched.broken,
        exit_status=watched.exit_status,
        boot_seconds=boot_seconds,
        guest_seconds=guest_seconds,
    )


def recorded(report: CellReport, record: Callable[[CellReport], None], folder: Path) -> CellReport:
    """Record a report; one that can't be written as it is, for what is in it, is recorded as lost."""
    try:
        record(report)
    except (ValueError, TypeError, RecursionError) as e:
        report = lost_report(report.cell, e, folder)
        record(report)
    return report


def blamed(run: Observation, vm: Vm) -> Observation:
    """A guest that resets or powers off ends QEMU with status 0; any other end of QEMU's is none of the guest's."""
    if run.ending not in (Ending.GUEST_GONE, Ending.NEVER_READY) or not (hint := vm.not_the_guests_doing()):
        return run
    return replace(run, ending=Ending.LOST, fault=Fault.MACHINE, hint=hint)


def paused(run: Observation, vm: Vm) -> Observation | None:
    """The run, as lost, where QEMU itself no longer runs the guest; None where it does."""
    stopped = vm.paused()
    if not stopped:
        return None
    return replace(run, ending=Ending.LOST, fault=Fault.MACHINE, detail=stopped.why, hint=stopped.hint)


def with_room(run: Observation, folder: Path) -> Observation:
    """The run; lost where the disk that its console was written to is full, as a complaint may be missing from it."""
    if run.ending in (Ending.LOST, Ending.INTERRUPTED) or shutil.disk_usage(folder).free >= _LEAST_ROOM:
        return run
    detail = "the disk is full: the guest's console may not be complete"
    return replace(run, ending=Ending.LOST, fault=Fault.MACHINE, detail=detail, hint=f"df -h {folder}; patchrig clean")


# What a guest looks like whose QEMU we have just killed.
_LIKE_KILLED = (Ending.GUEST_GONE, Ending.SSH_LOST, Ending.PROGRAM_DIED, Ending.NEVER_READY, Ending.LOST)


def discount_own_shutdown(run: Observation) -> Observation:
    """The run; or an interrupted one where the end of everything came before its own."""
    why = why_cancelled()
    if why and (run.ending is Ending.INTERRUPTED or run.ending in _LIKE_KILLED):
        return replace(run, ending=Ending.INTERRUPTED, detail=f"ended early: {why}")
    return run


def interrupted_report(cell: Cell, why: str) -> CellReport:
    """A cell that was never started, because the run was ended first."""
    run = Observation(ending=Ending.INTERRUPTED, detail=why)
    verdict, _ = judge(cell, run, (), ())
    return CellReport(cell=cell, verdict=verdict, run=run)
