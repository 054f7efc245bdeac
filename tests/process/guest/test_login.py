# SPDX-License-Identifier: GPL-2.0-or-later
"""A person's session in a guest: the real ssh(1) on a terminal, against the server in the fake QEMU."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from orchestrator.guest.keys import RunKeys, new_keys
from orchestrator.guest.login import SSH_FAILED, login_argv
from orchestrator.host.process import spawn
from tests.process import fake_host
from tests.process.fake_host import Host
from tests.process.guest.test_session import booted, soon

host = fake_host.host


@contextmanager
def session(address: Path | int, keys: RunKeys, folder: Path) -> Iterator["pexpect.spawn[str]"]:
    folder.mkdir()
    argv = login_argv(address, keys, folder, seconds=60)
    child = pexpect.spawn(argv[0], argv[1:], encoding="utf-8", timeout=20, dimensions=(24, 80))
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: "pexpect.spawn[str]") -> int:
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None
    return child.exitstatus


def test_what_is_typed_is_answered_and_the_status_is_the_shells(host: Host) -> None:
    host.scenario([], answers={"uname": "Linux guest\r\n"})

    with booted(host) as (vm, _), session(vm.ssh_address(soon()), host.keys, host.folder / "login") as child:
        child.expect_exact("~ # ")
        child.sendline("uname")
        child.expect_exact("Linux guest")
        child.sendline("exit 7")
        assert ended(child) == 7


def test_the_guest_learns_that_the_window_has_another_size(host: Host) -> None:
    host.scenario([])

    with booted(host) as (vm, _), session(vm.ssh_address(soon()), host.keys, host.folder / "login") as child:
        child.expect_exact("~ # ")
        child.setwinsize(40, 120)
        child.expect_exact("window 120x40")


def test_a_unix_socket_leads_there_whatever_its_folder_is_called(host: Host) -> None:
    host.scenario([])
    folder = host.folder.parent / "a,b 100%:'c'"
    folder.mkdir()

    with booted(host) as (vm, _):
        relay = ["socat", "UNIX-LISTEN:ssh,fork", f"TCP:127.0.0.1:{vm.ssh_address(soon())}"]
        with spawn(relay, log=host.folder / "relay.log", cwd=folder):
            soon().until(lambda: (folder / "ssh").exists())
            with session(folder / "ssh", host.keys, folder / "login") as child:
                child.expect_exact("~ # ")
                child.sendline("exit 0")
                assert ended(child) == 0


@pytest.mark.parametrize("of", ["host", "user"])
def test_another_key_than_the_runs_is_refused_without_a_question(host: Host, of: str) -> None:
    host.scenario([], stranger=of == "host")
    keys = host.keys if of == "host" else replace(new_keys(), pinned_host=host.keys.pinned_host)

    with booted(host) as (vm, _), session(vm.ssh_address(soon()), keys, host.folder / "login") as child:
        child.expect_exact("Host key verification failed" if of == "host" else "Permission denied")
        assert ended(child) == SSH_FAILED


def test_piped_commands_run_to_the_end_of_the_script(host: Host) -> None:
    host.scenario([], answers={"uname": "Linux guest\n"})

    with booted(host) as (vm, _):
        (host.folder / "login").mkdir()
        argv = login_argv(vm.ssh_address(soon()), host.keys, host.folder / "login", seconds=60)
        done = subprocess.run(argv, input="uname\nexit 3\n", capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (3, "~ # Linux guest\n~ # ")


def test_the_users_own_configuration_and_keys_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "login").mkdir()
    argv = login_argv(2222, new_keys(), tmp_path / "login", seconds=60)

    said = subprocess.run([argv[0], "-G", *argv[1:]], capture_output=True, text=True, check=True).stdout
    found = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    assert (found["hostname"], found["port"], found["user"]) == ("127.0.0.1", "2222", "root")
    assert found["identityfile"] == str(tmp_path / "login/id_ed25519")
    assert (found["identityagent"], found["batchmode"], found["stricthostkeychecking"]) == ("none", "yes", "true")


def test_a_folder_that_is_a_descriptor_of_ours_is_named_as_others_find_it(tmp_path: Path) -> None:
    opened = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        argv = login_argv(Path(f"/proc/self/fd/{opened}/ssh"), new_keys(), tmp_path, seconds=60)
    finally:
        os.close(opened)

    (relay,) = (word for word in argv if word.startswith("ProxyCommand="))
    assert str(tmp_path) in relay
    assert "/proc/self" not in relay
