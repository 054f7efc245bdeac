# SPDX-License-Identifier: GPL-2.0-or-later
"""Talking to QEMU itself; the one place that imports qemu.qmp."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

from qemu.qmp import ConnectError, QMPClient, QMPError

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError

T = TypeVar("T")

# Memory that is a shared file is no part of the saved state: the file is.
_WITHOUT_MEMORY = {"capabilities": [{"capability": "x-ignore-shared", "state": True}]}
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(?P<port>\d+)\s")


def human_command(socket: Path, command: str, until: Deadline) -> str:
    """What QEMU's human monitor answers ("info usernet", "info registers -a", "info status").

    Raises InfraError when QEMU is gone or does not answer in time.
    """
    return str(_execute(socket, "human-monitor-command", {"command-line": command}, until, command))


def dump_memory(socket: Path, file: Path, until: Deadline) -> None:
    """Write the guest's whole memory as an ELF core, which gdb, crash and drgn read together with the vmlinux.

    Raises InfraError as human_command() does, and when QEMU can't write the file.
    """

    async def dump(client: QMPClient) -> None:
        with file.open("wb") as sink:
            await _hand_in(client, sink)
        await client.execute("dump-guest-memory", {"paging": False, "protocol": _HANDED_IN})

    _in_session(socket, dump, until, "dump-guest-memory")


def send_break(socket: Path, chardev: str, until: Deadline) -> None:
    """A break on a serial line: what follows is for sysrq, whether or not anybody in the guest reads the line."""
    _execute(socket, "chardev-send-break", {"id": chardev}, until, "chardev-send-break")


def save_devices(socket: Path, file: Path, until: Deadline) -> None:
    """Write all of the machine's state to a file, its memory apart, which is a file that is shared with QEMU.

    The guest stands still afterwards, until go_on(). Raises InfraError as human_command() does, and when it fails.
    """

    async def save(client: QMPClient) -> None:
        await client.execute("migrate-set-capabilities", _WITHOUT_MEMORY)
        with file.open("wb") as sink:
            await _hand_in(client, sink)
        await client.execute("migrate", {"uri": _HANDED_IN})
        while (status := await _status(client, "query-migrate")) != "completed":
            if status in ("failed", "cancelled"):
                raise InfraError(f"QEMU can't save the guest's state to {file}: the migration {status}")
            until.pause()

    _in_session(socket, save, until, "migrate")


def run_state(socket: Path, until: Deadline, *, alive: Callable[[], bool] | None = None) -> str:
    """What QEMU does with the guest: "running", "paused", "io-error"... Raises InfraError as human_command() does.

    With `alive`, QEMU may have just been started.
    """

    async def ask(client: QMPClient) -> str:
        return await _status(client, "query-status")

    return _in_session(socket, ask, until, "query-status", alive=alive)


def stand_still(socket: Path, until: Deadline) -> None:
    """Stop a guest that runs, until go_on()."""
    _execute(socket, "stop", {}, until, "stop")


def command_when(socket: Path, address: int, least: int, command: str, until: Deadline) -> None:
    """Give QEMU's monitor a command once the 8 bytes at an address of the guest's kernel are at least `least`.

    Raises InfraError as human_command() does.
    """

    async def watch(client: QMPClient) -> None:
        while await _number_at(client, address) < least:
            until.left()
            await asyncio.sleep(_SOON)
        await client.execute("human-monitor-command", {"command-line": command})

    _in_session(socket, watch, until, command)


def stop_when(socket: Path, address: int, least: int, until: Deadline) -> int | None:
    """Let a guest run until the 8 bytes at an address of its kernel are a number of at least `least`, then stop it.

    Returns the number once it stands still; None where QEMU ended before. In one session, as the guest runs on between
    two of them.
    """

    async def watch(client: QMPClient) -> int:
        while await _number_at(client, address) < least:
            until.left()
            await asyncio.sleep(_SOON)
        await client.execute("stop")
        return await _number_at(client, address)

    try:
        return _in_session(socket, watch, until, "stop")
    except InfraError:
        return None


async def _number_at(client: QMPClient, address: int) -> int:
    said = str(await client.execute("human-monitor-command", {"command-line": f"x /1xg {address:#x}"}))
    number = said.partition(": 0x")[2].strip()
    return int(number, 16) if number else 0


def go_on(socket: Path, until: Deadline) -> None:
    """Let a guest run on that stands still, as one that was saved does."""
    _execute(socket, "cont", {}, until, "cont")


def load_devices(socket: Path, file: Path, until: Deadline, *, alive: Callable[[], bool]) -> None:
    """Let a QEMU that waits for it load what save_devices() wrote; the guest then runs.

    Raises InfraError as human_command() does; a QEMU that can't use the file ends, and its log says why.
    """

    async def load(client: QMPClient) -> None:
        await client.execute("migrate-set-capabilities", _WITHOUT_MEMORY)
        with file.open("rb") as source:
            await _hand_in(client, source)
        await client.execute("migrate-incoming", {"uri": _HANDED_IN})
        while (status := await _status(client, "query-status")) != "running":
            if status != "inmigrate":
                raise InfraError(f"a restored guest is {status}, and not running")
            until.pause(_SOON)

    _in_session(socket, load, until, "migrate-incoming", alive=alive)


# Files are opened here, and QEMU gets them: in its sandbox it finds none, and may start no program that would.
_DESCRIPTOR = "handed-in"
_HANDED_IN = f"fd:{_DESCRIPTOR}"


async def _hand_in(client: QMPClient, file: BinaryIO) -> None:
    client.send_fd_scm(file.fileno())
    await client.execute("getfd", {"fdname": _DESCRIPTOR})


# What is waited for here takes a few milliseconds.
_SOON = 0.002


async def _status(client: QMPClient, query: str) -> str:
    said = await client.execute(query)
    return str(said.get("status", "")) if isinstance(said, dict) else ""


def _execute(socket: Path, name: str, arguments: Mapping[str, object], until: Deadline, shown: str) -> object:
    async def ask(client: QMPClient) -> object:
        return await client.execute(name, dict(arguments))

    return _in_session(socket, ask, until, shown)


def _in_session(
    socket: Path,
    work: Callable[[QMPClient], Awaitable[T]],
    until: Deadline,
    shown: str,
    *,
    alive: Callable[[], bool] | None = None,
) -> T:
    """Raises InfraError. With `alive`, QEMU may have just been started and have no socket yet."""
    try:
        return asyncio.run(asyncio.wait_for(_worked(socket, work, until, alive), until.left()))
    except (QMPError, OSError, TimeoutError, EOFError) as e:
        # A TimeoutError and an EOFError have no words of their own.
        silent = "out of time" if isinstance(e, TimeoutError) else "it closed the connection"
        raise InfraError(f"QEMU does not answer {shown!r}: {str(e) or silent}") from e


def forwarded_port(socket: Path, until: Deadline) -> int:
    """The port on 127.0.0.1 that leads to the guest's SSH server."""
    answer = human_command(socket, "info usernet", until)
    port = port_of(answer)
    if port is None:
        raise InfraError(f"QEMU forwards no port to the guest; it says:\n{answer}")
    return port


def port_of(usernet: str) -> int | None:
    """The forwarded host port in the text of `info usernet`."""
    match = _FORWARD.search(usernet)
    return int(match["port"]) if match else None


async def _worked(
    socket: Path, work: Callable[[QMPClient], Awaitable[T]], until: Deadline, alive: Callable[[], bool] | None
) -> T:
    client = await _connected(socket, until, alive)
    try:
        return await work(client)
    finally:
        await client.disconnect()


async def _connected(socket: Path, until: Deadline, alive: Callable[[], bool] | None) -> QMPClient:
    while True:
        client = QMPClient("patchrig")
        try:
            # A connection that is refused is logged at length, and here it only came too early.
            if alive is None or socket.exists():
                await client.connect(str(socket))
                return client
        except ConnectError:
            if alive is None:
                raise
        if alive is not None and not alive():
            raise InfraError("QEMU ended at once")
        until.pause(_SOON)
