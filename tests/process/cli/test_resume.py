# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig resume`: a run that was killed is that of one run, and nothing is run twice."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from orchestrator.host.process import find_tool
from orchestrator.report.stored import CELLS_FILE, load_run, with_sum
from tests.process import fake_host
from tests.process.cli.test_run import OTHER, with_workloads
from tests.process.fake_host import PROGRESS, Host, Step, passing
from tests.process.toy_kernel import ToyKernel, patch

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

WORKLOADS = ("mincore", "shmem")
TWO_BUILDS = "arches: [x86_64]\nvariants: [baseline, patched]\n"
# Nothing but what differs from one run to the next of the same thing.
STARVED = re.compile(r"\s+this\s+machine\s+starved\s+the\s+guest:.*?that\s+it\s+wanted\s+one", re.DOTALL)
CHANGING = re.compile(
    r"\d{4}-\d\d-\d\dT\d{4}\d\dZ-[0-9a-f]{4}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00|, \d+ s$|boot seconds: [\d.]+"
    # What else this machine did meanwhile.
    r"|for a CPU\s+\d+%"
    # A snapshot goes with the process that made it.
    r"|guest: (booted|restored)",
    re.MULTILINE,
)


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    kernel = ToyKernel(host)
    with_workloads(kernel, *WORKLOADS, more=TWO_BUILDS)
    return kernel


def hanging(name: str) -> list[Step]:
    return [["say", PROGRESS], ["mark", name], ["hang"]]


def start(kernel: ToyKernel, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        kernel.argv(*words), env=kernel.host.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def resume(kernel: ToyKernel, *words: str, name: str = "latest") -> subprocess.CompletedProcess[str]:
    argv = [kernel.argv()[0], "resume", name, "--results", str(kernel.host.results), *words]
    return subprocess.run(
        argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300, cwd="/"
    )


def killed(kernel: ToyKernel, *, after: int, bad: int = -1) -> None:
    """A run of which so many cells have ended when it is killed with one guest at work; the `bad`-th is red."""
    runs = [passing(calls=3) if number == bad else passing() for number in range(after)]
    kernel.host.scenario(*runs, hanging("running"))
    patchrig = start(kernel, "--jobs", "1")
    kernel.host.marked("running")
    patchrig.kill()
    patchrig.communicate(timeout=120)
    kernel.host.await_no_guest()
    assert after == 0 or len(kernel.host.cells()) == after


def forget_guests(kernel: ToyKernel) -> None:
    for file in (*kernel.host.state.glob("qemu.*"), kernel.host.state / "running"):
        file.unlink(missing_ok=True)


def latest(kernel: ToyKernel) -> Path:
    return (kernel.host.results / "latest").resolve()


def _unchanging(text: str) -> str:
    """Without times and names of runs, and without what a red cell says of the CPU time that its host had for it."""
    return CHANGING.sub("", STARVED.sub("", text))


def junit(folder: Path) -> list[tuple[str, ...]]:
    """Suites and cases without their times."""
    found: list[tuple[str, ...]] = []
    for case in ET.parse(folder / "junit.xml").getroot().iter("testcase"):
        inside = [(child.tag, _unchanging(child.get("message", ""))) for child in case if child.tag != "system-out"]
        out = _unchanging(case.findtext("system-out") or "")
        found.append((case.get("classname", ""), case.get("name", ""), str(inside), out))
    return found


def stated(folder: Path) -> dict[str, Any]:
    """What a run's folder says, without times and names of runs."""
    cells = [json.loads(line) for line in (folder / CELLS_FILE).read_text().splitlines()]
    run = json.loads((folder / "run.json").read_text())
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))
    return {
        "cells": sorted((cell["folder"], cell["verdict"]["outcome"], cell["cell"]["seed"]) for cell in cells),
        "kernels": sorted((cell["folder"], sorted(cell["kernel"].items())) for cell in cells),
        "junit": junit(folder),
        "summary": _unchanging((folder / "summary.txt").read_text()),
        "builds": [one["build"] for one in run["builds"]],
        "run": {name: run[name] for name in ("argv", "interrupted", "matrix", "series", "left_out", "cell_count")},
        # The first build of a kernel has logs, and the image cache has none.
        "files": [name for name in names if not name.startswith("builds/") and not name.endswith("/log")],
    }


