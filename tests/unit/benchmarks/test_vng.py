# SPDX-License-Identifier: GPL-2.0-or-later
"""virtme-ng's `vng` beside patchrig: how it is called, and from when its start counts."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import vng
from orchestrator.model.arch import ARCHES
from tests.unit.benchmarks.scripts import script


def guest(arch: str, *, virtiofs: bool = False) -> vng.Guest:
    return vng.Guest(
        arch=ARCHES[arch], image=Path("/k/Image"), root=Path("/r"), cpus=2, memory_mib=512, virtiofs=virtiofs
    )


def test_vng_is_told_to_emulate_and_to_take_9p_where_there_is_no_virtiofsd_for_it() -> None:
    argv = vng.vng_argv(Path("/v/bin/vng"), guest("arm64"), qemu=Path("/s/qemu"))

    assert argv == [
        *("/v/bin/vng", "--run", "/k/Image", "--arch", "arm64", "--root", "/r", "--disable-kvm", "--force-9p"),
        *("--cpus", "2", "--memory", "512M", "--qemu", "/s/qemu", "--exec", "echo vng-$((40 + 2))"),
    ]
    assert "--force-9p" not in vng.vng_argv(Path("vng"), guest("x86_64", virtiofs=True), qemu=Path("qemu"))


def test_the_command_does_not_hold_what_is_waited_for() -> None:
    said = subprocess.run(["sh", "-c", vng.COMMAND], capture_output=True, check=True)

    assert vng.SAID in said.stdout
    assert vng.SAID not in vng.COMMAND.encode()


def test_a_start_counts_from_qemus_own_and_from_vngs(tmp_path: Path) -> None:
    stamp = tmp_path / "stamp"
    qemu = script(tmp_path / "qemu", "")
    qemu.write_text(vng.stamping_qemu(str(script(tmp_path / "real", 'echo "$*"')), stamp))
    program = script(tmp_path / "vng", f"{qemu} --version; {qemu} 'vng-'42")

    start = vng.start([str(program)], stamp=stamp, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})

    assert 0 <= start.of_qemu <= start.of_vng


def test_a_guest_that_says_nothing_is_told_with_what_vng_said(tmp_path: Path) -> None:
    program = script(tmp_path / "vng", "echo no such kernel; exit 1")

    with pytest.raises(vng.GuestSilent, match="no such kernel"):
        vng.start([str(program)], stamp=tmp_path / "stamp", cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})


def test_vngs_environment_has_its_programs_first_and_nothing_of_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j")

    env = vng.vng_env(Path("/v/bin/vng"), tmp_path / "home")

    assert env["PATH"].startswith("/v/bin:")
    assert set(env) == {"PATH", "HOME", "LC_ALL", "CCACHE_DISABLE"}


def test_the_root_of_vngs_guests_is_unpacked_and_not_configured() -> None:
    argv = vng.root_argv(ARCHES["arm64"], archive=Path("/p/root.tar"), sources=Path("/p/root.list"))

    assert argv[:3] == ["mmdebstrap", "--variant=extract", "--architectures=arm64"]
    assert {"udev", "bash", "mount", "iproute2"} <= set(argv[3].removeprefix("--include=").split(","))
    assert argv[-3:] == ["bookworm", "/p/root.tar", "/p/root.list"]


def test_a_root_gets_what_its_packages_scripts_would_have_made(tmp_path: Path) -> None:
    for name in ("usr/share/base-passwd", "etc", "sbin"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("passwd", "group"):
        (tmp_path / f"usr/share/base-passwd/{name}.master").write_text(f"root of {name}")

    vng.complete_root(tmp_path)

    assert (tmp_path / "etc/passwd").read_text() == "root of passwd"
    assert {path.name for path in (tmp_path / "etc").iterdir()} == {"passwd", "group", "fstab", "hosts", "shadow"}
    assert (tmp_path / "dev").is_dir()
