# SPDX-License-Identifier: GPL-2.0-or-later
"""The SSH server of the fake QEMU's guest: the keys of the initramfs, and commands that the scenario answers."""

import contextlib
import io
import threading
from typing import TYPE_CHECKING, Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

if TYPE_CHECKING:
    from tests.process.fake_qemu import Guest


def serve(guest: "Guest", steps: list[list[Any]], *, stranger: bool) -> None:
    """Accept connections for ever; `stranger` shows another host key than the one that the client pins."""
    from tests.process.fake_qemu import authorized, private_seed

    seed = bytes(32) if stranger else private_seed(guest.files["etc/dropbear/host_key"])
    host_key = paramiko.Ed25519Key.from_private_key(io.StringIO(openssh_text(seed)))
    user_key = authorized(guest.files["root/.ssh/authorized_keys"])
    while True:
        try:
            client, _ = guest.ssh.accept()
        except OSError:
            return  # the scenario cut it
        transport = paramiko.Transport(client)
        transport.add_server_key(host_key)
        guest.sessions.append(transport)
        with contextlib.suppress(paramiko.SSHException, EOFError):
            server = Server(guest, steps, user_key=user_key, transport=transport)
            transport.start_server(event=threading.Event(), server=server)


def openssh_text(seed: bytes) -> str:
    return (
        Ed25519PrivateKey.from_private_bytes(seed)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        .decode()
    )


class Server(paramiko.ServerInterface):
    """Lets the run's key in, and runs commands."""

    def __init__(
        self, guest: "Guest", steps: list[list[Any]], *, user_key: bytes, transport: paramiko.Transport
    ) -> None:
        self.guest = guest
        self.transport = transport
        self.steps = steps
        self.user_key = user_key

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "root" and key.asbytes() == self.user_key
        return AUTH_SUCCESSFUL if good else AUTH_FAILED

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if b"never-accepted" in command:
            threading.Event().wait()
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def check_channel_pty_request(self, *_facts: object) -> bool:
        return True

    def check_channel_window_change_request(
        self, channel: paramiko.Channel, width: int, height: int, _width_px: int, _height_px: int
    ) -> bool:
        channel.sendall(f"window {width}x{height}\r\n".encode())
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        threading.Thread(target=self._shell, args=(channel,), daemon=True).start()
        return True

    def _shell(self, channel: paramiko.Channel) -> None:
        """A shell with a prompt that answers what the scenario knows, and ends by `exit STATUS`."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.transport.global_request("turn@fake", wait=True)
            channel.sendall(b"~ # ")
            for line in channel.makefile("rU"):
                if line.startswith("exit"):
                    self.guest.exit(int(line.split()[1]), channel=channel)
                    return
                channel.sendall(f"{self.guest.answer(line)}~ # ".encode())

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        # A client that has gone away is no error of the guest's.
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            # Paramiko tells the client that the command was accepted after this thread has begun; its answer to this
            # one comes later.
            self.transport.global_request("turn@fake", wait=True)
            if "run-workload" in command:
                self.guest.follow(self.guest.run_steps(command) or self.steps, channel)
            else:
                channel.sendall(self.guest.answer(command).encode())
                self.guest.exit(0, channel=channel)
