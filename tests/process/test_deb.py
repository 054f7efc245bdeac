# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/deb: the package is unpacked into an empty folder, and what is in it runs there."""

import gzip
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(find_tool("dpkg-deb") is None, reason="dpkg-deb is not installed")


def output_of(*argv: object, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in argv], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without the libraries, which would have to be downloaded."""
    folder = tmp_path_factory.mktemp("deb")
    output_of(PROJECT / "tools" / "deb", folder, PYTHON=sys.executable, PIP_ARGS="--no-deps --no-build-isolation")
    (built,) = folder.glob("patchrig_*.deb")
    return built


def test_the_package_depends_on_what_a_run_needs_and_not_on_what_tests_need(package: Path) -> None:
    depends = output_of("dpkg-deb", "--field", package, "Depends").strip().split(", ")

    assert f"python3 (<< 3.{sys.version_info[1] + 1})" in depends
    assert {"qemu-system-x86", "bubblewrap", "make", "ccache"} <= set(depends)
    assert not {"shellcheck", "strace", "python3-venv"} & set(depends)


def test_what_is_in_the_package_runs_where_it_is_unpacked(package: Path, tmp_path: Path) -> None:
    output_of("dpkg-deb", "--extract", package, tmp_path)
    libraries = sysconfig.get_paths()["purelib"]
    command = [sys.executable, tmp_path / "usr/bin/patchrig"]

    place = {"PYTHONPATH": libraries, "PATCHRIG_CACHE": str(tmp_path / "cache")}
    listed = output_of(*command, "list", "swapoff", "--arch", "x86_64", **place)

    assert "patched.plain.x86_64.swapin " in listed
    manual = gzip.decompress((tmp_path / "usr/share/man/man1/patchrig.1.gz").read_bytes())
    assert manual == (PROJECT / "docs/man/patchrig.1").read_bytes()
    assert sorted(path.name for path in (tmp_path / "usr/lib").iterdir()) == ["patchrig"]
    assert not (tmp_path / "usr/lib/patchrig/share").exists()


def test_all_files_belong_to_root_and_nobody_else_may_write_them(package: Path) -> None:
    lines = output_of("dpkg-deb", "--contents", package).splitlines()

    assert lines
    assert {line.split()[1] for line in lines} == {"root/root"}
    assert not [line for line in lines if "w" in line.split()[0][5:]]
