# SPDX-License-Identifier: GPL-2.0-or-later
"""How a cell's guest ended, and who did it: a cell that this host or patchrig spoils is lost, and no other is."""

import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from orchestrator.guest.workload import REFERENCE_SPEED, SLOWEST, Watched
from orchestrator.host.deadline import scope
from orchestrator.host.errors import Cancelled, GuestNonsense, InfraError, OrchestratorError, of_this_machine
from orchestrator.host.text import one_line
from orchestrator.model.guests import Ending, Fault
from orchestrator.vm.qemu import Vm

T = TypeVar("T")

TRACEBACK = "traceback.txt"
# A console on a disk with less room than this may lack its last lines, which may be those that matter.
_LEAST_ROOM = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How the watch over one guest ended; the fields of an Observation with these names say more."""

    ending: Ending
    detail: str = ""
    fault: Fault | None = None
    hint: str = ""


def guarded(work: Callable[[], T], folder: Path) -> T | End:
    """What `work` returns; where it raises, whatever that is, an end that is lost or interrupted.

    A guest decides on what our code gets to see, and one that finds a bug in it must cost no other guest's verdict.
    """
    try:
        return work()
    except Cancelled:
        return End(ending=Ending.INTERRUPTED)
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


def lost(error: Exception, folder: Path) -> End:
    """The end of a cell with this error; an error that nobody foresaw has its traceback in the folder."""
    if isinstance(error, OSError):
        error = of_this_machine(error)
    if isinstance(error, MemoryError):
        error = InfraError("patchrig itself got no more memory", hint="free -h  # then the same again with --jobs 1")
    if isinstance(error, InfraError):
        fault = Fault.GUEST if isinstance(error, GuestNonsense) else Fault.MACHINE
        return End(ending=Ending.LOST, detail=str(error), hint=error.hint, fault=fault)
    hint = _keep_traceback(error, folder / TRACEBACK)
    detail = f"a bug of patchrig's own: {type(error).__name__} {_place(error)}: {one_line(str(error)) or 'no words'}"
    return End(ending=Ending.LOST, detail=detail, hint=hint, fault=Fault.OURS)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"at {Path(frames[0].filename).name}:{frames[0].lineno}" if frames else "at an unknown place"


def _keep_traceback(error: Exception, file: Path) -> str:
    text = "".join(traceback.format_exception(error))
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return "its traceback could not be kept"
    return f"less {file}  # please report it"


def end_of(watched: Watched, vm: Vm) -> End:
    """The end of a guest whose workload was watched."""
    detail = watched.detail
    if watched.ending is Ending.GUEST_GONE:
        detail = f"{vm.ending()} while the workload ran"
    if watched.ending is Ending.PROGRAM_DIED and (said := watched.output.strip()):
        detail = f"{detail}; it last said: {one_line(said.splitlines()[-1], 200)}"
    return End(ending=watched.ending, detail=detail)


def blamed(end: End, vm: Vm) -> End:
    """A guest that resets or powers off ends QEMU with status 0; any other end of QEMU's is none of the guest's."""
    if end.ending not in (Ending.GUEST_GONE, Ending.NEVER_READY) or not (hint := vm.not_the_guests_doing()):
        return end
    return replace(end, ending=Ending.LOST, fault=Fault.MACHINE, hint=hint)


def paused(vm: Vm) -> End | None:
    """The end, as lost, of a guest that QEMU itself no longer runs; None where it does."""
    stopped = vm.paused()
    return End(ending=Ending.LOST, fault=Fault.MACHINE, detail=stopped.why, hint=stopped.hint) if stopped else None


def too_slow(speed: float) -> End | None:
    """The end, as lost, of a guest whose speed would make its limits endless; None for any other."""
    if speed >= REFERENCE_SPEED / SLOWEST:
        return None
    detail = f"the guest says that it is {REFERENCE_SPEED / speed:.0f} times slower than the reference"
    hint = f"uptime  # {SLOWEST:.0f} times is the most: with limits of days no hang would show; --jobs 1 gives it more"
    return End(ending=Ending.LOST, detail=detail, fault=Fault.GUEST, hint=hint)


def with_room(end: End, folder: Path) -> End:
    """The end; lost where the disk that its console was written to is full, as a splat may be missing from it."""
    if end.ending in (Ending.LOST, Ending.INTERRUPTED) or shutil.disk_usage(folder).free >= _LEAST_ROOM:
        return end
    detail = "the disk is full: the guest's console may not be complete"
    return End(ending=Ending.LOST, fault=Fault.MACHINE, detail=detail, hint=f"df -h {folder}; patchrig clean")


# What a guest looks like whose QEMU we have just killed.
_LIKE_KILLED = (Ending.GUEST_GONE, Ending.SSH_LOST, Ending.PROGRAM_DIED, Ending.NEVER_READY, Ending.LOST)


def discount_own_shutdown(end: End) -> End:
    """The end; or an interrupted one where the end of everything came before its own."""
    why = scope().why
    if why and (end.ending is Ending.INTERRUPTED or end.ending in _LIKE_KILLED):
        return End(ending=Ending.INTERRUPTED, detail=f"ended early: {why}")
    return end
