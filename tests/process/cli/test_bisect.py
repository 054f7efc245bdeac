# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig bisect`, from its argv to its exit code: a series of a toy kernel that is really built, and fake guests."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.fake_host import PATCHRIG, PROGRESS, Host, Step, passing, result_line
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

PATCHES = 4
# Far from each other: each patch can be reverted.
LINES = [f"char line{number}[] = {{{number}, 0}};" for number in range(1, PATCHES + 1)]
SWAP_C = "\n\n\n\n\n\n\n\n".join(["int slots = 1;", *LINES, "void _start(void)\n{\n\tslots = 2;\n}\n"])
OOPS = "[   12.000002][  T400] BUG: kernel NULL pointer dereference, address: 0000000000000000"
WARNING = "[   12.000002][  T400] WARNING: CPU: 1 PID: 400 at mm/swapfile.c:7 drop_slot+0x10/0x20"


def text_of(number: int) -> str:
    return f"this is of patch {number}"


def patch(number: int, new: str = "") -> str:
    """A mail of the series: its line gets a text that the kernel's image then has, or what is given."""
    at = SWAP_C.splitlines().index(LINES[number - 1]) + 1
    new = new or f'char line{number}[] = "{text_of(number)}";'
    diff = f"--- a/swap.c\n+++ b/swap.c\n@@ -{at - 1},3 +{at - 1},3 @@\n \n-{LINES[number - 1]}\n+{new}\n \n"
    head = f"From: A <a@example.org>\nSubject: [PATCH {number}/{PATCHES}] swap: change line {number}\n\n---\n"
    return f"From {number:040} Mon Sep 17 00:00:00 2001\n{head}{diff}-- \n2.39\n\n"


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    kernel = ToyKernel(host)
    kernel.write("linux/swap.c", SWAP_C)
    write_series(kernel)
    return kernel


def write_series(kernel: ToyKernel, changes: dict[int, str] | None = None) -> None:
    mails = [patch(number, (changes or {}).get(number, "")) for number in range(1, PATCHES + 1)]
    kernel.write("series.patch", "".join(mails))


def crashing(line: str = OOPS) -> list[Step]:
    return [["say", PROGRESS], ["console", line], ["say", result_line()], ["exit", 0]]


def with_bug(number: int, bad: list[Step] | None = None) -> list[Step]:
    """What a guest does whose kernel crashes if it has the patch of this number."""
    return [["kernel_has", text_of(number), bad or crashing(), passing()]]


def begin(kernel: ToyKernel) -> None:
    """A run of the whole series, in which one cell has crashed."""
    done = kernel.run("--no-restore", "--variant", "patched")
    assert done.returncode == 1, done.stderr
    assert kernel.host.outcomes() == ["crashed"]
    for file in kernel.host.state.glob("qemu.*"):
        file.unlink()


def bisect(kernel: ToyKernel, *words: str, cell: str = "mincore") -> subprocess.CompletedProcess[str]:
    argv = [str(PATCHRIG), "bisect", "latest", cell, "--results", str(kernel.host.results), *words]
    return subprocess.run(
        argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=500, cwd="/"
    )


def folder(kernel: ToyKernel) -> Path:
    (found,) = kernel.host.results.glob("bisect-*")
    return found