def assert_same(seen: dict[str, Any], whole: dict[str, Any]) -> None:
    assert sorted({*seen["files"]} ^ {*whole["files"]}) == []
    for name, value in whole.items():
        assert seen[name] == value, name


def one_run(kernel: ToyKernel, *, bad: int = -1) -> tuple[int, dict[str, Any]]:
    """The same without a kill, in the same folder of results; gone afterwards."""
    runs = [passing(calls=3) if number == bad else passing() for number in range(max(bad + 1, 1))]
    forget_guests(kernel)
    kernel.host.scenario(*runs, passing())
    done = kernel.run("--jobs", "1")
    stated_ = stated(latest(kernel))
    forget_run(kernel)
    return done.returncode, stated_


def forget_run(kernel: ToyKernel) -> None:
    shutil.rmtree(latest(kernel))
    (kernel.host.results / "latest").unlink()
    forget_guests(kernel)


def test_a_run_that_was_killed_is_one_run_after_it_was_resumed(kernel: ToyKernel) -> None:
    code, whole = one_run(kernel)
    for after in (0, 1, 3):
        killed(kernel, after=after)
        folder = latest(kernel)
        before = (folder / CELLS_FILE).read_bytes() if after else b""
        with (folder / CELLS_FILE).open("ab") as lines:
            lines.write(b'{"cell": {"build": {"variant": "patched", "fla')
        forget_guests(kernel)
        kernel.host.scenario(passing())

        done = resume(kernel)

        assert done.returncode == code == 0, done.stdout + done.stderr
        assert latest(kernel) == folder
        assert (folder / CELLS_FILE).read_bytes().startswith(before)
        assert len(kernel.host.guests()) == 4 - after
        assert_same(stated(folder), whole)
        forget_run(kernel)


def test_a_red_cell_of_before_the_kill_makes_the_run_red(kernel: ToyKernel) -> None:
    code, whole = one_run(kernel, bad=1)
    killed(kernel, after=2, bad=1)
    forget_guests(kernel)
    kernel.host.scenario(passing())

    done = resume(kernel)

    assert done.returncode == code == 1, done.stdout + done.stderr
    assert_same(stated(latest(kernel)), whole)


@pytest.mark.parametrize("since", ["last", "2026"])
def test_what_failed_before_a_run_began_is_not_new_when_it_goes_on(kernel: ToyKernel, since: str) -> None:
    red = passing(calls=3)
    kernel.host.scenario(red)
    assert kernel.run("--jobs", "1", "--since", "last").returncode == 1
    first = latest(kernel).name
    forget_guests(kernel)
    kernel.host.scenario(red, red, hanging("running"))
    patchrig = start(kernel, "--jobs", "1", "--since", since if since == "last" else first)
    kernel.host.marked("running")
    patchrig.kill()
    patchrig.communicate(timeout=120)
    kernel.host.await_no_guest()
    forget_guests(kernel)
    kernel.host.scenario(red)

    done = resume(kernel)

    assert done.returncode == 0, done.stdout + done.stderr
    news = load_run(latest(kernel)).news
    assert news is not None
    assert news.since == first
    assert len(news.known) == 4


@pytest.mark.parametrize("program", ["mmdebstrap", "ccache"])
def test_a_run_that_was_killed_before_its_first_guest(kernel: ToyKernel, program: str) -> None:
    """While the guest's root file system is made, and while the kernel is compiled."""
    path = kernel.host.programs / program
    own = path.read_text() if path.exists() else ""
    path.write_text(f'#!/bin/sh\necho $$ > "{kernel.host.state}/point"\nexec sleep 600\n')
    path.chmod(0o755)
    patchrig = start(kernel)
    kernel.host.marked("point")
    patchrig.kill()
    patchrig.communicate(timeout=120)
    if own:
        path.write_text(own)
    else:
        path.unlink()
    kernel.host.scenario(passing())

    done = resume(kernel)

    assert done.returncode == 0, done.stdout + done.stderr
    assert kernel.host.outcomes() == ["passed"] * 4


