# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools that read our source, as tests: nothing of what they say is left for later."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from orchestrator.guest.programs import Library, compile_argv
from orchestrator.host.packages import packages
from orchestrator.host.process import find_tool
from orchestrator.model.arch import ARCHES, Arch

PROJECT = Path(__file__).resolve().parent.parent
GUEST_SCRIPTS = PROJECT / "guest-scripts"
LIBRARY = GUEST_SCRIPTS / "lib"

SHELL_FOLDERS = (GUEST_SCRIPTS, PROJECT / "tools", PROJECT / ".ci", PROJECT / "benchmarks", PROJECT / "configs" / "ci")
SHELL_SCRIPTS = [
    path
    for folder in SHELL_FOLDERS
    for path in sorted(folder.rglob("*"))
    if path.is_file() and path.suffix in ("", ".sh") and b"python" not in path.read_bytes().partition(b"\n")[0]
]
C_FILES = sorted(GUEST_SCRIPTS.rglob("*.c"))
CI_FILES = sorted((PROJECT / "configs" / "ci").glob("*.yml"))


def check(argv: Sequence[str | Path]) -> None:
    """Run argv in the project; what it says is the test's message when it fails."""
    tool = str(argv[0])
    assert find_tool(tool), f"{tool} is not installed: {remedy(tool)}"
    done = subprocess.run(argv, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def argv_to_source(source: Path, folder: Path, arch: Arch) -> list[str]:
    """How patchrig compiles a program, up to its own source."""
    argv = compile_argv(source, folder / source.stem, arch, Library(folder=LIBRARY), folder / "library.a")
    return argv[: argv.index(str(source)) + 1]


def remedy(tool: str) -> str:
    names = [row.package for row in packages() if row.tool == tool]
    return f"apt-get install {' '.join(names)}" if names else "make setup"


def test_the_source_is_formatted() -> None:
    check([sys.executable, "-m", "ruff", "format", "--check", "."])


def test_the_source_is_free_of_what_ruff_finds() -> None:
    check([sys.executable, "-m", "ruff", "check", "."])


def test_the_types_are_right() -> None:
    check([sys.executable, "-m", "mypy"])


def test_the_types_of_all_code_are_checked() -> None:
    table = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]

    assert set(table["packages"]) == {path.parent.name for path in PROJECT.glob("*/*.py")}


def test_there_are_shell_scripts_and_guest_code_to_check() -> None:
    assert {"console", "setup", "run"} <= {path.name for path in SHELL_SCRIPTS}
    assert {"init.c", "record.c", "swapin.c"} <= {path.name for path in C_FILES}


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_shell_script_is_free_of_what_shellcheck_finds(script: Path) -> None:
    first = script.read_text(encoding="utf-8").partition("\n")[0]
    # Debian 12's shellcheck does not know busybox; its shell has what dash has.
    check(["shellcheck", "--shell", "bash" if "bash" in first else "dash", script])


@pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)
@pytest.mark.parametrize("source", C_FILES, ids=lambda path: path.stem)
def test_guest_code_compiles_without_a_warning(source: Path, arch: Arch, tmp_path: Path) -> None:
    # Not linked: the library's files, which each program is linked with, are compiled once here.
    # tests/process/guest/test_programs.py makes the programs.
    argv = [*argv_to_source(source, tmp_path, arch), "-c"]

    assert {"-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"} <= set(argv)
    check(argv)


@pytest.mark.parametrize("file", CI_FILES, ids=lambda path: path.name)
def test_a_ci_file_parses_and_runs_what_there_is(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert isinstance(yaml.safe_load(text), dict)
    assert "make setup" in text
    for matrix in re.findall(r"patchrig run (configs/\S+)", text):
        assert (PROJECT / matrix).is_file()


def test_continuous_integration_runs_every_test() -> None:
    script = PROJECT / ".ci" / "run"

    assert re.search(r"^make test ", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert script.stat().st_mode & 0o111