def seeds(kernel: ToyKernel) -> list[int]:
    lines = [line for file in folder(kernel).glob("runs/*/cells.jsonl") for line in file.read_text().splitlines()]
    return [json.loads(line)["cell"]["seed"] for line in lines]


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_the_patch_is_found_and_confirmed_by_a_revert(kernel: ToyKernel) -> None:
    kernel.host.scenario(with_bug(3))
    begin(kernel)

    done = bisect(kernel, "--json")

    assert done.returncode == 0, done.stderr
    said = answer(done)
    assert (said["ended"], said["found"]) == ("found", 3)
    assert said["patches"][3]["subject"] == "swap: change line 3"
    assert said["patches"][3]["probability"] > 0.95
    assert sum(one["probability"] for one in said["patches"]) == pytest.approx(1, abs=1e-4)
    assert said["confirmation"]["confirmed"]
    assert said["confirmation"]["how"] == "reverted on top of the series"
    assert said["confirmation"]["good"] >= said["confirmation"]["needed"]
    assert not said["others"]
    # A beginning has the failure, or it has not.
    for number, one in enumerate(said["patches"]):
        assert not one["good" if number >= 3 else "bad"]
    assert len(seeds(kernel)) == len(set(seeds(kernel))) == said["cells"]
    text = (folder(kernel) / "bisect.txt").read_text()
    assert "FOUND: patch 3 (swap: change line 3)" in text
    assert "confirmed: with patch 3 reverted on top of the series" in text
    stored = json.loads((folder(kernel) / "bisect.json").read_text())
    assert stored["ended"] == "found"
    assert "most likely patch 3" in done.stderr
    # It is no run, and the latest run is still that of the cell.
    assert not (kernel.host.results / "latest").resolve().name.startswith("bisect-")


# The first does not link without the second.
NEEDS_LATER = "extern char later[]; char *line2 = later;"
LATER = f'char later[] = "{text_of(3)}";'


def test_what_tells_nothing_is_named_and_another_kernel_is_run_in_its_place(kernel: ToyKernel) -> None:
    """Beginning 2 does not build, one guest did too little, one is lost, and one shows another failure."""
    kernel.host.scenario(with_bug(4))
    write_series(kernel, {2: NEEDS_LATER, 3: LATER})
    begin(kernel)
    lost: list[Step] = [["say", PROGRESS], ["die_of", 9]]
    odd = (passing(calls=3), lost, crashing(WARNING))
    kernel.host.scenario(with_bug(4), *(with_bug(4, steps) for steps in odd), *odd, with_bug(4))

    done = bisect(kernel, "--json")

    assert done.returncode == 0, done.stderr
    said = answer(done)
    assert said["found"] == 4
    assert said["patches"][2]["not_run"].startswith("build-failed: ")
    assert list(said["others"]) == ["crashed: WARNING in drop_slot"]
    assert sum(one["nothing"] for one in said["patches"]) >= 2
    text = (folder(kernel) / "bisect.txt").read_text()
    assert "not run with the first 2 of 4 patches: build-failed" in text
    assert "crashed: WARNING in drop_slot" in text


def test_patches_that_no_kernel_tells_apart_are_not_decided(kernel: ToyKernel) -> None:
    kernel.host.scenario(with_bug(3))
    write_series(kernel, {2: NEEDS_LATER, 3: LATER})
    begin(kernel)

    done = bisect(kernel)

    assert done.returncode == 1, done.stderr
    assert "NOT DECIDED: patch 2 and patch 3 can't be told apart" in done.stdout


def test_a_budget_that_is_too_small_ends_it(kernel: ToyKernel) -> None:
    kernel.host.scenario(with_bug(3))
    begin(kernel)

    done = bisect(kernel, "--budget", "3")

    assert done.returncode == 1, done.stderr
    assert "NOT DECIDED: the budget of 3 cells is used up" in done.stdout


def test_a_cell_that_passed_is_refused(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing())
    done = kernel.run("--no-restore", "--variant", "patched")
    assert done.returncode == 0, done.stderr
    passed = bisect(kernel)
    assert passed.returncode == 2
    assert "is passed: there is no failure to bisect" in passed.stderr
    assert not list(kernel.host.results.glob("bisect-*"))


def test_a_series_of_one_patch_is_refused(kernel: ToyKernel) -> None:
    kernel.host.scenario(crashing())
    kernel.write("series.patch", patch(1).replace("[PATCH 1/4]", "[PATCH]"))
    begin(kernel)

    done = bisect(kernel)

    assert done.returncode == 2
    assert "its series has 1 patch" in done.stderr
