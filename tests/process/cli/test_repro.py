# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole command, from its argv to its exit code, with a fake QEMU on the PATH."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from junitparser import JUnitXml

from tests.process import fake_host
from tests.process.fake_host import BOOT, PROGRESS, Host, passing

host = fake_host.host

PANIC = "[    0.913000][    T1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_a_cell_that_passes_again_is_exit_code_0(host: Host, arch: str) -> None:
    host.earlier_run(arch)
    host.scenario(passing())

    done = host.repro()

    assert done.returncode == 0, done.stdout + done.stderr
    folder = host.results / "latest"
    (cell,) = host.cells()
    assert cell["verdict"]["outcome"] == "passed"
    assert json.loads((folder / "run.json").read_text())["interrupted"] is False
    assert (folder / cell["folder"] / "console.log").exists()
    assert (folder / cell["folder"] / "workload.json").exists()
    assert "qemu-system-" in (folder / cell["folder"] / "repro.sh").read_text()
    assert f"results: {folder.resolve()}" in done.stdout
    assert (folder / "summary.txt").read_text()
    host.await_no_guest()


def test_a_copy_of_a_run_without_its_private_key_runs_again(host: Host) -> None:
    """What CI keeps of a run has no key: the guest files get another one."""
    host.earlier_run()
    host.scenario(passing())
    kept = host.results / "earlier" / "guest"
    (kept / "id_ed25519").unlink()

    done = host.repro()

    assert done.returncode == 0, done.stdout + done.stderr
    assert host.outcomes() == ["passed"]
    assert (kept / "id_ed25519").stat().st_mode & 0o777 == 0o600


def test_a_panic_at_boot_is_exit_code_1_and_names_the_panic(host: Host) -> None:
    host.earlier_run()
    host.scenario([], boot=[*BOOT[:1], ["console", PANIC], ["die", 0]])

    done = host.repro()

    assert done.returncode == 1, done.stderr
    assert host.outcomes() == ["boot-failed"]
    assert "Unable to mount root fs" in done.stdout


def test_a_crash_is_exit_code_1_and_a_failure_in_the_junit_file(host: Host) -> None:
    host.earlier_run()
    host.scenario([["say", PROGRESS], ["die", 0]])

    done = host.repro()

    assert done.returncode == 1, done.stderr
    assert host.outcomes() == ["crashed"]
    report = JUnitXml.fromfile(str(host.results / "latest" / "junit.xml"))
    assert (report.tests, report.failures + report.errors) == (1, 1)


def test_what_is_not_exercised_is_exit_code_1(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing(calls=3))

    assert host.repro().returncode == 1
    assert host.outcomes() == ["not-exercised"]


def test_until_fail_stops_at_the_first_failure(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing(), passing(), passing(calls=3), passing())

    done = host.repro("--until-fail", "--jobs", "1")

    assert done.returncode == 1, done.stderr
    assert host.outcomes() == ["passed", "passed", "not-exercised"]
    assert len(host.guests()) == 3


def test_two_lost_cells_in_a_row_stop_the_run(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing(), boot=[["ready", {"cpus": "1"}]])

    done = host.repro("--repeat", "4", "--jobs", "1")

    assert done.returncode == 3, done.stderr
    assert "2 cells in a row were lost" in done.stderr
    assert "patchrig doctor" in done.stderr
    assert host.outcomes() == ["lost", "lost", "skipped", "skipped"]
    # The third may have begun while the second was judged.
    assert len(host.guests()) in (2, 3)


def test_without_qemu_it_says_so_and_what_to_type(host: Host) -> None:
    host.earlier_run()
    for program in host.programs.iterdir():
        program.unlink()
    host.environment["PATH"] = str(host.programs)

    done = host.repro()

    assert done.returncode == 3
    assert "qemu-system-aarch64 is not installed" in done.stderr
    assert "patchrig doctor" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_qemu_that_can_not_start_is_this_machines_trouble(host: Host) -> None:
    host.earlier_run()
    host.scenario([], refuses="all")

    done = host.repro()

    assert done.returncode == 3, done.stdout + done.stderr
    assert "QEMU could not start: QEMU ended with status 1" in done.stdout
    assert "patchrig doctor" in (host.results / "latest" / "summary.txt").read_text()


def test_without_the_sandbox_a_run_says_once_what_that_means(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing())

    done = host.repro("--repeat", "2")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("NO SANDBOX") == 1
    assert "SSH ports" in done.stdout


