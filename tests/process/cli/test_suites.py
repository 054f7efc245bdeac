# SPDX-License-Identifier: GPL-2.0-or-later
"""A test suite from the command line to the exit code: a toy kernel with a parser of its own, and a fake QEMU."""

import json
import subprocess
from pathlib import Path

import pytest
from junitparser import JUnitXml

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.fake_host import Host, Step, result_line
from tests.process.run.test_suite_results import PARSER, PRINTER
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

SUITE = """\
name: suite
summary: never runs, as the guest is a fake
command: [suite, "{seed}"]
results: ktap
devices: [{kind: zram, size_mib: 16}]
memory_mib: 256
cpus: 2
exercised: {swapoffs: 5}
"""


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    return suite_kernel(host)


def suite_kernel(host: Host) -> ToyKernel:
    """A toy kernel with a parser of KTAP, and a matrix with a suite."""
    kernel = ToyKernel(host)
    kernel.write("linux/tools/testing/kunit/kunit_parser.py", PARSER.replace(" PRINTER", ", printer"))
    kernel.write("linux/tools/testing/kunit/kunit_printer.py", PRINTER)
    kernel.write("workloads/suite.yaml", SUITE)
    kernel.write(
        "matrix.yaml", "kernel: 6.19\nseries: [series.patch]\nworkloads: [suite]\narches: [x86_64]\nrepeat: 3\n"
    )
    return kernel


def suite(*lines: str, status: int = 0) -> list[Step]:
    ktap = ("TAP version 13", f"1..{len(lines)}", *lines)
    return [*(["say", f"|{line}"] for line in ktap), ["say", result_line()], ["exit", status]]


GOOD = suite("ok 1 a", "ok 2 b # SKIP no b", "not ok 3 c # exit=1", status=1)
WORSE = suite("not ok 1 a # exit=139", "ok 2 b # SKIP no b", "not ok 3 c # exit=1", status=1)
BOTH = ("--variant", "baseline", "--variant", "patched", "--jobs", "1")


def latest(kernel: ToyKernel) -> Path:
    return (kernel.host.results / "latest").resolve()


def changes(kernel: ToyKernel) -> dict[str, str]:
    (found,) = json.loads((latest(kernel) / "run.json").read_text())["suites"]
    return {one["path"]: one["change"] for one in found["changes"]}


def test_a_subtest_that_the_series_breaks_is_loud(kernel: ToyKernel) -> None:
    kernel.host.scenario(GOOD, GOOD, GOOD, WORSE)

    done = kernel.run(*BOTH)

    assert done.returncode == 1, done.stderr
    assert changes(kernel) == {"a": "regressed", "b": "skipped", "c": "failing"}
    assert {cell["verdict"]["outcome"] for cell in kernel.host.cells()} == {"subtests-failed"}
    report = JUnitXml.fromfile(str(latest(kernel) / "junit.xml"))
    assert report.failures == 1
    assert "- a: bad 3 of 3 with the series, bad 0 of 3 without (p=0.05): exit=139" in " ".join(
        (latest(kernel) / "summary.txt").read_text().split()
    )


def test_what_is_bad_with_and_without_the_series_is_not(kernel: ToyKernel) -> None:
    kernel.host.scenario(GOOD)

    done = kernel.run(*BOTH)

    assert done.returncode == 0, done.stderr
    assert changes(kernel) == {"a": "ok", "b": "skipped", "c": "failing"}


def test_a_suite_that_only_skips_is_not_exercised(kernel: ToyKernel) -> None:
    kernel.host.scenario(suite("ok 1 a # SKIP no a"))

    done = kernel.run("--repeat", "1")

    assert done.returncode == 1, done.stderr
    (cell,) = kernel.host.cells()
    assert cell["verdict"]["outcome"] == "not-exercised"


def test_a_tree_without_a_parser_is_no_pass(kernel: ToyKernel) -> None:
    (kernel.folder / "linux/tools/testing/kunit/kunit_parser.py").unlink()
    kernel.host.scenario(GOOD)

    done = kernel.run("--repeat", "1")

    assert done.returncode == 1, done.stderr
    (cell,) = kernel.host.cells()
    assert cell["verdict"]["title"].startswith("the suite's results can't be read: the tree has no")


def test_the_parser_is_that_of_the_series(kernel: ToyKernel) -> None:
    """A series may change the parser, too: its own is read with it, the tree's without."""
    old = PARSER.replace(" PRINTER", ", printer").strip("\n").splitlines()
    name = "tools/testing/kunit/kunit_parser.py"
    diff = f"--- a/{name}\n+++ b/{name}\n@@ -1,3 +1,4 @@\n \n {old[0]}\n"
    kernel.write("series.patch", f"{diff}+raise RuntimeError('of the series')\n {old[1]}\n")
    kernel.host.scenario(GOOD)

    done = kernel.run(*BOTH, "--repeat", "1")

    assert done.returncode == 1, done.stderr
    outcomes = {cell["cell"]["build"]["variant"]: cell["verdict"] for cell in kernel.host.cells()}
    assert outcomes["baseline"]["outcome"] == "subtests-failed"
    assert "of the series" in outcomes["patched"]["title"]


def test_a_repeated_cell_is_read_with_the_parser_of_its_run(kernel: ToyKernel) -> None:
    kernel.host.scenario(GOOD)
    kernel.run("--repeat", "1")
    (kernel.folder / "linux/tools/testing/kunit/kunit_parser.py").unlink()
    argv = [kernel.argv()[0], "repro", "latest", "suite", "--no-sandbox", "--results", str(kernel.host.results)]

    done = subprocess.run(argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    assert changes(kernel) == {"a": "ok", "b": "skipped", "c": "failing"}


def test_seeded_bugs_are_not_looked_for_by_a_suite(kernel: ToyKernel) -> None:
    argv = [kernel.argv()[0], "sensitivity", *kernel.argv()[2:], "--bugs", str(kernel.folder)]

    done = subprocess.run(argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 2
    assert "suite: a test suite finds a bug by comparing runs" in done.stderr
