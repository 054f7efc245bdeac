# SPDX-License-Identifier: GPL-2.0-or-later
"""A real deterministic guest of each arch: it proves its work, and does the same again, to the byte."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import which

import pytest

from tests.boot.boot_runs import MATRIX, PATCHRIG, PROJECT, run_command

NEEDS_GDB = pytest.mark.skipif(not (which("gdb-multiarch") or which("gdb")), reason="gdb is not installed")
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


def splat_loads(folder: Path) -> Sequence[str]:
    """io-error, and the same load under another name in which the splats that it provokes fail the cell."""
    own = (PROJECT / "configs" / "workloads" / "io-error.yaml").read_text()
    strict = folder / "io-strict.yaml"
    strict.write_text(own.partition("allow:\n")[0].replace("name: io-error\n", "name: io-strict\n"))
    return ("--workload", "io-error", "--workload", str(strict))


def last_stamp(lines: Sequence[str], words: str) -> float:
    return next(float(line[1:].partition("]")[0]) for line in reversed(lines) if words in line)


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_a_splat_ends_its_guest_unless_it_is_allowed_and_is_identical_again(arch: str, tmp_path: Path) -> None:
    chosen = ["--arch", arch, *splat_loads(tmp_path), "--seconds", "5", "--deterministic"]
    ran = run_command("run", str(MATRIX), *chosen, "--results", str(tmp_path), "--json")
    allowed, strict = (f"patched.plain.{arch}.{name}" for name in ("io-error", "io-strict"))
    assert ran.outcomes() == {allowed: "passed", strict: "crashed"}, ran.titles()
    assert any("allowed: " in reason for reason in ran.cells[allowed]["verdict"]["reasons"])

    argv = [str(PATCHRIG), "replay", ran.folder.name, "io-strict", "--results", str(tmp_path), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1800)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["identical"] is True
    lines = (ran.folder / "cells" / strict / "console.log").read_text(errors="replace").splitlines()
    first = next(line for line in lines if "-error on swap-device" in line)
    # Two seconds for what follows, and what it takes the guest to see the one and to print the other.
    assert 2.0 <= last_stamp(lines, "patchrig: ended splat 0") - last_stamp([first], "swap-device") < 4.0


@NEEDS_GDB
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