def test_a_long_tmpdir_changes_nothing(host: Host) -> None:
    """A Unix socket's path has 107 bytes at most."""
    host.earlier_run()
    host.scenario(passing())
    host.environment["TMPDIR"] = str(host.folder / ("x" * 120))
    Path(host.environment["TMPDIR"]).mkdir()

    done = host.repro("--repeat", "2", "--jobs", "1")

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_comma_in_every_path_changes_nothing(host: Host) -> None:
    host.results = host.folder / "re,sults"
    host.earlier_run()
    host.scenario(passing())
    host.environment["TMPDIR"] = str(Path(host.environment["TMPDIR"]) / "a,b")
    Path(host.environment["TMPDIR"]).mkdir()

    done = host.repro("--repeat", "2", "--jobs", "1")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_of_another_encoding_shows_what_it_can(host: Host, encoding: str) -> None:
    host.earlier_run()
    host.scenario([["say", json.dumps({"type": "unprepared", "why": "\u6f22 \u00e9 \x1b[2J \u202e"})], ["exit", 4]])
    host.environment |= {"PYTHONIOENCODING": f"{encoding}:strict", "LC_ALL": "C", "PYTHONUTF8": "0"}

    done = host.repro(errors="replace")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "\\u6f22" in done.stdout
    assert "\\x1b[2J \\u202e" in done.stdout
    assert "\x1b" not in done.stdout


def test_guests_that_talk_nonsense_cost_their_own_cells_and_no_other(host: Host) -> None:
    host.earlier_run()
    nonsense = [["ready", {"speed": "1e-300"}]]
    host.scenario(passing(), boots=[nonsense, nonsense, nonsense, BOOT])

    done = host.repro("--repeat", "4", "--jobs", "1", "--no-restore")

    assert host.outcomes() == ["lost", "lost", "lost", "passed"], done.stdout + done.stderr
    assert done.returncode == 3


def test_a_bad_kernel_is_so_although_this_machine_lost_the_cells_after_it(host: Host) -> None:
    host.earlier_run()
    crash = [*BOOT[:1], ["console", PANIC], ["die", 0]]
    host.scenario(passing(), boots=[crash, [["ready", {"cpus": "1"}]]])

    done = host.repro("--repeat", "5", "--jobs", "1", "--no-restore")

    assert host.outcomes() == ["boot-failed", "lost", "lost", "skipped", "skipped"], done.stdout
    assert "2 cells in a row were lost" in done.stderr
    assert done.returncode == 1


def test_a_run_whose_kernel_is_gone_says_how_to_get_another(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing())
    (image,) = host.results.glob("earlier/builds/*/image")
    image.unlink()

    done = host.repro()

    assert done.returncode == 3
    assert "is gone" in done.stderr
    assert "patchrig run" in done.stderr


def test_a_cell_that_does_not_exist_is_the_users_error(host: Host) -> None:
    host.earlier_run()

    done = subprocess.run(
        [str(fake_host.PATCHRIG), "repro", "earlier", "patched.plain.arm64.mincroe", "--results", str(host.results)],
        env=host.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "the nearest is" in done.stderr


def test_a_bug_of_ours_does_not_look_like_a_bad_kernel(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing())
    # Nobody has foreseen that a key is no text.
    (host.results / "earlier" / "guest" / "id_ed25519").write_bytes(b"\xff\xfe no text")

    done = host.repro()

    assert done.returncode == 70, done.stderr
    assert "bug of patchrig's own" in done.stderr


@pytest.fixture
def small_disk(host: Host) -> Iterator[Path]:
    """The results folder on a file system of 1 MiB."""
    host.results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(host.results)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can't be mounted here")
    yield host.results
    subprocess.run(["umount", "--lazy", str(host.results)], check=True)


def fill(folder: Path) -> None:
    with (folder / "ballast").open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_full_disk_is_named_before_anything_runs(host: Host, small_disk: Path) -> None:
    host.earlier_run()
    host.scenario(passing())
    fill(small_disk)

    done = host.repro()

    assert done.returncode == 3, done.stderr
    assert "the disk is full" in done.stderr
    assert "df -h" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_fills_in_the_middle_ends_the_run_and_keeps_what_had_finished(host: Host, small_disk: Path) -> None:
    host.earlier_run()
    host.scenario(passing(), [["mark", "second"], ["await_mark", "full"], *passing()])
    running = host.start_repro("--repeat", "6", "--jobs", "1")
    host.marked("second")

    fill(small_disk)
    host.mark("full")
    _, said = running.communicate(timeout=120)

    assert running.returncode == 3, said
    assert "the disk is full" in said
    assert "Traceback" not in said
    # A line may still have fitted into the file's last block; each that is there is whole.
    assert host.outcomes() in (["passed"], ["passed", "lost"])
    host.await_no_guest()


def test_seed_and_seconds_can_be_changed_and_the_outcome_read_as_json(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing())

    done = host.repro("--seed", "99", "--seconds", "2", "--json")

    said = json.loads(done.stdout)
    assert [cell["outcome"] for cell in said["cells"]] == ["passed"]
    (cell,) = host.cells()
    assert (cell["cell"]["seed"], cell["cell"]["seconds"]) == (99, 2)
