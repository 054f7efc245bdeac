# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig reach`, and a `patchrig run` that uses its map: on a toy kernel that is really built, with fake guests."""

import json
import subprocess

import pytest

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.cli.test_suites import suite
from tests.process.fake_host import PATCHRIG, Host, passing, result_line
from tests.process.instrumented_toy import instrument
from tests.process.run.test_suite_results import PARSER, PRINTER
from tests.process.toy_kernel import LOAD, ToyKernel

host = fake_host.host

pytestmark = [
    pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed"),
    pytest.mark.skipif(find_tool("llvm-symbolizer") is None, reason="llvm-symbolizer is not installed"),
]

SERIES = (
    "--- a/mm/fault.c\n+++ b/mm/fault.c\n@@ -3,10 +3,15 @@\n void handle_fault(int kind)\n {\n \tif (kind)\n"
    "-\t\tfaults++;\n+\t\tfaults += 2;\n+}\n+\n+void fresh(void)\n+{\n+\thandle_fault(1);\n }\n \n"
    " void drop_slot(void)\n {\n-\tfaults--;\n+\tfaults -= 2;\n }\n"
)


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    made = ToyKernel(host)
    instrument(made, "mm/fault.c")
    made.write("series.patch", SERIES)
    made.write("workloads/shmem.yaml", LOAD.replace("name: mincore", "name: shmem"))
    matrix = "kernel: 6.19\nseries: [series.patch]\nworkloads: [mincore, shmem]\narches: [x86_64]\nseconds: 20\n"
    made.write("matrix.yaml", matrix)
    return made


def reach(kernel: ToyKernel, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [str(PATCHRIG), "reach", *kernel.argv(*words)[2:]]
    return subprocess.run(argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300)


def said(*offsets: int) -> dict[str, str]:
    """What guests answer that ran the blocks at these offsets."""
    return {"patchrig/reached": "".join(f"{offset:x} - 1 0 0 0\n" for offset in offsets)}


# handle_fault() has 32 bytes at least, with its callbacks, and begins the text.
FIRST = range(0x18)
# Of a suite, which counts what it does otherwise than a workload.
COUNTS = {"before": {"operations": 0}, "after": {"operations": 2}}
SUITE = [*suite("ok 1 a", "not ok 2 b")[:-2], ["say", result_line(counters=COUNTS)], ["exit", 1]]


def test_what_guests_ran_becomes_a_map_that_is_kept(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), answers=said(*FIRST))

    done = reach(kernel, "--json")

    assert done.returncode == 0, done.stderr
    (map_,) = json.loads(done.stdout)
    assert (map_["kernel"], map_["arch"], map_["folders"]) == ("6.19.6", "x86_64", ["mm/"])
    assert (map_["functions_run"], map_["functions"], map_["missing"]) == (1, 2, [])
    assert [(one["workload"], one["functions"], one["only"]) for one in map_["workloads"]] == [
        ("mincore", 1, 0),
        ("shmem", 1, 0),
    ]
    guests = len(kernel.host.guests())

    again = reach(kernel)

    assert "together 1 of 2 functions" in again.stdout
    assert len(kernel.host.guests()) == guests == 2


def test_a_function_and_a_file_are_looked_up_without_a_guest(kernel: ToyKernel) -> None:
    nothing = reach(kernel, "--of", "handle_fault")
    assert (nothing.returncode, "there is no reach map" in nothing.stderr) == (2, True)
    kernel.host.scenario(passing(), answers=said(*FIRST))
    assert reach(kernel, "--workload", "shmem").returncode == 0

    done = reach(kernel, "--of", "mm/fault.c")

    assert done.returncode == 0, done.stderr
    assert "mm/fault.c: handle_fault(): shmem " in done.stdout
    assert "mm/fault.c: drop_slot(): no workload\n" in done.stdout


def test_a_guest_that_does_not_say_what_it_ran_contributes_nothing_and_is_named(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), answers={"patchrig/reached": "no such thing\n"})

    done = reach(kernel, "--workload", "shmem")

    assert done.returncode == 3
    assert "nothing of baseline.reach.x86_64.shmem is in the map: passed, and the guest did not say" in done.stderr


def test_a_workload_that_crashed_its_guest_contributes_nothing(kernel: ToyKernel) -> None:
    oops = "[   12.000002][  T400] BUG: kernel NULL pointer dereference, address: 0000000000000000"
    kernel.host.scenario([["console", oops], *passing()], answers=said(*FIRST))

    done = reach(kernel, "--workload", "shmem")

    assert done.returncode == 1
    assert "nothing of baseline.reach.x86_64.shmem is in the map: crashed: " in done.stderr


def test_a_run_says_what_nothing_reaches_and_begins_with_what_reaches_most(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing())
    without = kernel.run("--json")
    assert without.returncode == 0, without.stderr
    assert json.loads(without.stdout)["reach"]["hint"].startswith("patchrig reach ")
    assert "as there is no reach map" in (kernel.host.results / "latest" / "summary.txt").read_text().replace("\n ", "")
    kernel.host.scenario(passing(), answers=said(*FIRST))
    assert reach(kernel, "--workload", "shmem").returncode == 0

    # One guest at a time: of two that start together the host says which comes first.
    done = kernel.run("--json", "--jobs", "1")

    found = json.loads(done.stdout)["reach"]
    assert found["same_source"]
    assert found["workloads"] == {"shmem": 1}
    assert found["unreached"] == [{"file": "mm/fault.c", "name": "drop_slot"}]
    assert [(one["name"], one["why"]) for one in found["unknown"]] == [
        ("fresh", "not in the kernel of the map, or without code of its own")
    ]
    summary = (kernel.host.results / "latest" / "summary.txt").read_text()
    assert "Changed functions that nothing reaches (1 of 2 workloads are in the map):" in summary
    assert "mm/fault.c: drop_slot\n" in summary
    cells = sorted(kernel.host.cells(), key=lambda cell: cell["spans"][0]["start"])
    assert [cell["cell"]["workload"]["name"] for cell in cells] == ["shmem", "mincore"]


def test_a_suite_is_recorded_beside_the_workloads_and_named_where_only_it_reaches_a_function(kernel: ToyKernel) -> None:
    kernel.write("linux/tools/testing/kunit/kunit_parser.py", PARSER.replace(" PRINTER", ", printer"))
    kernel.write("linux/tools/testing/kunit/kunit_printer.py", PRINTER)
    kernel.host.scenario(SUITE, answers=said(*FIRST))
    without = json.loads(kernel.run("--suite", "kunit:mm", "--json").stdout)["reach"]["hint"]
    assert "matrix.yaml --suite kunit:mm --tree " in without

    done = reach(kernel, "--suite", "kunit:mm", "--json")

    assert done.returncode == 0, done.stderr
    (map_,) = json.loads(done.stdout)
    (one,) = map_["workloads"]
    assert (one["workload"], one["suite"], one["outcome"]) == ("kunit-mm", "kunit:mm", "subtests-failed")
    assert "kunit:mm " in reach(kernel, "--of", "handle_fault").stdout
    guests = len(kernel.host.guests())
    assert reach(kernel, "--suite", "kunit:mm", "--seconds", "99").returncode == 0
    assert len(kernel.host.guests()) == guests == 2
    kernel.host.scenario(passing())

    run = kernel.run("--json")

    assert json.loads(run.stdout)["reach"]["unreached"] == [{"file": "mm/fault.c", "name": "drop_slot"}]
    summary = " ".join((kernel.host.results / "latest" / "summary.txt").read_text().split())
    assert "not by the workloads of this run: mm/fault.c: handle_fault, which kunit:mm would reach" in summary
