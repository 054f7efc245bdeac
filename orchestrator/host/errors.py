# SPDX-License-Identifier: GPL-2.0-or-later
"""Why we could not find out whether a kernel is good. A bad kernel is an Outcome, never one of these."""

import errno
import os
from enum import IntEnum
from pathlib import Path
from typing import ClassVar


class ExitCode(IntEnum):
    """What a script that calls patchrig can rely on."""

    OK = 0
    BAD_KERNEL = 1
    USAGE = 2
    INFRA = 3
    BUG = 70
    INTERRUPTED = 130


class OrchestratorError(Exception):
    """We could not find out. `hint` is what to type next."""

    exit_code: ClassVar[ExitCode] = ExitCode.INFRA

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UserError(OrchestratorError):
    """The command line, a YAML file or a patch path must be fixed by the user."""

    exit_code = ExitCode.USAGE


class InfraError(OrchestratorError):
    """This machine failed us: a tool is missing, the disk is full, a live guest can't be reached."""


class ToolMissing(InfraError):
    """A program that Debian packages is not installed."""

    def __init__(self, tool: str) -> None:
        super().__init__(f"{tool} is not installed", hint="patchrig doctor  # names the package")


class GuestNonsense(InfraError):
    """What a guest says of itself can't be true: it proves nothing, and the next guest may be fine."""


class OutOfTime(InfraError):
    """A named wait passed its deadline."""


class ClusterGone(InfraError):
    """The scheduler of a cluster does not answer any more, or the cluster has no worker left."""


class WorkerLost(InfraError):
    """A worker of a cluster ended, or can't be reached any more, before it had answered."""

    def __init__(self, worker: str, why: str, *, begun: bool) -> None:
        super().__init__(f"worker {worker}: {why}")
        self.worker = worker
        self.why = why
        self.begun = begun  # what it was to do, as far as it has said


class Cancelled(OrchestratorError):
    """The user interrupted the run; what had finished is kept."""

    exit_code = ExitCode.INTERRUPTED


_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
_HINTS = {
    **dict.fromkeys(_FULL, "df -h {place}; patchrig clean"),
    **dict.fromkeys(_REFUSED, "ls -ld {place}  # PATCHRIG_CACHE=FOLDER, --results FOLDER and TMPDIR=FOLDER: elsewhere"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "ulimit -n 4096  # then the same again, or with --jobs 1"),
    **dict.fromkeys((errno.ENOMEM, errno.EAGAIN), "free -h; ulimit -u  # then the same again with --jobs 1"),
    errno.EIO: "dmesg | tail  # a disk that fails says so there",
}


def of_this_machine(error: OSError) -> InfraError:
    """What the operating system refused, in words, and what to look at next."""
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    hint = _HINTS.get(error.errno or 0, "patchrig doctor")
    words = error.strerror or str(error) or type(error).__name__
    said = f"{place}: {words}" if place else words
    full = "the disk is full: " if error.errno in _FULL else ""
    return InfraError(f"{full}{said}", hint=hint.format(place=place.parent if place else "."))