def test_it_is_killed_again_and_again(kernel: ToyKernel) -> None:
    _, whole = one_run(kernel)
    killed(kernel, after=1)
    for _ in range(2):
        forget_guests(kernel)
        kernel.host.scenario(passing(), hanging("running"))
        argv = [kernel.argv()[0], "resume", "latest", "--results", str(kernel.host.results), "--jobs", "1"]
        patchrig = subprocess.Popen(argv, env=kernel.host.environment, stdout=subprocess.DEVNULL)
        kernel.host.marked("running")
        patchrig.kill()
        patchrig.wait(timeout=120)
        kernel.host.await_no_guest()
    forget_guests(kernel)
    kernel.host.scenario(passing())

    done = resume(kernel)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(kernel.host.guests()) == 1
    assert_same(stated(latest(kernel)), whole)
    assert len(json.loads((latest(kernel) / "run.json").read_text())["resumed"]) == 3


def test_an_interrupted_run_goes_on_where_it_was(kernel: ToyKernel) -> None:
    _, whole = one_run(kernel)
    kernel.host.scenario(passing(), passing(), hanging("running"))
    patchrig = start(kernel, "--jobs", "1")
    kernel.host.marked("running")
    patchrig.send_signal(signal.SIGINT)
    patchrig.communicate(timeout=120)
    assert patchrig.returncode == 130
    assert sorted(kernel.host.outcomes()) == ["passed"] * 2 + ["skipped"] * 2
    forget_guests(kernel)
    kernel.host.scenario(passing())

    done = resume(kernel)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(kernel.host.guests()) == 2
    assert_same(stated(latest(kernel)), whole)


def test_what_the_machine_lost_is_run_again(kernel: ToyKernel) -> None:
    """As when the disk is full: two cells in a row are lost, and the run gives up."""
    kernel.host.scenario(passing(), [["die_of", 9]])
    assert kernel.run("--jobs", "1", "--no-restore").returncode == 3
    assert "lost" in kernel.host.outcomes()
    forget_guests(kernel)
    kernel.host.scenario(passing())

    done = resume(kernel)

    assert done.returncode == 0, done.stdout + done.stderr
    assert kernel.host.outcomes() == ["passed"] * 4


def test_a_run_that_finished_says_so_and_runs_nothing(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(calls=3), passing())
    assert kernel.run("--jobs", "1").returncode == 1
    forget_guests(kernel)
    before = contents(latest(kernel))

    done = resume(kernel)

    assert done.returncode == 1, done.stderr
    assert f"{latest(kernel).name} has finished: 4 cells. Nothing was run." in done.stdout
    assert not kernel.host.guests()
    assert contents(latest(kernel)) == before


def test_a_report_that_was_not_written_is(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing())
    assert kernel.run().returncode == 0
    text = (latest(kernel) / "junit.xml").read_text()
    tested = load_run(latest(kernel))
    (latest(kernel) / "junit.xml").unlink()
    forget_guests(kernel)

    done = resume(kernel, "--junit", str(kernel.folder / "again.xml"))

    assert done.returncode == 0, done.stderr
    assert not kernel.host.guests()
    assert (latest(kernel) / "junit.xml").read_text() == text
    assert (kernel.folder / "again.xml").read_text() == text
    # By these the history knows what was tested.
    again = load_run(latest(kernel))
    assert tested.series_title
    assert (again.series_title, again.series) == (tested.series_title, tested.series)


