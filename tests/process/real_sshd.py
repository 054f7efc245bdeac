# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenSSH's server on loopback: our own configuration, keys and port, and a host's own environment."""

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from orchestrator.host.deadline import Deadline

# Debian's place for it, which an ordinary user's PATH does not have.
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
# sshd started by root refuses to work without it; Debian's service makes it, and we start no service.
_PRIVILEGE_SEPARATION = Path("/run/sshd")


class Sshd:
    """A server that stands for a host; all of it is in a folder of the test's."""

    def __init__(self, folder: Path, key: Path, environment: Mapping[str, str]) -> None:
        """`key`: the private key of who may log in, with its public half beside it."""
        assert SSHD
        self.folder, self.key = folder, key
        folder.mkdir()
        self.host_key = new_key(folder / "host_key")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.config = folder / "sshd_config"
        (folder / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
        settings = " ".join(f'"{name}={value}"' for name, value in environment.items())
        self.config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.host_key}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nPermitRootLogin prohibit-password\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nSetEnv {settings}\n"
        )
        if os.geteuid() == 0:
            _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        with (folder / "log").open("wb") as log:
            self.child = subprocess.Popen([SSHD, "-D", "-e", "-f", self.config], stderr=log)
        Deadline.after(60, "sshd").until(lambda: "Server listening" in (folder / "log").read_text())

    def entry(self, name: str) -> str:
        """What an ssh_config(5) says of the host under this name."""
        known = self.folder / "known_hosts"
        kind, text = self.host_key.with_suffix(".pub").read_text().split()[:2]
        known.write_text(f"[127.0.0.1]:{self.port} {kind} {text}\n")
        return (
            f"Host {name}\n  HostName 127.0.0.1\n  Port {self.port}\n  IdentityFile {self.key}\n"
            f"  UserKnownHostsFile {known}\n"
        )

    def end(self) -> None:
        self.child.terminate()
        self.child.wait(timeout=60)


def new_key(file: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return file
