# SPDX-License-Identifier: GPL-2.0-or-later
"""The initramfs of deterministic guests is a function of what goes into it: made in two places, it is the same."""

from pathlib import Path

import pytest

from orchestrator.guest.archive import GuestFiles, build_initramfs, for_kernel, programs_in, with_keys
from orchestrator.guest.keys import RunKeys, new_keys
from orchestrator.host import paths
from orchestrator.host.deadline import Deadline
from orchestrator.host.process import find_tool
from orchestrator.model.arch import ARCHES
from orchestrator.model.configuration import Workload
from orchestrator.plan.config import load_workload
from tests.process.toy_kernel import APT_GET

pytestmark = pytest.mark.skipif(find_tool("gcc") is None, reason="gcc is not installed")

PACKAGES = """#!/bin/sh
for root in "$@"; do case "$root" in */root) break;; esac; done
mkdir -p "$root/bin" "$root/usr/sbin"
echo busybox >"$root/bin/busybox"
"""
ARCH = ARCHES["x86_64"]
HOST_KEY = b"00000000etc/dropbear/host_key\0"


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fetches Debian's packages is a fake; the compiler is the real one."""
    for name, text in (("mmdebstrap", PACKAGES), ("apt-get", APT_GET)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")


def made(folder: Path, names: tuple[str, ...], keys: RunKeys | None = None) -> bytes:
    """An initramfs with some workloads, from a cache of its own."""
    folder.mkdir(parents=True)
    files = GuestFiles(scripts=paths.GUEST_SCRIPTS, cache=folder / "cache", log=folder / "log")
    loads: tuple[Workload, ...] = tuple(load_workload(name, beside=paths.CONFIGS) for name in names)
    programs = tuple((load, paths.GUEST_SCRIPTS / load.program) for load in loads)
    until = Deadline.after(300, "the initramfs")
    common = build_initramfs(ARCH, programs, keys, files, output=folder / "initramfs", until=until)
    return for_kernel(common, workloads=loads, located=None, coverage=None, output=folder / "own").read_bytes()


def test_made_twice_in_two_folders_it_is_the_same(tmp_path: Path) -> None:
    first = made(tmp_path / "here", ("mincore", "swapin"))

    assert first == made(tmp_path / "another" / "place", ("mincore", "swapin"))
    assert programs_in(first) == ("mincore", "swapin")
    assert HOST_KEY not in first


def test_it_has_keys_only_where_they_are_given_and_only_then_they_are_replaced(tmp_path: Path) -> None:
    with_some = made(tmp_path / "ssh", ("mincore",), new_keys())
    without = made(tmp_path / "none", ("mincore",))
    for name, archive in (("ssh", with_some), ("none", without)):
        (tmp_path / name / "run").write_bytes(archive)
        with_keys(tmp_path / name / "run", new_keys(), output=tmp_path / name / "run")

    assert with_some.count(HOST_KEY) == 1
    assert (tmp_path / "ssh" / "run").read_bytes().count(HOST_KEY) == 2
    assert (tmp_path / "none" / "run").read_bytes() == without
