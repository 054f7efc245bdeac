# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig minimise`: trials are cells like any other, the smallest that shows the finding is named; a fake QEMU."""

import json
import subprocess
from pathlib import Path

from orchestrator.report.kept_replay import REPLAY_FILE
from orchestrator.report.store import load_run
from tests.process import fake_host
from tests.process.cli.test_replay import deterministic_run
from tests.process.fake_host import BOOT, PATCHRIG, PROGRESS, Host, Step

host = fake_host.host

PANIC = "[    1.913000][    T1] Kernel panic - not syncing: Fatal exception"
PARTS = PROGRESS.replace("}", ', "threads": 4, "options": {"pages": 8}}')
RED: list[Step] = [*BOOT, ["tell", f"{PARTS}\n"], ["console", PANIC], ["die", 0]]
OTHER = [*BOOT, ["console", "[    1.913000][    T1] Kernel panic - not syncing: VFS: no root"], ["die", 0]]


def minimise(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [str(PATCHRIG), "minimise", "latest", "mincore", "--no-sandbox", "--results", str(host.results), *words]
    return subprocess.run(argv, env=host.environment, capture_output=True, text=True, check=False, timeout=300)


def trials_folder(cell: Path) -> Path:
    (folder,) = cell.parents[1].glob("minimised/*")
    return folder


def test_the_smallest_cell_is_one_that_can_be_replayed(host: Host) -> None:
    folder = deterministic_run(host, RED)

    done = minimise(host, "--json", "--seeds", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["complete"] is True
    assert {one["what"]: (one["before"], one["after"]) for one in said["smaller"]} == {
        "CPUs": ("2", "1"),
        "threads": ("4", "0"),
        "--pages": ("8", "1"),
    }
    run = load_run(trials_folder(folder))
    assert len(run.cells) == said["trials"] == said["trials_shown"]
    assert {cell.verdict.outcome for cell in run.cells} == {"crashed"}
    smallest = next(cell for cell in run.cells if cell.cell.name == said["cell"])
    place = run.folder / smallest.folder
    assert (place / REPLAY_FILE).exists()
    assert "--without 0,1,2,3" in (place / "repro.sh").read_text()
    assert said["cell"] in (run.folder / "minimised.txt").read_text()
    again = [str(PATCHRIG), "replay", run.id, said["cell"], "--no-sandbox", "--results", str(host.results)]
    replayed = subprocess.run(again, env=host.environment, capture_output=True, text=True, check=False, timeout=300)
    assert replayed.stdout.startswith("identical\n"), replayed.stdout + replayed.stderr


def test_a_change_that_loses_the_finding_is_not_kept(host: Host) -> None:
    deterministic_run(host, RED)
    # The guest of the run, the first trial, and then another crash each time.
    host.scenario([], boots=[RED, RED, OTHER])

    done = minimise(host, "--seeds", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "smaller   nothing" in done.stdout
    assert "1 of them showed it; the end: nothing smaller shows it" in done.stdout


def test_no_more_trials_than_the_budget(host: Host) -> None:
    folder = deterministic_run(host, RED)

    done = minimise(host, "--trials", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "trials    2, 2 of them showed it; the end: 2 trials were to be enough" in done.stdout
    assert len(load_run(trials_folder(folder)).cells) == 2


def test_a_cell_that_does_not_show_it_again_is_exit_code_1(host: Host) -> None:
    folder = deterministic_run(host, RED)
    host.scenario([], boot=OTHER)

    done = minimise(host)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "the cell as it was, which did not show it again" in done.stdout
    assert f"patchrig replay {folder.parents[1].name} " in done.stdout


def test_a_green_cell_has_nothing_to_keep(host: Host) -> None:
    folder = deterministic_run(host)

    done = minimise(host)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "is passed: there is nothing to keep" in done.stderr
    assert not (folder.parents[1] / "minimised").exists()
