# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig sensitivity`, from its argv to its exit code: a toy kernel that is really built, and a fake QEMU."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.cli.test_replay import ENDED, TOLD
from tests.process.fake_host import BOOT, GROWING, PATCHRIG, PROGRESS, Host, Step, passing
from tests.process.toy_kernel import ToyKernel, patch

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

KASAN = (
    "[   12.000002][  T400] BUG: KASAN: slab-use-after-free in f+0x41/0x90\n"
    "[   12.000003][  T400] Read of size 8 at addr ffff888003f41000 by task swapin/400"
)
PANIC = "[    0.913000][    T1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
SPLAT: list[Step] = [["console", KASAN], ["console", "[   15.0][   T57] patchrig: ended splat 0"], ["die", 0]]
CRASHING: list[Step] = [["say", PROGRESS], ["console", KASAN], ["loop", GROWING]]


class Bench(ToyKernel):
    """A toy kernel with a folder for seeded bugs."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.bugs = host.folder / "bugs"

    def bug(self, name: str, number: int, header: str = "") -> None:
        self.write(f"bugs/{name}.patch", f"{header}\n{patch('slots = 3;', f'slots = {number};')}")

    def argv(self, *words: str) -> list[str]:
        chosen = ["--tree", str(self.folder / "linux"), "--bugs", str(self.bugs), "--no-sandbox", "--jobs", "1"]
        results = ["--results", str(self.host.results), "--flavour", "plain"]
        return [str(PATCHRIG), "sensitivity", str(self.folder / "matrix.yaml"), *chosen, *results, *words]

    def result(self) -> Path:
        (folder,) = self.host.results.glob("sensitivity-*")
        return folder


@pytest.fixture
def bench(host: Host) -> Bench:
    return Bench(host)


def bugs_in(text: str) -> Mapping[str, Mapping[str, Any]]:
    return {bug["id"]: bug for bug in json.loads(text)["bugs"]}


def test_each_bug_is_built_booted_and_told_apart(bench: Bench) -> None:
    bench.bug("a-crash", 4, "Class: A\nWorkload: mincore\n")
    bench.bug("b-silent", 5)
    bench.bug("c-same", 6, "Detectable: no, because it says so\n")
    bench.bug("d-typo", 7)
    bench.write("bugs/d-typo.patch", patch("slots = 3;", "slots = no_such_thing;"))
    bench.write("bugs/e-stale.patch", patch("slots = 99;", "slots = 4;"))
    bench.write("bugs/f-comment.patch", patch("slots = 3;", "slots = /* three */ 3;"))
    bench.host.scenario(passing(), CRASHING, passing())

    done = bench.run("--seconds", "20", "--json", "--junit", str(bench.folder / "ci.xml"))

    assert done.returncode == 1, done.stderr
    bugs = bugs_in(done.stdout)
    assert {name: bug["status"] for name, bug in bugs.items()} == {
        "a-crash": "found",
        "b-silent": "survived",
        "d-typo": "build-failed",
        "e-stale": "not-applied",
        "f-comment": "no-effect",
    }
    found = bugs["a-crash"]
    assert (found["found"], found["workload"], found["outcome"]) == (True, "mincore", "crashed")
    assert found["title"].startswith("KASAN")
    assert found["guest_seconds"] > 0
    assert "no_such_thing" in bugs["d-typo"]["title"]
    assert json.loads(done.stdout)["not_counted"] == [{"id": "c-same", "reason": "it says so"}]
    assert [one["outcome"] for one in json.loads(done.stdout)["control"]] == ["passed"]
    assert bugs_in((bench.result() / "sensitivity.json").read_text()) == bugs
    assert "a-crash" in done.stderr
    assert "found by mincore: crashed" in done.stderr
    xml = JUnitXml.fromfile(str(bench.folder / "ci.xml"))
    assert (xml.tests, xml.failures, xml.skipped) == (7, 3, 2)
    bench.host.await_no_guest()


def test_when_all_are_found_the_exit_code_is_0_and_a_finding_can_be_run_again(bench: Bench) -> None:
    bench.bug("crash", 4)
    bench.host.scenario(passing(), CRASHING)

    done = bench.run("--seconds", "5")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 found" in done.stdout
    run = bench.result() / "bugs" / "crash.plain.x86_64"
    assert (run / "cells" / "patched.plain.x86_64.mincore" / "repro.sh").exists()
    name = str(run.relative_to(bench.host.results))
    assert json.loads((run / "run.json").read_text())["id"] == name
    again = [str(PATCHRIG), "repro", name, "mincore", "--no-sandbox", "--results", str(bench.host.results)]
    bench.host.scenario([["say", PROGRESS], ["die", 0]])
    repeated = subprocess.run(
        again, env=bench.host.environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert repeated.returncode == 1, repeated.stderr
    assert "CRASHED" in repeated.stdout


def test_what_a_deterministic_guest_finds_can_be_replayed(bench: Bench) -> None:
    bench.write("bugs/crash.patch", patch("slots = 3;", 'slots = 4; static char b[] = "broken here"; (void)*b;'))
    bench.host.scenario([], boot=[["kernel_has", "broken here", [*BOOT, *SPLAT], [*BOOT, *TOLD, *ENDED]]])

    done = bench.run("--seconds", "5", "--deterministic")

    assert done.returncode == 0, done.stdout + done.stderr
    run = bench.result() / "bugs" / "crash.plain.x86_64"
    name = str(run.relative_to(bench.host.results))
    again = [str(PATCHRIG), "replay", name, "mincore", "--no-sandbox", "--results", str(bench.host.results)]
    replayed = subprocess.run(
        again, env=bench.host.environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert replayed.stdout.startswith("identical\n")


def test_a_kernel_that_panics_at_boot_is_found(bench: Bench) -> None:
    bench.bug("panics", 4)
    bench.host.scenario(passing(), boots=[BOOT, [*BOOT[:1], ["console", PANIC], ["die", 0]]])

    done = bench.run("--seconds", "5", "--json")

    (bug,) = bugs_in(done.stdout).values()
    assert (bug["found"], bug["outcome"]) == (True, "boot-failed"), bug
    assert done.returncode == 0


def test_a_workload_that_is_red_without_any_bug_finds_nothing(bench: Bench) -> None:
    bench.bug("crash", 4)
    bench.host.scenario(CRASHING)

    done = bench.run("--json")

    assert done.returncode == 1
    (bug,) = bugs_in(done.stdout).values()
    assert (bug["found"], bug["status"]) == (False, "no-workload")
    assert "mincore is red without any bug" in done.stderr


def test_where_the_machine_gives_up_the_bugs_that_are_left_are_untried(bench: Bench) -> None:
    for name, number in (("a", 4), ("b", 5), ("c", 6), ("d", 7)):
        bench.bug(name, number)
    bench.host.scenario(passing(), boots=[BOOT, [["die", 1]]])

    done = bench.run("--seconds", "5", "--json")

    assert done.returncode == 3, done.stderr
    statuses = {name: bug["status"] for name, bug in bugs_in(done.stdout).items()}
    assert (statuses["a"], statuses["b"], statuses["d"]) == ("lost", "lost", "untried")
    assert "2 bugs in a row were lost" in bugs_in(done.stdout)["d"]["title"]


def test_an_interrupt_leaves_a_table_of_what_had_finished(bench: Bench) -> None:
    bench.bug("a-crash", 4)
    bench.bug("b-hang", 5)
    bench.bug("c-next", 6)
    bench.host.scenario(passing(), CRASHING, [["say", PROGRESS], ["mark", "second"], ["hang"]])
    with subprocess.Popen(
        bench.argv("--json"), env=bench.host.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as patchrig:
        bench.host.marked("second")
        patchrig.send_signal(signal.SIGINT)
        output, said = patchrig.communicate(timeout=120)

    assert patchrig.returncode == 130, said
    status = {name: bug["status"] for name, bug in bugs_in(output).items()}
    assert status == {"a-crash": "found", "b-hang": "untried", "c-next": "untried"}
    assert json.loads((bench.result() / "sensitivity.json").read_text())["interrupted"] is True
    assert "1 of 3 found" in said
    bench.host.await_no_guest()


def test_mistakes_of_the_command_line_are_told_before_anything_is_built(bench: Bench) -> None:
    bench.bug("crash", 4)

    unknown = bench.run("--bug", "crush")
    nowhere = subprocess.run(
        [*bench.argv(), "--bugs", "/nowhere"], env=os.environ, capture_output=True, text=True, check=False
    )

    assert (unknown.returncode, nowhere.returncode) == (2, 2)
    assert "the nearest is crash" in unknown.stderr
    assert "/nowhere does not exist" in nowhere.stderr
    assert not bench.host.guests()
