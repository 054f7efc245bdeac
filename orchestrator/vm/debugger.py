# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb beside a guest that waits for it: in the sandbox, as it reads what a series' build has left."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host import process
from orchestrator.host.errors import InfraError
from orchestrator.host.sandbox import Mount, Sandbox, confined_argv, terminal_sandbox_argv
from orchestrator.model.arch import Arch
from orchestrator.vm.argv import GDB_SOCKET, RUNTIME, VmFiles

_SCRIPT = "gdb-commands"
STOPPED = "patchrig: the guest has stopped"
# Nothing of the user's own, and no code out of the kernel's sections; and no question to a server about it.
_QUIET = ("-nx", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off", "-iex", "set confirm off")


class NoDebugger(InfraError):
    """gdb is no part of what patchrig needs for anything else."""

    def __init__(self) -> None:
        super().__init__(
            "gdb-multiarch is not installed", hint="apt-get install gdb-multiarch  # or gdb, for this arch"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Debugger:
    """gdb for one guest, which stands at its first instruction."""

    program: str
    vmlinux: Path
    files: VmFiles
    sandbox: bool

    def prepare(self, places: Sequence[str], passes: int, splits: Sequence[int] = ()) -> None:
        """Write the commands that let the guest run to the first of the places that it comes to.

        At `splits` it never comes by: see RacePoints.
        """
        folder = RUNTIME if self.sandbox else self.files.runtime
        script, socket = self.files.runtime / _SCRIPT, f"{folder / GDB_SOCKET}"
        script.write_text("\n".join((*_commands(socket, places, passes, splits), "")), encoding="utf-8")

    def batch_argv(self, commands: Iterable[str], last: str = "kill") -> Sequence[str]:
        """Run to the place, then the commands; then the guest is ended, or with "disconnect" stays as it is."""
        words = [word for command in (*commands, last) for word in ("-ex", command)]
        argv = [self.program, *_QUIET, "-batch", *self._files(), *words]
        return confined_argv(argv, self._inside(), sandbox=self.sandbox)

    def terminal_argv(self) -> list[str]:
        """Run to the place, then the user has it."""
        argv = [self.program, *_QUIET, *self._files()]
        return terminal_sandbox_argv(argv, self._inside()) if self.sandbox else argv

    def _files(self) -> list[str]:
        folder = RUNTIME if self.sandbox else self.files.runtime
        return ["-x", str(folder / _SCRIPT), str(self.vmlinux.absolute())]

    def _inside(self) -> Sandbox:
        runtime = Mount(self.files.runtime, RUNTIME)
        return Sandbox(readable=(self.vmlinux.absolute(),), writable=(runtime,) if self.sandbox else ())


def debugger_program(arch: Arch) -> str:
    """Raises NoDebugger."""
    fit: tuple[str, ...] = ("gdb-multiarch", *(("gdb",) if platform.machine() == arch.qemu else ()))
    for program in fit:
        if process.find_tool(program):
            return program
    raise NoDebugger


def _commands(socket: str, places: Sequence[str], passes: int, splits: Sequence[int]) -> Iterator[str]:
    # Before the connection, whose answer would be waited for on the terminal page by page.
    yield "set pagination off"
    yield f"target remote {socket}"
    # Of hardware: nothing of the guest's memory changes.
    yield from (f"hbreak {place}" for place in places)
    yield from (f"hbreak *{split:#x}" for split in splits)
    if passes:
        yield from (f"ignore {number} {passes}" for number in range(1, len(places) + 1))
    yield "continue"
    yield f"if $_thread\necho {STOPPED}\\n\nend"
