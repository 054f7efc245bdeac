"""Talking to QEMU itself; the one place that imports qemu.qmp."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from qemu.qmp import QMPClient, QMPError

from orchestrator.deadline import Deadline
from orchestrator.errors import InfraError

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
    arguments = {"paging": False, "protocol": f"file:{file.resolve()}"}
    _execute(socket, "dump-guest-memory", arguments, until, "dump-guest-memory")


def send_break(socket: Path, chardev: str, until: Deadline) -> None:
    """A break on a serial line: what follows is for sysrq, whether or not anybody in the guest reads the line."""
    _execute(socket, "chardev-send-break", {"id": chardev}, until, "chardev-send-break")


def _execute(socket: Path, name: str, arguments: Mapping[str, object], until: Deadline, shown: str) -> object:
    try:
        return asyncio.run(asyncio.wait_for(_ask(socket, name, arguments), until.left()))
    except (QMPError, OSError, TimeoutError, EOFError) as e:
        # A TimeoutError has no words of its own.
        raise InfraError(f"QEMU does not answer {shown!r}: {str(e) or 'out of time'}") from e


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


async def _ask(socket: Path, name: str, arguments: Mapping[str, object]) -> object:
    client = QMPClient("patchrig")
    await client.connect(str(socket))
    try:
        return await client.execute(name, dict(arguments))
    finally:
        await client.disconnect()
