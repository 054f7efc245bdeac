# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig replay`: the same console, or the first difference and what it comes from; with a fake QEMU on the PATH."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.report.kept_replay import REPLAY_FILE
from tests.process import fake_host
from tests.process.fake_host import BOOT, PATCHRIG, PROGRESS, Host, Step, result_line, sample_cell

host = fake_host.host

TOLD: list[Step] = [["tell", f"{PROGRESS}\n"], ["tell", f"{result_line()}\n"]]
ENDED: list[Step] = [["console", "[    5.135316][   T55] patchrig: ended status 0"], ["die", 0]]
STORY = [*BOOT, *TOLD, *ENDED]


def deterministic_run(host: Host, story: Sequence[Step] = STORY) -> Path:
    """The folder of the cell of a deterministic run, which is then the latest."""
    host.earlier_run("x86_64")
    marker = host.results / "earlier" / "cells" / sample_cell("x86_64").name
    marker.mkdir(parents=True)
    (marker / REPLAY_FILE).touch()
    host.scenario([], boot=story)
    done = host.repro()
    assert "mincore" in done.stdout, done.stderr
    (cell,) = host.cells()
    return (host.results / "latest").resolve().joinpath(cell["folder"])


def replay(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [str(PATCHRIG), "replay", "latest", "mincore", "--no-sandbox", "--results", str(host.results), *words]
    return subprocess.run(argv, env=host.environment, capture_output=True, text=True, check=False, timeout=300)


def test_an_unattended_guest_is_judged_like_any_other(host: Host) -> None:
    folder = deterministic_run(host)

    (cell,) = host.cells()
    assert cell["verdict"]["outcome"] == "passed", cell["verdict"]
    assert cell["run"]["exit_status"] == 0
    assert PROGRESS in (folder / "workload.log").read_text()
    assert "-icount shift=" in (folder / "repro.sh").read_text()
    host.await_no_guest()


def test_its_time_is_that_of_its_own_clock(host: Host) -> None:
    deterministic_run(host)

    (cell,) = host.cells()
    # The stamps of the ready line and of the last one.
    assert cell["run"]["guest_seconds"] == pytest.approx(5.135316 - 1.204117)


def test_the_same_console_is_exit_code_0(host: Host) -> None:
    folder = deterministic_run(host)

    done = replay(host)

    assert done.returncode == 0, done.stdout + done.stderr
    stored = json.loads((folder / REPLAY_FILE).read_text())
    assert done.stdout.startswith("identical\n")
    assert stored["console"]["sha256"] in done.stdout
    assert "at 5.135316 s of guest time" in done.stdout
    assert done.stderr.count("NO SANDBOX") == 1
    host.await_no_guest()


def test_another_console_shows_its_first_line_that_differs(host: Host) -> None:
    deterministic_run(host)
    other = [*BOOT, ["console", "[    1.500000][   T10] \x1b[31msomething else"], *TOLD, *ENDED]
    host.scenario([], boot=other)

    done = replay(host)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "different from line 4 " in done.stdout
    assert "now           [    1.500000][   T10] \\x1b[31msomething else" in done.stdout
    assert "the guest has an input that docs/replay.md does not know" in done.stdout


@pytest.mark.parametrize(
    ("file", "what"), [("builds/*/image", "another image"), ("guest/initramfs.*", "another initramfs")]
)
def test_a_file_that_has_changed_is_named(host: Host, file: str, what: str) -> None:
    folder = deterministic_run(host)
    (path,) = folder.parents[1].glob(file)
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + bytes(512))
    host.scenario([], boot=[*BOOT, ["console", "[    1.500000][   T10] something else"], *TOLD, *ENDED])

    done = replay(host, "--json")

    assert done.returncode == 1, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["identical"] is False
    assert [why.partition(":")[0] for why in said["why"]] == [what]


def test_another_qemu_is_named(host: Host) -> None:
    folder = deterministic_run(host)
    launcher = next(
        Path(part) for part in host.environment["PATH"].split(":") if Path(part, "qemu-system-x86_64").exists()
    )
    program = launcher / "qemu-system-x86_64"
    real = program.rename(launcher / "fake-x86_64")
    program.write_text(f'#!/bin/sh\n[ "$1" != --version ] || exec echo "QEMU emulator version 8.0"\nexec {real} "$@"\n')
    program.chmod(0o755)
    host.scenario([], boot=[*BOOT, ["die", 0]])

    done = replay(host)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "because       another QEMU: 'QEMU emulator version 7.2.22 (a fake for tests)'" in done.stdout
    assert "QEMU emulator version 8.0" in done.stdout
    assert f"diff {folder / 'console.log'}" in done.stdout


WARNING = "[    1.913000][   T57] WARNING: mm/swapfile.c:1291 at swap_users_ref_free+0x1/0x20, CPU#1: swapin/57"


@pytest.mark.parametrize(("how", "outcome"), [("splat", "crashed"), ("timeout", "hung")])
def test_the_console_of_a_guest_that_ends_itself_is_whole(host: Host, how: str, outcome: str) -> None:
    last = "[    4.500000][   T57] sysrq: Resetting"
    splat: list[Step] = [["console", WARNING]] if how == "splat" else []
    ended: list[Step] = [["console", f"[    4.0][   T57] patchrig: ended {how} 0"], ["sleep", 2], ["console", last]]
    folder = deterministic_run(host, [*BOOT, *TOLD[:1], *splat, *ended, ["die", 0]])

    assert host.outcomes() == [outcome]
    assert (folder / "console.log").read_text().endswith(f"{last}\n")


def test_a_crash_is_replayed_too(host: Host) -> None:
    panic = "[    1.913000][    T1] Kernel panic - not syncing: Fatal exception"
    deterministic_run(host, [*BOOT, *TOLD[:1], ["console", panic], ["die", 0]])

    assert host.outcomes() == ["crashed"]
    assert replay(host).returncode == 0


def test_a_piece_that_is_missing_proves_nothing(host: Host) -> None:
    deterministic_run(host, [*BOOT, ["console", "[    1.0][    T1] patchrig: said 3 00000000 YQ=="], *TOLD, *ENDED])

    (cell,) = host.cells()
    assert cell["verdict"]["outcome"] not in ("passed", "skipped")
    assert "another checksum" in json.dumps(cell) or "is missing" in json.dumps(cell)


def test_the_cell_of_an_ordinary_run_can_not_be_replayed(host: Host) -> None:
    host.earlier_run("x86_64")
    (host.results / "earlier").rename(host.results / "latest")

    done = replay(host)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "its guest was not deterministic" in done.stderr
    assert "patchrig run ... --deterministic" in done.stderr
