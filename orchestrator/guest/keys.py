# SPDX-License-Identifier: GPL-2.0-or-later
"""The key pair and the host key of one run; the one place that knows dropbear's key file."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestrator.host.errors import UserError
from orchestrator.host.files import replace_whole, replacement, settle

_SECRET = "id_ed25519"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunKeys:
    """What the guest gets (host_key, authorized_keys) and what the client keeps (user_key, the pinned host line)."""

    host_key: bytes
    """Dropbear's private key file for /etc/dropbear/host_key."""
    authorized_keys: bytes
    user_key: str
    """OpenSSH private key, unencrypted; it opens nothing but guests on 127.0.0.1."""
    pinned_host: str
    """The host's public key, 'ssh-ed25519 AAAA...'."""


def new_keys() -> RunKeys:
    """Fresh keys for one run."""
    host, user = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    return RunKeys(
        host_key=dropbear_key(host),
        authorized_keys=_public_line(user).encode() + b"\n",
        user_key=user.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ).decode(),
        pinned_host=_public_line(host),
    )


def dropbear_key(key: Ed25519PrivateKey) -> bytes:
    """The key as dropbear stores it: two SSH strings, the type and seed followed by public key.

    Source: dropbear's ed25519.c, buf_put_ed25519_priv_key().
    """
    private = key.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _ssh_string(b"ssh-ed25519") + _ssh_string(private + public)


def save_keys(keys: RunKeys, folder: Path) -> None:
    """Keep the client's side in a folder, in files that ssh(1) accepts too: id_ed25519 and host.pub."""
    secret = folder / _SECRET
    with replacement(secret) as temporary:
        temporary.write_text(keys.user_key)
        temporary.chmod(0o600)
        settle(temporary, secret)
    replace_whole(folder / "host.pub", f"{keys.pinned_host}\n".encode())


def has_keys(folder: Path) -> bool:
    """Whether save_keys() kept keys there, and nobody took the secret one away."""
    return (folder / _SECRET).exists()


def load_keys(folder: Path) -> RunKeys:
    """The client's side of keys that save_keys kept; the guest's side is in that run's initramfs only."""
    try:
        user_key, host = (folder / _SECRET).read_text(), (folder / "host.pub").read_text()
    except OSError as e:
        raise UserError(f"the run's keys are gone: {e}", hint="patchrig run ...  # makes a new run") from e
    return RunKeys(host_key=b"", authorized_keys=b"", user_key=user_key, pinned_host=host.strip())


def _ssh_string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _public_line(key: Ed25519PrivateKey) -> str:
    encoded = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return encoded.decode()
