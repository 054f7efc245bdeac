# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's keys: the guest's file is dropbear's, the client's are OpenSSH's."""

import base64
import io
import shutil
import stat
import subprocess
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestrator.guest.keys import dropbear_key, load_keys, new_keys, save_keys
from orchestrator.host.errors import UserError

# RFC 8032, 7.1, test 1: the secret key and the public key that belongs to it.
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def ssh_strings(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def test_dropbears_file_is_the_type_and_the_seed_followed_by_the_public_key() -> None:
    written = dropbear_key(Ed25519PrivateKey.from_private_bytes(SECRET))

    assert ssh_strings(written) == [b"ssh-ed25519", SECRET + PUBLIC]


@pytest.mark.skipif(shutil.which("dropbearkey") is None, reason="dropbearkey (dropbear-bin) is not installed")
def test_dropbear_itself_reads_the_host_key(tmp_path: Path) -> None:
    keys = new_keys()
    file = tmp_path / "host_key"
    file.write_bytes(keys.host_key)

    said = subprocess.run(["dropbearkey", "-y", "-f", str(file)], capture_output=True, text=True, check=True).stdout

    assert keys.pinned_host in said


def test_the_pinned_line_is_the_host_keys_public_half() -> None:
    keys = new_keys()
    kind, encoded = keys.pinned_host.split()

    _, private = ssh_strings(keys.host_key)

    assert ssh_strings(base64.b64decode(encoded)) == [b"ssh-ed25519", private[32:]]
    assert kind == "ssh-ed25519"


def test_the_guest_lets_the_clients_key_in() -> None:
    keys = new_keys()
    client = paramiko.Ed25519Key.from_private_key(io.StringIO(keys.user_key))

    assert keys.authorized_keys.decode().split() == ["ssh-ed25519", client.get_base64()]


def test_each_run_has_keys_of_its_own() -> None:
    first, second = new_keys(), new_keys()

    assert len({first.pinned_host, second.pinned_host, *first.authorized_keys.split()[1:]}) == 3
    assert first.user_key != second.user_key


def test_the_clients_side_is_kept_for_a_repro_and_nobody_else_reads_it(tmp_path: Path) -> None:
    keys = new_keys()

    save_keys(keys, tmp_path)
    again = load_keys(tmp_path)

    assert (again.user_key, again.pinned_host) == (keys.user_key, keys.pinned_host)
    assert stat.S_IMODE((tmp_path / "id_ed25519").stat().st_mode) == 0o600


def test_keys_that_are_gone_are_the_users_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="keys are gone") as raised:
        load_keys(tmp_path)

    assert "patchrig run" in raised.value.hint
