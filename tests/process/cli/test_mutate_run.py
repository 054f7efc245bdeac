# SPDX-License-Identifier: GPL-2.0-or-later
"""The run of mutants: one kernel that is really built, guests that are fakes, and what became of each mutant."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from junitparser import JUnitXml

from tests.process import fake_host
from tests.process.cli.test_mutate import MAKEFILE, mutate
from tests.process.cli.test_mutate import toy as toy  # a fixture
from tests.process.fake_host import GROWING, PATCHRIG, PROGRESS, Step, passing
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

KASAN = (
    "[   12.000002][  T400] BUG: KASAN: slab-use-after-free in f+0x41/0x90\n"
    "[   12.000003][  T400] Read of size 8 at addr ffff888003f41000 by task swapin/400"
)
REFCOUNT = KASAN.replace("BUG: KASAN: slab-use-after-free in f+0x41/0x90", "refcount_t: underflow; use-after-free.")
CRASHING: list[Step] = [["say", PROGRESS], ["console", KASAN], ["loop", GROWING]]
# All mutants of the toy: 1 omit-hunk, which does not compile, 2 negate, 3 always, 4 drop-assignment.
PASSED = {"2": 50, "3": 7, "4": 7}


def statuses(text: str) -> Mapping[int, str]:
    return {one["number"]: one["status"] for one in json.loads(text)["mutants"]}


def only_run(toy: ToyKernel) -> Path:
    (folder,) = toy.host.results.glob("mutate-*")
    return folder


def test_each_mutant_runs_until_a_workload_notices_it(toy: ToyKernel) -> None:
    passed = {"2": 50, "3": 50}
    toy.host.scenario(passing(), mutants={"passed": passed, "runs": {"2": CRASHING}})

    done = mutate(toy, "--json", "--jobs", "1", "--junit", str(toy.folder / "ci.xml"))

    assert done.returncode == 1, done.stderr
    assert statuses(done.stdout) == {1: "build failed", 2: "noticed", 3: "survived", 4: "not reached"}
    found = json.loads(done.stdout)
    assert "mutants: 4; noticed 1, survived 1, not reached 1, build failed 1" in done.stderr
    assert found["score"] | {"counts": {}} == {
        "counts": {}, "noticed": 1, "tried": 2, "of": 3, "sample": False, "interval": None, "interval_of_all": None,
    }  # fmt: skip
    (noticed,) = [one for one in found["mutants"] if one["number"] == 2]
    assert noticed["title"].startswith("mincore: crashed: KASAN")
    (survivor,) = [one for one in found["mutants"] if one["number"] == 3]
    assert survivor["hint"] == "no check sees this"
    assert [one["passed"] for one in survivor["tries"]] == [50]
    assert "^ 3 always: used -> 1" in done.stderr
    page = (only_run(toy) / "mutants.html").read_text()
    assert "mutants: 4; noticed 1, survived 1, not reached 1, build failed 1" in page
    assert f"patchrig mutate --repro {only_run(toy).name}/3 --results {toy.host.results}" in page
    (control,) = found["control"]
    assert (control["outcome"], control["places_passed"]) == ("passed", 2)
    xml = JUnitXml.fromfile(str(toy.folder / "ci.xml"))
    assert (xml.tests, xml.failures, xml.skipped) == (5, 2, 1)
    assert statuses((only_run(toy) / "mutants.json").read_text()) == statuses(done.stdout)
    toy.host.await_no_guest()


def test_where_all_are_noticed_the_exit_code_is_0_and_one_of_them_can_be_run_again(toy: ToyKernel) -> None:
    toy.host.scenario(passing(), mutants={"passed": PASSED, "runs": {"2": CRASHING}})

    done = mutate(toy, "--operators", "negate")
    # What is run again goes on after a splat.
    dying: list[Step] = [["say", PROGRESS], ["console", KASAN], ["die", 0]]
    toy.host.scenario(passing(), mutants={"passed": PASSED, "runs": {"2": dying}})
    again = subprocess.run(
        [str(PATCHRIG), "mutate", "--repro", "2", "--no-sandbox", "--results", str(toy.host.results)],
        env=toy.host.environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "score: 1 of 1 mutants were noticed (100%)" in done.stdout
    assert "for a cover letter: Mutation testing with patchrig: 1 of 1 mutants noticed; 1 workload" in done.stdout
    assert again.returncode == 1, again.stderr
    assert "CRASHED" in again.stdout
    assert "mincore.m2" in again.stdout


def test_what_the_control_shows_too_is_not_noticed(toy: ToyKernel) -> None:
    other: list[Step] = [["say", PROGRESS], ["console", REFCOUNT], ["loop", GROWING]]
    toy.host.scenario(CRASHING, mutants={"passed": PASSED, "runs": {"3": other}})

    done = mutate(toy, "--json", "--operators", "negate,always", "--jobs", "1")

    assert statuses(done.stdout) == {2: "not tried", 3: "noticed"}, done.stderr
    assert done.returncode == 1
    assert "without any mutant is red (crashed: KASAN" in done.stderr


def test_a_guest_that_does_not_take_its_number_has_not_survived(toy: ToyKernel) -> None:
    toy.host.scenario(passing(), mutants={"passed": PASSED, "refuses": [2]})

    done = mutate(toy, "--json", "--operators", "negate", "--jobs", "1")

    assert statuses(done.stdout) == {2: "lost"}, done.stderr
    assert done.returncode == 3
    assert "does not take the number of mutant 2" in done.stderr


def test_without_a_control_nothing_is_tried(toy: ToyKernel) -> None:
    toy.host.scenario(passing(), mutants={"passed": PASSED, "refuses": [5]})

    # The control's number is the one after the last mutant's.
    done = mutate(toy, "--json", "--operators", "negate", "--jobs", "1")

    assert statuses(done.stdout) == {2: "not tried"}, done.stderr
    assert done.returncode == 3
    assert "no workload of the control came to its end" in done.stderr


def test_when_the_budget_is_used_up_the_score_is_that_of_a_sample(toy: ToyKernel) -> None:
    slow: list[Step] = [["say", PROGRESS], ["sleep", 600], *passing()]
    hanging = {"2": slow, "3": slow, "4": slow}
    toy.host.scenario(passing(), mutants={"passed": PASSED, "runs": hanging})

    done = mutate(toy, "--json", "--budget", "20s", "--jobs", "1", "--flavour", "plain", "--flavour", "debug")

    assert statuses(done.stdout) == {1: "build failed", 2: "not tried", 3: "not tried", 4: "not tried"}, done.stderr
    assert done.returncode == 3
    assert json.loads(done.stdout)["score"]["sample"] is True
    assert json.loads(done.stdout)["budget"] == 20.0
    assert json.loads(done.stdout)["tries"] == 3
    assert "patched.debug.x86_64 is not built: the budget was used up" in done.stderr
    assert [folder.name for folder in only_run(toy).glob("*.x86_64")] == ["plain.x86_64"]
    titles = {one["title"] for one in json.loads(done.stdout)["mutants"]}
    assert "the budget was used up" in titles
    toy.host.await_no_guest()


def test_an_interrupt_leaves_what_had_ended(toy: ToyKernel) -> None:
    hanging: list[Step] = [["say", PROGRESS], ["mark", "second"], ["hang"]]
    toy.host.scenario(passing(), mutants={"passed": PASSED, "runs": {"2": CRASHING, "3": hanging}})
    tree = str(toy.folder / "linux")
    argv = [str(PATCHRIG), "mutate", str(toy.folder / "matrix.yaml"), "--tree", tree, "--no-sandbox", "--jobs", "1"]
    argv += ["--json", "--results", str(toy.host.results)]
    with subprocess.Popen(
        argv, env=os.environ | toy.host.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as patchrig:
        toy.host.marked("second")
        patchrig.send_signal(signal.SIGINT)
        output, said = patchrig.communicate(timeout=120)

    assert patchrig.returncode == 130, said
    assert statuses(output) == {1: "build failed", 2: "noticed", 3: "not tried", 4: "not tried"}
    assert json.loads((only_run(toy) / "mutants.json").read_text())["interrupted"] is True
    toy.host.await_no_guest()


@pytest.mark.parametrize(("declaration", "status"), [("int spare;", "noticed"), ("", "no effect")])
def test_what_no_guard_can_choose_gets_a_kernel_of_its_own(toy: ToyKernel, declaration: str, status: str) -> None:
    # A line more or less would be another image, as it has line numbers in it.
    before, after = ("", declaration) if declaration else ("#define SPARE 0", "#define SPARE 1")
    changed = "".join(f"{sign}{line}\n" for sign, line in (("-", before), ("+", after)) if line)
    old = 3 if before else 2
    patch = f"--- a/swap.c\n+++ b/swap.c\n@@ -1,{old} +1,3 @@\n static const int slots[2];\n{changed} int used;\n"
    toy.write("series.patch", patch)
    code = "int used;\nvoid _start(void)\n{\n\tused = slots[1];\n}\n"
    toy.write("linux/swap.c", "static const int slots[2];\n" + (f"{before}\n" if before else "") + code)
    toy.host.scenario(passing(), CRASHING)

    done = mutate(toy, "--json", "--jobs", "1")

    assert statuses(done.stdout) == {1: status}, done.stderr


def test_a_run_may_be_followed_by_its_score(toy: ToyKernel) -> None:
    toy.host.scenario(passing(), mutants={"passed": PASSED, "runs": {"2": CRASHING}})

    done = toy.run("--mutate", "--json", "--jobs", "1")

    assert done.returncode == 0, done.stderr
    assert [cell["outcome"] for cell in json.loads(done.stdout)["cells"]] == ["passed"]
    assert "mutants: 4; noticed 1, survived 2, build failed 1" in done.stderr


def test_a_survivor_that_compiles_to_the_same_code_has_no_effect(toy: ToyKernel) -> None:
    # gcc -O2 knows that the condition holds.
    toy.write("linux/Makefile", MAKEFILE.replace("flags := ", "flags := -O2 "))
    new = "\tused = 1;\n+\tif (used < 5)\n+\t\tused = 3;\n"
    toy.write("linux/swap.c", "unsigned int used;\nvoid _start(void)\n{\n\tused = 1;\n}\n")
    toy.write("series.patch", f"--- a/swap.c\n+++ b/swap.c\n@@ -3,3 +3,5 @@ void _start(void)\n {{\n {new} }}\n")
    toy.host.scenario(passing(), mutants={"passed": dict.fromkeys(map(str, range(1, 20)), 50)})

    done = mutate(toy, "--json", "--jobs", "1", "--operators", "always,negate,drop-assignment")

    assert done.stdout, done.stderr
    found = {one["operator"]: one for one in json.loads(done.stdout)["mutants"]}
    assert {name: one["status"] for name, one in found.items()} == {
        "negate": "survived", "always": "no effect", "drop-assignment": "survived",
    }, done.stderr  # fmt: skip
    assert found["always"]["title"] == "compiles to the same code: swap.o"
    assert found["always"]["hint"] == ""
    assert statuses((only_run(toy) / "mutants.json").read_text())[found["always"]["number"]] == "no effect"
    xml = JUnitXml.fromfile(str(only_run(toy) / "junit.xml"))
    assert (xml.failures, xml.skipped) == (2, 1)
    assert "compiles to the same code" in (only_run(toy) / "mutants.html").read_text()
