# SPDX-License-Identifier: GPL-2.0-or-later
"""The serial console: QEMU writes its log, we read that; and a shell on the console where SSH fails."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pexpect.socket_pexpect

from orchestrator.host.deadline import Deadline, pause_seconds
from orchestrator.host.errors import InfraError

PROMPT = "patchrig# "
# Two keys at once would share a break.
_KEY_SECONDS = 0.5
# Bytes of a console: what is read at a time, and what is kept of a line that does not end.
_MOST_AT_ONCE = 1 << 20
_LONGEST = 1 << 16


class ConsoleLog:
    """Reads the console log as it grows; each instance has a place of its own in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._unread: list[str] = []

    def new_lines(self) -> list[str]:
        """The complete lines since the last call, or after the one that was waited for."""
        unread, self._unread = self._unread, []
        return unread + self._fresh_lines()

    def _fresh_lines(self) -> list[str]:
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                fresh = log.read(_MOST_AT_ONCE)
        except FileNotFoundError:
            return []
        self._offset += len(fresh)
        *lines, rest = (self._rest + fresh).split(b"\n")
        # What is waited for stands at the start of a line.
        self._rest = rest[:_LONGEST]
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def wait_for(self, pattern: re.Pattern[str], *, alive: Callable[[], bool], until: Deadline) -> re.Match[str] | None:
        """The first line from here on that matches; None when the guest ended before it came."""
        while True:
            running, before = alive(), self._offset
            lines = self.new_lines()
            for number, line in enumerate(lines, start=1):
                if match := pattern.search(line):
                    self._unread = lines[number:]
                    return match
            if not running and self._offset == before:
                return None
            until.pause()

    def wait_until_quiet(self, seconds: float, *, until: Deadline) -> None:
        """Wait until nothing has been printed for so long; a splat takes a while to come out."""
        size, quiet = -1, Deadline.after(seconds, "a quiet console")
        while not (quiet.passed() or until.passed()):
            now = self._path.stat().st_size if self._path.exists() else 0
            if now != size:
                size, quiet = now, Deadline.after(seconds, "a quiet console")
            pause_seconds(0.02)


@contextmanager
def serial_shell(path: Path, until: Deadline) -> Iterator["SerialShell"]:
    """The shell on the guest's serial console. Raises InfraError when nothing answers there."""
    with _serial_line(path) as channel:
        # Bytes: with an encoding, SocketSpawn (pexpect 4.9) hands undecoded data to code that wants text.
        shell = SerialShell(pexpect.socket_pexpect.SocketSpawn(channel))
        shell.wake(until)
        yield shell


def sysrq(path: Path, keys: str, send_break: Callable[[], None]) -> None:
    """Give the kernel sysrq commands on the serial line itself, for when nobody in the guest runs a command.

    `send_break` makes the break after which the line's driver takes the next key within 5 s for itself. What the kernel
    says comes on the console. Raises InfraError where the line can't be reached.
    """
    with _serial_line(path) as channel:
        for key in keys:
            send_break()
            try:
                channel.sendall(key.encode())
            except OSError as e:
                raise _unreachable(e) from e
            pause_seconds(_KEY_SECONDS)


@contextmanager
def _serial_line(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        try:
            channel.connect(str(path))
        except OSError as e:
            raise _unreachable(e) from e
        yield channel


def _unreachable(error: OSError) -> InfraError:
    return InfraError(f"the serial console can't be reached: {error}")


class SerialShell:
    """A shell behind a prompt; commands one at a time."""

    def __init__(self, spawned: "pexpect.socket_pexpect.SocketSpawn[bytes]") -> None:
        self._spawned = spawned

    def wake(self, until: Deadline) -> None:
        self.run("", until)

    def run(self, command: str, until: Deadline) -> str:
        """What the command printed (console messages of the kernel may be mixed in)."""
        try:
            self._spawned.sendline(command)
            self._spawned.expect_exact(PROMPT.encode(), timeout=until.left())
        except (pexpect.TIMEOUT, pexpect.EOF, OSError) as e:
            raise InfraError("the shell on the serial console does not answer") from e
        return (self._spawned.before or b"").decode(errors="replace").replace("\r\n", "\n")
