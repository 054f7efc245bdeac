# SPDX-License-Identifier: GPL-2.0-or-later
"""A person's login in a guest: ssh(1), which knows terminals, with the run's keys and nothing of the user's.

Sources: ssh(1), ssh_config(5).
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from orchestrator.guest.keys import RunKeys, save_keys

SSH = "ssh"
RELAY = "socat"
# What ssh(1) ends with when it was ssh that failed, and not the shell at the other end.
SSH_FAILED = 255
# The guest's name in the list of known hosts, whatever leads to it.
_GUEST = "guest"


def login_argv(address: Path | int, keys: RunKeys, folder: Path, *, seconds: float) -> list[str]:
    """ssh(1) as root through a Unix socket, or a port on 127.0.0.1, with at most `seconds` for the start of it.

    The keys are saved in `folder`, which has to stay as long as the session lasts.
    """
    save_keys(keys, folder)
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"{_GUEST} {keys.pinned_host}\n")
    options = {
        "HostKeyAlias": _GUEST,
        "UserKnownHostsFile": _file(known_hosts),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "IdentityFile": _file(folder / "id_ed25519"),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",  # No password is asked for: the key is all there is.
        "ConnectTimeout": str(max(1, int(seconds))),
        "LogLevel": "ERROR",
        **dict(_way(address)),
    }
    return [SSH, "-F", "none", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")), _GUEST]


def _way(address: Path | int) -> Iterator[tuple[str, str]]:
    yield "User", "root"
    if isinstance(address, int):
        yield from (("HostName", "127.0.0.1"), ("Port", str(address)))
    else:
        # By its name in its folder: socat takes commas and colons of a path for its own. The folder may be one of our
        # own descriptors, which is nothing to another process.
        relay = shlex.join(["env", "-C", str(address.parent.resolve()), RELAY, "-", f"UNIX-CONNECT:{address.name}"])
        yield "ProxyCommand", relay.replace("%", "%%")


def _file(path: Path) -> str:
    """A path as ssh_config(5) has it: in quotes, and a percent sign is none of a token's."""
    return '"{}"'.format(str(path).replace("%", "%%"))
