# SPDX-License-Identifier: GPL-2.0-or-later
"""Child processes: the one place that starts and ends them."""

import logging
import os
import select
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen

from orchestrator.host.deadline import Deadline, raise_if_cancelled, scope
from orchestrator.host.errors import InfraError, ToolMissing

logger = logging.getLogger(__name__)

Child = Popen[bytes]

# A child must not outlive us, even when we get SIGKILL and no handler runs. The signal is tied to the
# thread that forked, which is right here: whoever spawns also stays until the end of the block.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
# Who got SIGKILL before that was set has sent no signal: the child has another parent by now, and must not begin.
_IF_PARENT_LIVES = ("sh", "-c", 'test "$PPID" = "$0" && exec "$@"')

_LOWEST = 19
# Names of all files of a large tree have 10 MiB. Half of an output would be taken for all of it.
_MOST_OUTPUT = 256 << 20
_SIGNALLED = 128


class EndsWithStdin(list[str]):
    """The argv of a program that ends itself, and all that it started, when its standard input does.

    So it is not killed when we are, and can't be killed at a moment when others would be left.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A child that ended by itself: its argv, its exit status (negative: the signal) and what it printed."""

    argv: tuple[str, ...]
    status: int
    output: str


def find_tool(name: str) -> Path | None:
    """The program's path, or None where it is not installed."""
    found = shutil.which(name)
    return Path(found) if found else None


@contextmanager
def spawn(  # noqa: PLR0913  # each is a fact about one child
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    grace: float = 2.0,
    background: bool = False,
    descriptors: Sequence[int] = (),
) -> Iterator[Child]:
    """Run argv for the length of the block, output appended to `log`; its process group is dead afterwards.

    In the background it gets what of the CPUs nobody else wants. It inherits `descriptors`.
    The end of the caller's scope kills it. Raises ToolMissing when argv[0] is not installed.
    """
    if find_tool(argv[0]) is None:
        raise ToolMissing(argv[0])
    logger.debug("+ %s", shlex.join(argv))
    with log.open("ab") as sink:
        child = Popen(
            argv if isinstance(argv, EndsWithStdin) else bound_to(os.getpid(), argv),
            stdin=PIPE if isinstance(argv, EndsWithStdin) else DEVNULL,
            stdout=sink,
            stderr=STDOUT,
            cwd=cwd,
            env=dict(env) if env is not None else None,
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
    if background:
        _lower_priority(child)
    try:
        with scope().ending(partial(_kill_group, child)):
            yield child
    finally:
        _end_group(child, grace)


def bound_to(parent: int, argv: Sequence[str]) -> list[str]:
    """The argv of a child that does not outlive its parent, and does not begin where that is not its parent."""
    return [*_DIE_WITH_PARENT, *_IF_PARENT_LIVES, str(parent), *argv]


def run(
    argv: Sequence[str],
    *,
    log: Path,
    until: Deadline,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run argv to its end and return its status and what it printed, whatever the status.

    Raises OutOfTime at the deadline, Cancelled on an interrupt, ToolMissing when it is not installed.
    """
    start = log.stat().st_size if log.exists() else 0
    with spawn(argv, log=log, cwd=cwd, env=env) as child:
        wait(child, until)
    if child.returncode != 0:
        # The end of the scope kills the child, which may be seen first.
        raise_if_cancelled()
    with log.open("rb") as text:
        text.seek(start)
        output = text.read(_MOST_OUTPUT + 1).decode(errors="replace")
    if len(output) > _MOST_OUTPUT:
        raise InfraError(f"{argv[0]} printed more than {_MOST_OUTPUT >> 20} MiB", hint=f"less {log}")
    return Finished(argv=tuple(argv), status=child.returncode, output=output)


def check(
    argv: Sequence[str],
    *,
    log: Path,
    until: Deadline,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Like run(), for our own tools, whose failure is our trouble: returns the output, raises InfraError."""
    done = run(argv, log=log, until=until, cwd=cwd, env=env)
    if done.status != 0:
        raise InfraError(
            f"{shlex.join(argv)} ended with status {done.status}:\n{last_lines(done.output)}",
            hint=f"less {log}  # the whole output",
        )
    return done.output


def signal_of(status: int) -> int:
    """The signal that killed a child, or what it ran: a shell and bubblewrap add 128 to it. 0 where none did."""
    return -status if status < 0 else max(0, status - _SIGNALLED)


def foreground(argv: Sequence[str]) -> int:
    """Run argv on the user's own terminal until it ends; returns its status. Raises ToolMissing."""
    if find_tool(argv[0]) is None:
        raise ToolMissing(argv[0])
    logger.debug("+ %s", shlex.join(argv))
    with Popen(list(argv)) as child:
        return child.wait()


def wait(child: Child, until: Deadline) -> int:
    """Wait for the child's end, no longer than the deadline; returns its status."""
    pidfd = os.pidfd_open(child.pid)
    try:
        while not select.select([pidfd], [], [], min(0.05, until.left()))[0]:
            pass
    finally:
        os.close(pidfd)
    return child.wait()


def last_lines(text: str, count: int = 20) -> str:
    """The end of a log, for an error message."""
    return "\n".join(text.splitlines()[-count:])


def _kill_group(child: Child) -> None:
    """Kill a child of another thread, which then finds it gone. Its group id is its own until that thread reaps it."""
    if child.stdin:
        _close_stdin(child)
    elif child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _close_stdin(child: Child) -> None:
    if child.stdin:
        with suppress(OSError):
            child.stdin.close()


def _lower_priority(child: Child) -> None:
    # Where the kernel groups tasks by session, nice counts only inside a session, and the group has one of its own.
    with suppress(OSError):
        Path(f"/proc/{child.pid}/autogroup").write_text(str(_LOWEST))
    with suppress(OSError):
        os.setpriority(os.PRIO_PGRP, child.pid, _LOWEST)


def _end_group(child: Child, grace: float) -> None:
    _close_stdin(child)
    if child.returncode is not None:
        return  # Reaped already: its group id may be a stranger's by now.
    pidfd = os.pidfd_open(child.pid)
    try:
        with suppress(ProcessLookupError):
            if child.stdin is None:
                os.killpg(child.pid, signal.SIGTERM)
            # Readable once the leader exits. Unlike wait(), this leaves the group id ours.
            select.select([pidfd], [], [], grace)
            os.killpg(child.pid, signal.SIGKILL)
    finally:
        os.close(pidfd)
        child.wait()
