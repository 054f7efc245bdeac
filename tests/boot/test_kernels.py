# SPDX-License-Identifier: GPL-2.0-or-later
"""The mission on real kernels: the series passes, what is broken on purpose is found, and each failure has its name."""

import subprocess
from pathlib import Path

import junitparser
import pytest

from tests.boot.boot_runs import BUGS, PATCHES, PROJECT, SERIES, Ran, run_command, run_matrix, with_patches

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

WORKLOADS = (
    "swapin",
    "mincore",
    "shmem",
    "willneed",
    "readahead",
    "uffd-move",
    "zswap-writeback",
    "large",
    "io-error",
)
ARCHES = ("x86_64", "arm64")
# One guest at a time: whatever else this machine does, the load of a cell should get to its minimums.
ALONE = ("--jobs", "1")
MAIL = PROJECT.parent / "shared" / "patches" / "v3-03of20-swapoff-lockout.eml"
LEAKS = {
    "swapin-leak": "swapin",
    "mincore-leak": "mincore",
    "shmem-leak": "shmem",
    "willneed-leak": "willneed",
    "readahead-leak": "readahead",
    "uffd-move-leak": "uffd-move",
    "zswap-leak": "zswap-writeback",
}


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The whole matrix with the project's own series."""
    return run_matrix(tmp_path_factory.mktemp("green"), *ALONE)


def test_the_series_passes_every_workload_on_both_arches(green: Ran) -> None:
    assert green.titles() == {
        f"patched.plain.{arch}.{load}": green.titles().get(f"patched.plain.{arch}.{load}", "no such cell")
        for arch in ARCHES
        for load in WORKLOADS
    }
    assert set(green.outcomes().values()) == {"passed"}, green.titles()
    assert green.status == 0


def test_a_passed_cell_carries_the_counters_that_prove_it(green: Ran) -> None:
    for cell in green.cells.values():
        counters = cell["run"]["result"]["counters"]
        for counter, minimum in cell["cell"]["workload"]["exercised"].items():
            assert counters[counter] >= minimum, counter
        assert any(name.startswith("site.") and name.endswith(".calls") for name in counters)


def test_the_junit_file_of_a_run_has_a_suite_for_each_build_and_a_case_for_each_workload(green: Ran) -> None:
    suites = junitparser.JUnitXml.fromfile(str(green.folder / "junit.xml"))

    cases = {suite.name: sorted(case.name for case in suite) for suite in suites}

    assert cases == {f"patched.plain.{arch}": sorted(WORKLOADS) for arch in ARCHES}


def test_the_reproducer_script_runs_the_workload_with_qemu_alone(green: Ran) -> None:
    script = green.folder / "cells" / "patched.plain.x86_64.mincore" / "repro.sh"

    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False, timeout=600)

    assert '"type": "result"' in done.stdout.replace('"type":"result"', '"type": "result"'), done.stdout[-2000:]
    assert "patchrig: workload ended with status 0" in done.stdout


@pytest.mark.parametrize("arch", ARCHES)
def test_a_cell_of_a_run_can_be_run_again_from_its_folder(green: Ran, arch: str, tmp_path: Path) -> None:
    done = run_command("repro", str(green.folder), f"{arch}.willneed", "--results", str(tmp_path), "--json")

    assert set(done.outcomes().values()) == {"passed"}, done.titles()
    seeds = [cell["cell"]["seed"] for cell in done.cells.values()]
    assert seeds == [green.cells[f"patched.plain.{arch}.willneed"]["cell"]["seed"]]


def test_the_series_as_it_was_mailed_gives_the_same_verdicts(green: Ran, tmp_path: Path) -> None:
    if not MAIL.exists():
        pytest.skip(f"{MAIL} is not there")

    mailed = run_matrix(tmp_path, *ALONE, *with_patches(MAIL))

    assert mailed.outcomes() == green.outcomes(), mailed.titles()


@pytest.mark.parametrize(("bug", "workload"), LEAKS.items())
def test_a_dropped_put_is_caught_as_hung_by_the_workload_of_its_site(bug: str, workload: str, tmp_path: Path) -> None:
    patches = with_patches(SERIES, BUGS / f"{bug}.patch")

    ran = run_matrix(tmp_path, "--arch", "x86_64", "--workload", workload, *patches)

    name = f"patched.plain.x86_64.{workload}"
    assert ran.outcomes() == {name: "hung"}, ran.titles()
    assert ran.status == 1
    reasons = ran.cells[name]["verdict"]["reasons"]
    assert any("leaked reference" in reason for reason in reasons), reasons
    evidence = ran.folder / "cells" / name / "evidence"
    assert "swapoff" in (evidence / "stacks.txt").read_text()


BROKEN = {
    "panics-at-boot": ("boot-failed", "this kernel panics on purpose"),
    "hangs-at-boot": ("boot-failed", "ready"),
    "does-not-compile": ("build-failed", "no_such_function"),
    "does-not-apply": ("not-applied", "init/main.c"),
}


@pytest.mark.parametrize(("patch", "expected"), BROKEN.items())
def test_a_kernel_that_never_gets_to_the_workload_has_an_outcome_of_its_own(
    patch: str, expected: tuple[str, str], tmp_path: Path
) -> None:
    outcome, words = expected

    ran = run_matrix(tmp_path, "--arch", "x86_64", "--workload", "swapin", *with_patches(PATCHES / f"{patch}.patch"))

    (title,) = ran.titles().values()
    assert title.startswith(f"{outcome}: ")
    assert words in title
    assert ran.status == 1