def test_fail_fast_holds_for_what_had_ended(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), passing(calls=3), passing())
    assert kernel.run("--jobs", "1", "--fail-fast").returncode == 1
    forget_guests(kernel)

    done = resume(kernel)

    assert done.returncode == 1
    assert "--fail-fast ended it at the first bad cell" in done.stdout
    assert not kernel.host.guests()


def change_series(kernel: ToyKernel) -> None:
    kernel.write("series.patch", patch("slots = 2;", "slots = 4;"))


def change_tree(kernel: ToyKernel) -> None:
    kernel.write("linux/other.c", "int other;\n")


def change_matrix(kernel: ToyKernel) -> None:
    with_workloads(kernel, *WORKLOADS, more=f"{TWO_BUILDS}seed: 7\n")


def change_workload(kernel: ToyKernel) -> None:
    kernel.write("workloads/shmem.yaml", OTHER.replace("name: mincore", "name: shmem").replace("256", "300"))


def remove_matrix(kernel: ToyKernel) -> None:
    (kernel.folder / "matrix.yaml").unlink()


CHANGES = (
    (change_series, "the series is another one: what it does to swap.c differs"),
    (change_tree, "the kernel source is another one"),
    (change_matrix, "`seed` differs: 1 and 7"),
    (change_workload, "the workload shmem has changed"),
    (remove_matrix, "is gone"),
)


def test_what_is_no_longer_the_same_run_is_refused(kernel: ToyKernel) -> None:
    killed(kernel, after=2)
    forget_guests(kernel)
    before = contents(latest(kernel))
    kept = {file: file.read_bytes() for file in kernel.folder.rglob("*") if ours(file, kernel)}
    for change, reason in CHANGES:
        change(kernel)

        done = resume(kernel)

        assert done.returncode == 2, done.stdout + done.stderr
        assert reason in done.stderr
        assert f"patchrig run {kernel.folder}/matrix.yaml" in done.stderr
        for file in [file for file in kernel.folder.rglob("*") if ours(file, kernel)]:
            file.unlink()
        for file, content in kept.items():
            file.write_bytes(content)
    assert not kernel.host.guests()
    assert contents(latest(kernel)) == before


def ours(file: Path, kernel: ToyKernel) -> bool:
    """Whether a test wrote it: matrix, workloads, tree and series."""
    here = file.relative_to(kernel.folder)
    return file.is_file() and (len(here.parts) == 1 or here.parts[0] in ("linux", "workloads"))


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != ".lock"}


def test_another_patchrig_is_refused(kernel: ToyKernel) -> None:
    killed(kernel, after=2)
    plan = latest(kernel) / "plan.json"
    value = json.loads(plan.read_text())
    del value["sha256"]
    value["program"]["the version"] = "0.0.9"
    plan.write_text(with_sum(json.dumps(value, indent=1)))

    done = resume(kernel)

    assert done.returncode == 2
    assert "patchrig is another one: version 0.0.9 and 0." in done.stderr


def test_a_plan_that_was_damaged_is_refused(kernel: ToyKernel) -> None:
    killed(kernel, after=2)
    plan = latest(kernel) / "plan.json"
    plan.write_text(plan.read_text().replace('"seconds": 20', '"seconds": 21'))

    done = resume(kernel)

    assert done.returncode == 2
    assert "it has changed since it was written" in done.stderr


def test_a_run_at_work_is_left_alone(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(), hanging("running"))
    patchrig = start(kernel, "--jobs", "1")
    kernel.host.marked("running")

    done = resume(kernel)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "is still being run" in done.stderr
    patchrig.send_signal(signal.SIGINT)
    patchrig.communicate(timeout=120)
    assert patchrig.returncode == 130


def test_a_repeated_cell_is_not_resumed(host: Host) -> None:
    host.earlier_run()
    host.scenario(passing())
    host.repro()
    argv = [host.argv()[0], "resume", "latest", "--results", str(host.results)]

    done = subprocess.run(argv, env=host.environment, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 2
    assert "only what `patchrig run` began" in done.stderr
    assert "patchrig repro earlier mincore" in done.stderr
