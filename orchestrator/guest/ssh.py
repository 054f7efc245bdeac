# SPDX-License-Identifier: GPL-2.0-or-later
"""SSH into the guest for programs; the one place that imports paramiko. A person logs in by login.py."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import GuestNonsense, InfraError, OutOfTime

# A non-login shell of dropbear's has a bare PATH.
_PATH = "export PATH=/bin:/sbin:/usr/bin:/usr/sbin:/patchrig; "
_CHUNK = 65536
# Bytes that are read at a time, and that a command of ours may say; none says a tenth of that.
_MOST_AT_ONCE = 4 << 20
_MOST_SAID = 16 << 20
# A socket has its name a moment before anybody listens on it, and its queue may be full for one.
_MOMENT_SECONDS = 1.0


class GuestUnreachable(InfraError):
    """The guest's SSH server does not answer, or stopped to in the middle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What a command said and how it ended; status -1 when the server did not say."""

    status: int
    text: str


class Guest:
    """A guest that SSH reaches. Every wait has a deadline; every failure to answer is GuestUnreachable."""

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport

    def reachable(self) -> bool:
        return self._transport.is_active()

    def run(self, command: str, until: Deadline) -> Output:
        """Run a shell command to its end; standard output and error together."""
        with self.start(f"{{ {command}\n}} 2>&1", until) as running:
            parts: list[str] = []
            try:
                while not running.ended():
                    parts.append(running.read())
                    if sum(map(len, parts)) > _MOST_SAID:
                        raise GuestNonsense(f"the guest's answer to a command is longer than {_MOST_SAID >> 20} MiB")
                    until.pause()
                parts.append(running.read())
                return Output(status=running.status(until), text="".join(parts))
            except OutOfTime as e:
                raise GuestUnreachable(f"the guest does not end a command: {e}") from e

    @contextmanager
    def start(self, command: str, until: Deadline) -> Iterator["Running"]:
        """Run a shell command for the length of the block; read what it prints as it comes."""
        with ExitStack() as stack:
            try:
                channel = self._transport.open_session(timeout=until.left())
                stack.callback(_close, channel)
                with _ended_at(until, self._transport):
                    channel.exec_command(_PATH + command)
            except (paramiko.SSHException, OSError, EOFError, OutOfTime) as e:
                raise GuestUnreachable(f"the guest's SSH server no longer answers: {_said(e)}") from e
            channel.settimeout(0.0)
            yield Running(channel)


@contextmanager
def _ended_at(until: Deadline, transport: paramiko.Transport) -> Iterator[None]:
    """Close the connection at the deadline, for a call of paramiko's that waits without one."""
    timer = threading.Timer(until.left(), transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Running:
    """A command in the guest. Nothing here blocks."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def read(self) -> str:
        """What came on standard output since the last call, or the first part of it."""
        parts: list[bytes] = []
        while self._channel.recv_ready() and len(parts) * _CHUNK < _MOST_AT_ONCE:
            parts.append(self._channel.recv(_CHUNK))
        return b"".join(parts).decode(errors="replace")

    def read_errors(self) -> str:
        parts: list[bytes] = []
        while self._channel.recv_stderr_ready() and len(parts) * _CHUNK < _MOST_AT_ONCE:
            parts.append(self._channel.recv_stderr(_CHUNK))
        return b"".join(parts).decode(errors="replace")

    def ended(self) -> bool:
        """The command is over, or the connection is; what it printed may still wait to be read."""
        return bool(self._channel.exit_status_ready() or self._channel.closed or self._channel.eof_received)

    def status(self, until: Deadline) -> int:
        """The exit status; -1 when the connection broke before the server told."""
        until.until(lambda: bool(self._channel.exit_status_ready() or self._channel.closed))
        return self._channel.recv_exit_status()


Connection = AbstractContextManager[Guest]


@contextmanager
def connect(address: Path | int, *, user_key: str, pinned_host: str, until: Deadline) -> Iterator[Guest]:
    """Log in as root through a Unix socket, or a port on 127.0.0.1. The host key must be the pinned one: InfraError.

    Call it after the guest's ready line: slirp accepts a connection before anybody listens in the guest, and one tried
    before the guest's network is up costs seconds of SYN back-off. Raises GuestUnreachable.
    """
    with ExitStack() as stack:
        try:
            channel = stack.enter_context(opened(address, until))
            transport = paramiko.Transport(channel)
            stack.callback(_close, transport)
            # The guest may be a hundred times slower than a real machine.
            transport.banner_timeout = transport.auth_timeout = until.left()
            transport.start_client(timeout=until.left())
            _check_host(transport, pinned_host)
            transport.auth_publickey("root", paramiko.Ed25519Key.from_private_key(io.StringIO(user_key)))
        except (paramiko.SSHException, OSError, EOFError, OutOfTime) as e:
            where = f"127.0.0.1:{address}" if isinstance(address, int) else f"the socket {address.name}"
            raise GuestUnreachable(f"no SSH session on {where}: {_said(e)}") from e
        yield Guest(transport)


def opened(address: Path | int, until: Deadline) -> socket.socket:
    """A connection to a Unix socket, or to a port on 127.0.0.1, that gives up at the deadline. Raises OSError."""
    if isinstance(address, int):
        channel = socket.create_connection(("127.0.0.1", address), timeout=until.left())
        # Small messages one after another: each would wait for the acknowledgement of the one before, 40 ms.
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return channel
    moment = Deadline.after(_MOMENT_SECONDS, "the relay")
    while True:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.settimeout(until.left())
            channel.connect(str(address))
        except (ConnectionRefusedError, BlockingIOError):
            channel.close()
            if moment.passed():
                raise
            until.pause()
        except BaseException:
            channel.close()
            raise
        else:
            return channel


def _close(open_end: paramiko.Channel | paramiko.Transport) -> None:
    # Where the other side is gone already, the goodbye can't be sent.
    with suppress(paramiko.SSHException, OSError, EOFError):
        open_end.close()


def _said(error: Exception) -> str:
    # An EOFError, and a time-out of a socket's, have no words of their own.
    return str(error) or type(error).__name__


def _check_host(transport: paramiko.Transport, pinned_host: str) -> None:
    key = transport.get_remote_server_key()
    if f"{key.get_name()} {key.get_base64()}" != pinned_host:
        raise InfraError(
            "the SSH server's host key is not the one made for this run: this is not our guest",
            hint="ss -ltnp  # who else listens on 127.0.0.1",
        )
