# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/setup on a machine of our making: a PATH with nothing but what a test puts there."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ORDINARY = ("bash", "cat", "dirname", "env", "grep", "readlink", "sha256sum", "mkdir")


class Machine:
    """A checkout with tools/setup in it, and the programs that it finds."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.programs = folder / "bin"
        self.log = folder / "log"
        (self.checkout / "tools").mkdir(parents=True)
        self.programs.mkdir()
        shutil.copy(PROJECT / "tools" / "setup", self.checkout / "tools")
        (self.checkout / "pyproject.toml").write_text("[project]\n")
        self.table("")
        for name in ORDINARY:
            (self.programs / name).symlink_to(str(shutil.which(name)))

    def table(self, rows: str) -> None:
        (self.checkout / "tools" / "packages.txt").write_text(f"# comment\n\n{rows}")

    def program(self, name: str, script: str = "") -> None:
        path = self.programs / name if "/" not in name else self.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/usr/bin/env bash\necho "{Path(name).name} $*" >>"{self.log}"\n{script}\n')
        path.chmod(0o755)

    def with_python(self) -> None:
        self.program(".venv/bin/python")

    def setup(self) -> subprocess.CompletedProcess[str]:
        argv = [str(self.checkout / "tools" / "setup")]
        return subprocess.run(argv, env={"PATH": str(self.programs)}, capture_output=True, text=True, check=False)

    def calls(self, name: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.split()[0] == name]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_python_packages_are_installed_once(machine: Machine) -> None:
    machine.with_python()

    first, second = machine.setup(), machine.setup()

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "installing the Python packages" in first.stdout
    assert second.stdout == ""
    assert len([call for call in machine.calls("python") if "--editable" in call]) == 1


def test_a_changed_pyproject_is_installed_again(machine: Machine) -> None:
    machine.with_python()
    machine.setup()

    (machine.checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    assert "installing the Python packages" in machine.setup().stdout


def test_an_environment_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    machine.with_python()
    machine.setup()
    (machine.checkout / ".venv" / "bin" / "python").unlink()
    machine.program("python3", 'if [ "$1 $2" = "-m venv" ]; then mkdir -p .venv/bin; cp "$0" .venv/bin/python; fi')
    (machine.programs / "cp").symlink_to(str(shutil.which("cp")))

    done = machine.setup()

    assert done.returncode == 0, done.stderr
    assert "making .venv with python3" in done.stdout


def test_without_a_new_enough_python_it_says_what_to_install(machine: Machine) -> None:
    machine.program("python3", "exit 1")

    done = machine.setup()

    assert done.returncode == 3
    assert "no Python 3.11 or newer" in done.stderr


def test_missing_packages_are_named_with_their_reason_before_they_are_installed(machine: Machine) -> None:
    machine.with_python()
    machine.table(
        "flux-tools  flux-capacitor  travels in time\nbash  bash  is there\nno-file  /nowhere/*.h  a header\n"
    )
    machine.program("id", "echo 0")
    machine.program("apt-get")

    done = machine.setup()

    assert done.returncode == 0, done.stderr
    assert "flux-tools              travels in time" in done.stdout
    update, install = machine.calls("apt-get")
    assert update.startswith("apt-get update")
    assert install.endswith("--no-install-recommends flux-tools no-file")


def test_a_user_installs_with_sudo(machine: Machine) -> None:
    machine.with_python()
    machine.table("flux-tools  flux-capacitor  travels in time\n")
    machine.program("id", "echo 1000")
    machine.program("apt-get")
    machine.program("sudo", '"$@"')

    assert machine.setup().returncode == 0
    assert len(machine.calls("sudo")) == len(machine.calls("apt-get")) == 2


def test_the_ssh_server_of_the_tests_is_not_started(machine: Machine) -> None:
    machine.with_python()
    machine.table("openssh-server  nowhere-sshd  stands for a host\n")
    machine.program("id", "echo 0")
    for name in ("apt-get", "systemctl", "install", "rm"):
        machine.program(name)

    done = machine.setup()

    assert done.returncode == 0, done.stderr
    called = [line.split()[0] for line in machine.log.read_text().splitlines() if "python" not in line]
    # A machine that lets no package start a service has the file already.
    before, after = ([], []) if Path("/usr/sbin/policy-rc.d").exists() else (["install"], ["rm"])
    assert called == ["id", "apt-get", *before, "apt-get", "systemctl", *after]
    assert machine.calls("systemctl") == ["systemctl --quiet disable ssh.service"]


def test_a_user_without_sudo_is_told_what_root_has_to_type(machine: Machine) -> None:
    machine.with_python()
    machine.table("flux-tools  flux-capacitor  travels in time\n")
    machine.program("id", "echo 1000")
    machine.program("apt-get")

    done = machine.setup()

    assert done.returncode == 3
    assert "apt-get install --yes --no-install-recommends flux-tools" in done.stderr
    assert not machine.calls("apt-get")


def test_a_failure_of_apt_is_not_passed_over(machine: Machine) -> None:
    machine.with_python()
    machine.table("flux-tools  flux-capacitor  travels in time\n")
    machine.program("id", "echo 0")
    machine.program("apt-get", '[ "$1" = update ]')

    done = machine.setup()

    assert done.returncode == 3
    assert "apt-get failed" in done.stderr
    assert not machine.calls("python"), "nothing goes on after a failure"


def test_the_stamp_is_that_of_what_was_installed(machine: Machine) -> None:
    machine.with_python()
    machine.setup()

    files = [machine.checkout / "pyproject.toml", machine.checkout / "tools" / "setup"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    assert (machine.checkout / ".venv" / "setup-stamp").read_text().startswith(digest)
