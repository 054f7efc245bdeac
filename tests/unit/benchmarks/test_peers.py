# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows that put others beside patchrig compare like with like."""

from pathlib import Path

import pytest

from benchmarks import peers, vng
from orchestrator.host.paths import PROJECT
from orchestrator.kernel.compile.kconfig import parse_fragment
from orchestrator.kernel.compile.make import make_env
from orchestrator.model.arch import ARCHES


@pytest.mark.parametrize("arch", ARCHES)
def test_vngs_kernel_is_patchrigs_with_vngs_fragments_on_top(arch: str) -> None:
    fragments = peers.vng_fragments(ARCHES[arch])

    asked = parse_fragment(fragments[3].read_text(), fragments[3].name)
    assert [path.name for path in fragments[:4]] == ["base.config", f"{arch}.config", "plain.config", "vng.config"]
    assert {"9P_FS", "OVERLAY_FS", "VIRTIO_CONSOLE"} <= set(asked)


def test_vngs_fragments_take_nothing_of_patchrigs_away() -> None:
    for file in (PROJECT / "benchmarks").glob("vng*.config"):
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


def test_a_build_with_the_series_reads_the_compiler_cache_and_writes_nothing_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHRIG_CACHE", str(tmp_path))

    dirs = peers.build_dirs(ARCHES["x86_64"], tmp_path / "src", "by-hand")

    assert make_env(dirs)["CCACHE_READONLY"] == "1"
    assert dirs.out.is_dir()
    assert dirs.ccache == tmp_path / "ccache"
