"""Why we could not find out whether a kernel is good. A bad kernel is an Outcome, never one of these."""

from enum import IntEnum
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
    """The command line, a YAML file or a patch path must be mended by the user."""

    exit_code = ExitCode.USAGE


class InfraError(OrchestratorError):
    """This machine failed us: a tool is missing, the disk is full, a live guest can't be reached."""


class ToolMissing(InfraError):
    """A program that Debian packages is not installed."""

    def __init__(self, tool: str) -> None:
        super().__init__(f"{tool} is not installed", hint="patchrig doctor  # names the package")


class OutOfTime(InfraError):
    """A named wait passed its deadline."""


class Cancelled(OrchestratorError):
    """The user interrupted the run; what had finished is kept."""

    exit_code = ExitCode.INTERRUPTED
