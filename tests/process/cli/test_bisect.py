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

pytestmark = [
    pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed"),
    # Each builds several kernels and starts dozens of guests: on a busy machine that takes long.
    pytest.mark.timeout(3600),
]

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
        argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=3000, cwd="/"
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


def killed_after(kernel: ToyKernel, cells: int, *, bug: int) -> int:
    """A bisection that is killed when so many of its cells have ended; how many have."""
    kernel.host.scenario(*[with_bug(bug)] * cells, [["mark", "running"], ["hang"]])
    argv = [str(PATCHRIG), "bisect", "latest", "mincore", "--jobs", "1", "--results", str(kernel.host.results)]
    patchrig = subprocess.Popen(
        argv, env=kernel.host.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    kernel.host.marked("running")
    patchrig.kill()
    patchrig.wait(timeout=120)
    kernel.host.await_no_guest()
    for file in (*kernel.host.state.glob("qemu.*"), kernel.host.state / "running"):
        file.unlink()
    return len(seeds(kernel))


def resume(kernel: ToyKernel, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [str(PATCHRIG), "bisect", "--resume", "latest", "--results", str(kernel.host.results), *words]
    return subprocess.run(
        argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=3000, cwd="/"
    )


def test_a_bisection_that_was_killed_goes_on_and_no_cell_runs_twice(kernel: ToyKernel) -> None:
    kernel.host.scenario(with_bug(3))
    begin(kernel)
    # In the middle of its second batch.
    ended = killed_after(kernel, 6, bug=3)
    before = seeds(kernel)
    assert ended == 6
    kernel.host.scenario(with_bug(3))

    done = resume(kernel, "--json")

    assert done.returncode == 0, done.stderr
    said = answer(done)
    assert (said["ended"], said["found"], said["confirmation"]["confirmed"]) == ("found", 3, True)
    assert "2 cells of 6 that have ended are of a batch that was stopped" in done.stderr
    # Those of the batch that was stopped count, and each cell has a seed of its own.
    assert set(before) < set(seeds(kernel))
    assert len(seeds(kernel)) == len(set(seeds(kernel))) == said["cells"]
    assert len(kernel.host.guests()) == said["cells"] - ended
    guests = len(kernel.host.guests())
    # It is over: nothing runs.
    again = resume(kernel)
    assert again.returncode == 0, again.stderr
    assert "FOUND: patch 3" in again.stdout
    assert len(kernel.host.guests()) == guests


def test_a_bisection_whose_budget_was_used_up_goes_on_with_more(kernel: ToyKernel) -> None:
    kernel.host.scenario(with_bug(3))
    begin(kernel)
    first = bisect(kernel, "--budget", "3", "--jobs", "1")
    assert first.returncode == 1
    assert "patchrig bisect --resume bisect-" in first.stdout

    write_series(kernel, {4: 'char line4[] = "another patch";'})
    refused = resume(kernel, "--budget", "100")
    write_series(kernel)
    done = resume(kernel, "--budget", "100", "--json")

    assert refused.returncode == 2
    assert "the series is another one" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert answer(done)["found"] == 3


def git(kernel: ToyKernel, *words: str) -> str:
    own = ["git", "-C", str(kernel.folder / "linux"), "-c", "user.name=A", "-c", "user.email=a@localhost"]
    return subprocess.run([*own, *words], check=True, capture_output=True, text=True).stdout.strip()


def commits(kernel: ToyKernel) -> None:
    """The series as commits of the tree, after the tag `good`; a change of a document is between them."""
    git(kernel, "init", "-q", "-b", "master")
    git(kernel, "add", ".")
    git(kernel, "commit", "-qm", "the base")
    git(kernel, "tag", "good")
    text = SWAP_C
    for number, line in enumerate(LINES, start=1):
        text = text.replace(line, f'char line{number}[] = "{text_of(number)}";')
        kernel.write("linux/swap.c", text)
        git(kernel, "commit", "-qam", f"swap: change line {number}")


def test_the_commit_of_a_range_is_found_and_confirmed_by_a_revert(kernel: ToyKernel) -> None:
    commits(kernel)
    kernel.host.scenario(with_bug(3))
    done = kernel.run("--no-restore", "--variant", "baseline")
    assert done.returncode == 1, done.stderr
    wrong = git(kernel, "rev-parse", "--short=12", "HEAD^")
    # What is checked out is not what is bisected, and stays as it is.
    git(kernel, "checkout", "-q", "good")

    refused = bisect(kernel)
    done = bisect(kernel, "--range", "good..master", "--json")

    assert refused.returncode == 2
    assert "--range GOOD..BAD --tree DIR" in refused.stderr
    assert done.returncode == 0, done.stderr
    said = answer(done)
    assert (said["found"], said["range"]) == (3, "good..master")
    assert said["patches"][3]["subject"] == f"{wrong} swap: change line 3"
    assert said["confirmation"]["confirmed"]
    text = (folder(kernel) / "bisect.txt").read_text()
    assert f"FOUND: commit 3 ({wrong} swap: change line 3)" in text
    assert "confirmed: with commit 3 reverted on top of good..master" in text
    assert "(the kernel at good)" in text
    assert git(kernel, "status", "--porcelain") == ""


def test_a_cell_with_a_series_is_not_bisected_over_a_range(kernel: ToyKernel) -> None:
    kernel.host.scenario(with_bug(3))
    begin(kernel)

    done = bisect(kernel, "--range", "a..b", "--tree", str(kernel.folder / "linux"))

    assert done.returncode == 2
    assert "ran with a series: --range is for a cell without one" in done.stderr
