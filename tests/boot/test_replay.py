# SPDX-License-Identifier: GPL-2.0-or-later
"""A real deterministic guest of each arch: it proves its work, and does the same again, to the byte."""

import json
import subprocess
from pathlib import Path
from shutil import which

import pytest

from tests.boot.boot_runs import MATRIX, PATCHRIG, run_command

pytestmark = [pytest.mark.boot, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_a_deterministic_cell_is_identical_again(arch: str, tmp_path: Path) -> None:
    chosen = ["--arch", arch, "--workload", "swapin", "--seconds", "3", "--deterministic"]
    ran = run_command("run", str(MATRIX), *chosen, "--results", str(tmp_path), "--json")
    assert list(ran.outcomes().values()) == ["passed"], ran.titles()

    argv = [str(PATCHRIG), "replay", ran.folder.name, "swapin", "--results", str(tmp_path), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1800)

    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    (cell,) = ran.cells.values()
    stored = json.loads((ran.folder / cell["folder"] / "replay.json").read_text())
    assert said["identical"] is True
    assert said["sha256"] == stored["console"]["sha256"]
    # As by hand.
    by_hand = ran.folder / cell["folder"]
    subprocess.run(["sh", "repro.sh"], cwd=by_hand, check=True, timeout=1800)
    assert (by_hand / "console-again.log").read_bytes() == (by_hand / "console.log").read_bytes()


@pytest.mark.skipif(not (which("gdb-multiarch") or which("gdb")), reason="gdb is not installed")
def test_gdb_sees_the_same_execution(tmp_path: Path) -> None:
    chosen = ["--arch", "x86_64", "--workload", "swapin", "--seconds", "2", "--deterministic"]
    ran = run_command("run", str(MATRIX), *chosen, "--results", str(tmp_path), "--json")

    words = ["--gdb", "--break", "try_to_unuse", "--ex", "backtrace", "--results", str(tmp_path)]
    done = subprocess.run(
        [str(PATCHRIG), "replay", ran.folder.name, "swapin", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "try_to_unuse" in done.stdout
    assert "swapfile.c" in done.stdout
    assert "console       the same to the byte so far" in done.stdout


def test_a_trace_is_the_same_execution(tmp_path: Path) -> None:
    chosen = ["--arch", "x86_64", "--workload", "swapin", "--seconds", "2", "--deterministic"]
    ran = run_command("run", str(MATRIX), *chosen, "--results", str(tmp_path), "--json")

    words = ["--trace", "percpu_ref_kill_and_confirm(ref)", "--json", "--results", str(tmp_path)]
    argv = [str(PATCHRIG), "replay", ran.folder.name, "swapin", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1800)

    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["identical"] is True
    assert said["calls"]
    assert {call["function"] for call in said["calls"]} == {"percpu_ref_kill_and_confirm"}
    # The reference is in the kernel's memory; each swapoff has a task and a time.
    assert all(int(call["arguments"][0], 16) >> 48 == 0xFFFF for call in said["calls"])
    swapoffs = [call for call in said["calls"] if (call["seconds"] or 0) > 1]
    assert swapoffs
    assert all(call["task"] and call["seconds"] <= said["guest_seconds"] for call in swapoffs)


def test_another_seed_is_another_schedule(tmp_path: Path) -> None:
    chosen = ["--arch", "x86_64", "--workload", "swapin", "--seconds", "1", "--deterministic", "--repeat", "2"]
    ran = run_command("run", str(MATRIX), *chosen, "--results", str(tmp_path), "--json", "--jobs", "1")

    records = [json.loads((ran.folder / cell["folder"] / "replay.json").read_text()) for cell in ran.cells.values()]
    assert len({record["seed"] for record in records}) == 2
    assert len({record["console"]["sha256"] for record in records}) == 2
