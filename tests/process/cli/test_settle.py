# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig settle`, from its argv to its exit code: fake guests on a toy kernel that is really built."""

import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool
from orchestrator.report.kept_replay import REPLAY_FILE
from tests.process import fake_host
from tests.process.cli.test_replay import ENDED, TOLD
from tests.process.fake_host import BOOT, PATCHRIG, Step
from tests.process.instrumented_toy import instrument
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = [
    pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed"),
    pytest.mark.skipif(find_tool("llvm-symbolizer") is None, reason="llvm-symbolizer is not installed"),
]

FILE = "mm/swapfile.c"
CLAIM = "handle_fault | drop_slot"
OOPS: Step = ["console", "[    3.000002][  T400] BUG: kernel NULL pointer dereference, address: 0000000000000000"]


def said(a: str, b: str) -> Step:
    return ["console", f"[    2.900000][  T400] patchrig: sites A {a} B {b}"]


MET = said("50 4 2 7", "9 3 0 0")


def story(*lines: Step) -> list[Step]:
    return [*BOOT, *TOLD, *lines, *ENDED]


@pytest.fixture
def kernel(host: fake_host.Host) -> ToyKernel:
    made = ToyKernel(host)
    instrument(made, FILE)
    made.write("mine/load.sh", "#!/bin/sh\n")
    made.write("mine/mincore.yaml", (made.folder / "workloads/mincore.yaml").read_text())
    host.scenario([], boot=story(MET))
    return made


def settle(kernel: ToyKernel, claim: str, *words: str) -> subprocess.CompletedProcess[str]:
    own = ["--tree", str(kernel.folder / "linux"), "--no-sandbox", "--results", str(kernel.host.results)]
    own += ["--jobs", "1", "--workload", str(kernel.folder / "mine/mincore.yaml")]
    argv = [str(PATCHRIG), "settle", claim, *own, *words]
    return subprocess.run(argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300)


def run_folder(kernel: ToyKernel) -> Path:
    return (kernel.host.results / "latest").resolve()


def test_places_that_met_in_many_schedules_without_a_finding_are_exit_code_0(kernel: ToyKernel) -> None:
    done = settle(kernel, CLAIM, "--schedules", "3")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("not shown\nschedules 3\n")
    assert "A    handle_fault ran 150 times; a task was held there 12 times, and in 6 of them drop_slot ran (21" in (
        done.stdout
    )
    folder = run_folder(kernel)
    assert (folder / "settled.txt").read_text() == done.stdout
    cells = kernel.host.cells()
    assert len({cell["cell"]["seed"] for cell in cells}) == 3
    assert all((folder / cell["folder"] / REPLAY_FILE).exists() for cell in cells)
    # Only the two places are counted, and each is named to the guest.
    (initramfs,) = (folder / "guest").glob("initramfs.*widened*")
    assert b" handle_fault A\n" in initramfs.read_bytes()
    assert b" drop_slot B\n" in initramfs.read_bytes()


def test_a_finding_is_shown_with_the_command_that_replays_it(kernel: ToyKernel) -> None:
    kernel.host.scenario([], boots=[story(MET), story(MET, OOPS), story(said("50 0 0 0", "9 0 0 0"))])

    done = settle(kernel, CLAIM, "--schedules", "5", "--json")

    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["decision"], found["without_delays"], found["cells"]) == ("shown", False, 2)
    assert "claim=handle_fault|drop_slot" in found["key"].split()
    assert found["meetings_of_cell"][0] == {"hits": 50, "holds": 4, "met": 2, "passes": 7}
    alone = json.loads((run_folder(kernel) / "cells.jsonl").read_text().splitlines()[-1])
    assert (alone["cell"]["widening"]["chance_ppm"], alone["cell"]["widening"]["hold_us"]) == (0, 0)
    again = [str(PATCHRIG), "replay", run_folder(kernel).name, found["cell"], "--no-sandbox"]
    kernel.host.scenario([], boot=story(MET, OOPS))
    replayed = subprocess.run(
        [*again, "--results", str(kernel.host.results)],
        env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert replayed.stdout.startswith("identical\n"), replayed.stdout + replayed.stderr


def test_a_finding_that_comes_without_delays_too_decides_nothing(kernel: ToyKernel) -> None:
    kernel.host.scenario([], boot=story(MET, OOPS))

    done = settle(kernel, CLAIM)

    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.startswith("not decided\nbecause   the same cell fails without delays, too")
    assert "patchrig replay " in done.stdout


def test_a_place_that_no_workload_ran_is_exit_code_3(kernel: ToyKernel) -> None:
    kernel.host.scenario([], boot=story(said("50 4 0 0", "0 0 0 0")))

    done = settle(kernel, CLAIM, "--schedules", "2")

    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.startswith("not reachable here\nbecause   no workload ran B: drop_slot\n")


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        ("handle_fault | no_such", "B: no_such: no C file of this kernel has a function no_such()"),
        ("handle_fault:99 | drop_slot", "A: handle_fault:99: line 99 is not in handle_fault(), which is"),
    ],
)
def test_a_place_that_the_source_does_not_have_costs_no_build(kernel: ToyKernel, claim: str, why: str) -> None:
    done = settle(kernel, claim)

    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.startswith("not reachable here\n")
    assert why in done.stdout
    assert not kernel.host.guests()
    assert not list(run_folder(kernel).glob("builds/*"))


@pytest.mark.parametrize("words", [("--flavour", "plain"), ("--suite", "kunit:x")])
def test_what_can_not_be_settled_is_refused(kernel: ToyKernel, words: tuple[str, ...]) -> None:
    done = settle(kernel, CLAIM, *words)

    assert done.returncode == 2, done.stdout + done.stderr
    assert not kernel.host.guests()
