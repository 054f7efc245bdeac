# SPDX-License-Identifier: GPL-2.0-or-later
"""Test suites in real guests: tests of the tree, built for both arches, and programs of Debian's packages."""

import json
from pathlib import Path

import pytest

from tests.boot.boot_runs import PROJECT, Ran, run_command

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

MATRIX = PROJECT / "configs" / "swapoff.yaml"
ARCHES = ("x86_64", "arm64")
# Small folders, on a kernel that other tests have too.
SMALL = """\
name: small
summary: small folders of selftests
selftests: [mincore, timens]
command: [suite-kselftest, "{limit}"]
results: ktap
most_seconds: 120
packages: [bash, coreutils, gawk, grep, perl-base, sed]
devices: [{kind: zram, size_mib: 64}]
memory_mib: 512
exercised: {operations: 1}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder: Path = tmp_path_factory.mktemp("suites")
    (folder / "small.yaml").write_text(SMALL)
    words = ("--workload", str(folder / "small.yaml"), "--suite", "stress-ng:vm,swap", "--variant", "baseline")
    return run_command("run", str(MATRIX), *words, "--seconds", "10", "--results", str(folder), "--json")


def suites_of(ran: Ran) -> dict[str, dict[str, str]]:
    suites = json.loads((ran.folder / "run.json").read_text())["suites"]
    return {
        f"{suite['arch']}.{suite['suite']}": {one["path"]: one["change"] for one in suite["changes"]}
        for suite in suites
    }


@pytest.mark.parametrize("arch", ARCHES)
def test_tests_of_the_tree_run_on_the_arch_that_they_were_built_for(ran: Ran, arch: str) -> None:
    assert ran.outcomes()[f"baseline.plain.{arch}.small"] in ("passed", "subtests-failed"), ran.titles()
    ok = [path for path, change in suites_of(ran)[f"{arch}.small"].items() if change == "ok"]
    assert any("mincore_selftest/" in path for path in ok)


@pytest.mark.parametrize("arch", ARCHES)
def test_stressors_of_a_package_run_in_a_guest_that_swaps(ran: Ran, arch: str) -> None:
    found = suites_of(ran)[f"{arch}.stress-ng-vm-swap"]

    assert found["swap"] == "ok"
    # On a busy machine ten seconds are too few for one operation, which is no pass.
    assert found["vm"] in ("ok", "skipped")
