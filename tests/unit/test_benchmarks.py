"""The benchmarks change the series as a developer would, ask others for the same work, and compare like with like."""

import json
import subprocess
import sys
from pathlib import Path

import measure
import peers
import pytest
import runs
import vng

from orchestrator.arch import ARCHES
from orchestrator.kernel.kconfig import parse_fragment

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def guest(arch: str, *, virtiofs: bool = False) -> vng.Guest:
    return vng.Guest(
        arch=ARCHES[arch], image=Path("/k/Image"), root=Path("/r"), cpus=2, memory_mib=512, virtiofs=virtiofs
    )


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_rows_are_listed() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "measure.py"), "--list"], capture_output=True, text=True, check=True
    )

    assert [text.split()[0] for text in done.stdout.splitlines()] == [
        *("boot", "cells", "edit", "matrix"),
        *("vng-boot-x86_64", "vng-boot-arm64", "vng-build", "rebuild"),
    ]


def test_an_edited_series_differs_in_one_line_of_one_patch(tmp_path: Path) -> None:
    file = runs.edited_series(tmp_path / "edited", "edit 7")

    changed = [
        (patch.name, old, new)
        for patch in sorted(runs.SERIES.iterdir())
        for old, new in zip(
            patch.read_text().splitlines(), (tmp_path / "edited" / patch.name).read_text().splitlines(), strict=True
        )
        if old != new
    ]

    ((patch_name, old, new),) = changed
    assert new == f"{old} /* edit 7 */"
    assert file.endswith(".c")
    assert f"+++ b/{file}\n" in (runs.SERIES / patch_name).read_text()


def test_an_edit_is_no_other_ones_so_that_no_cache_has_its_image() -> None:
    assert runs.mark_of(1) != runs.mark_of(1)


def test_a_line_without_a_peer_has_the_ratio_to_what_is_to_be_reached() -> None:
    words = measure.line(runs.Figure(what="start", measured=1.5, reach=2.0)).split()

    assert words == ["start", "1.50", "s", "2.00", "s", "0.75"]


def test_a_line_with_a_peer_has_the_ratio_to_the_peer() -> None:
    words = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=0.2)).split()

    assert words == ["start", "1.50", "s", "10.00", "s", "0.20", "0.15"]


def test_the_columns_stay_below_their_heads() -> None:
    head = measure.HEADER
    plain = measure.line(runs.Figure(what="start", measured=1.5, reach=2.0))
    beside = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=0.2))
    shown = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=None))

    assert {len(line) for line in (head, plain, beside, shown)} == {len(head)}


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


@pytest.mark.parametrize("arch", ARCHES)
def test_vngs_kernel_is_patchrigs_with_vngs_fragments_on_top(arch: str) -> None:
    fragments = peers.vng_fragments(ARCHES[arch])

    asked = parse_fragment(fragments[3].read_text(), fragments[3].name)
    assert [path.name for path in fragments[:4]] == ["base.config", f"{arch}.config", "plain.config", "vng.config"]
    assert {"9P_FS", "OVERLAY_FS", "VIRTIO_CONSOLE"} <= set(asked)


def test_vngs_fragments_take_nothing_of_patchrigs_away() -> None:
    for file in BENCHMARKS.glob("vng*.config"):
        assert set(parse_fragment(file.read_text(), file.name).values()) == {"y"}


def test_figures_of_starts_leave_the_first_round_out_and_take_vngs_time_from_qemus_start() -> None:
    ours = {"booted": [90.0, 1.0, 2.0, 3.0], "restored": [90.0, 0.1, 0.2, 0.3]}
    theirs = [vng.Start(of_qemu=seconds, of_vng=seconds + 1) for seconds in (99.0, 8.0, 10.0, 12.0)]

    figures = list(peers.boot_figures("arm64", "Image", ours, theirs, {"booted": 0.25, "restored": None}))

    assert [(one.measured, one.peer, one.reach) for one in figures] == [
        (2.0, 10.0, 0.25),
        (0.2, 10.0, None),
        (2.0, 11.0, None),
    ]


def test_make_by_hand_is_patchrigs_without_the_compiler_cache() -> None:
    argv = ["make", "-C", "/src", "CC=ccache x86_64-linux-gnu-gcc", "-j2", "vmlinux"]

    assert peers.by_hand(argv) == ["make", "-C", "/src", "CC=x86_64-linux-gnu-gcc", "-j2", "vmlinux"]


def test_reports_of_seeded_bugs_are_compared_by_the_bugs_that_both_found(tmp_path: Path) -> None:
    def bug(name: str, seconds: float, status: str = "found") -> dict[str, object]:
        return {"id": name, "class": "C", "status": status, "found": status == "found", "guest_seconds": seconds}

    reports = {
        "plain": [bug("a", 40.0), bug("b", 300.0, "survived"), bug("c", 10.0), bug("d", 0.0, "untried")],
        "widened": [bug("a", 4.0), bug("b", 20.0), bug("c", 2.0)],
    }
    for name, bugs in reports.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "sensitivity.json").write_text(json.dumps({"bugs": bugs}))
    argv = [sys.executable, str(BENCHMARKS / "time_to_find.py"), *(str(tmp_path / name) for name in reports)]

    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert "| C | 2 of 3, 25.0 s (of 2) | 3 of 3, 3.0 s (of 2) |" in said.splitlines()
