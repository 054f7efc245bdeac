# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run`, from its argv to its exit code: in which order, what side by side, and how it stops early."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from junitparser import JUnitXml

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.fake_host import BOOT, GROWING, PROGRESS, Host, passing
from tests.process.toy_kernel import LOAD, MAKEFILE, ToyKernel, patch

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

WORKLOADS = ("mincore", "shmem", "swapin", "willneed", "readahead")
# Meant for another file; the counter is the fake's.
OTHER = LOAD.replace("files: [swap.c]", "files: [other.c]")


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    return ToyKernel(host)


def with_workloads(kernel: ToyKernel, *names: str, more: str = "") -> None:
    for name in names:
        kernel.write(f"workloads/{name}.yaml", OTHER.replace("name: mincore", f"name: {name}"))
    matrix = f"kernel: 6.19\nseries: [series.patch]\nworkloads: [{', '.join(names)}]\nseconds: 20\n"
    kernel.write("matrix.yaml", matrix + (more or "arches: [x86_64]\n"))


def latest(kernel: ToyKernel) -> Path:
    return (kernel.host.results / "latest").resolve()


def began(kernel: ToyKernel) -> list[str]:
    """The workloads of the latest run, in the order in which their guests were started."""
    cells = [cell for cell in kernel.host.cells() if cell["spans"]]
    return [cell["cell"]["workload"]["name"] for cell in sorted(cells, key=lambda cell: cell["spans"][0]["start"])]


def test_fail_fast_ends_what_runs_and_reports_all_that_did_not(kernel: ToyKernel) -> None:
    with_workloads(kernel, *WORKLOADS)
    endless = [["say", PROGRESS], ["mark", "running"], ["loop", GROWING]]
    kernel.host.scenario(passing(), endless, [["await_mark", "running"], *passing(calls=3)])

    done = kernel.run("--fail-fast", "--jobs", "2")

    assert done.returncode == 1, done.stderr
    kernel.host.await_no_guest()
    outcomes = {cell["cell"]["workload"]["name"]: cell["verdict"] for cell in kernel.host.cells()}
    assert sorted(verdict["outcome"] for verdict in outcomes.values()) == [
        *("not-exercised", "passed", "skipped", "skipped", "skipped")
    ]
    why = {verdict["title"] for verdict in outcomes.values() if verdict["outcome"] == "skipped"}
    (bad,) = (name for name, verdict in outcomes.items() if verdict["outcome"] == "not-exercised")
    told = f"--fail-fast, and patched.plain.x86_64.{bad}: not-exercised"
    assert why == {f"ended early: {told}", f"not run: {told}"}
    report = JUnitXml.fromfile(str(latest(kernel) / "junit.xml"))
    assert (report.tests, report.failures, report.skipped) == (5, 1, 3)
    summary = (latest(kernel) / "summary.txt").read_text()
    assert "SKIPPED (1 cell): not run: --fail-fast" in summary or "SKIPPED (2 cells): not run: --fail-fast" in summary
    assert "patched.plain.x86_64.readahead" in summary
    run = json.loads((latest(kernel) / "run.json").read_text())
    assert run["interrupted"] is False


def test_a_kernel_whose_debug_information_can_not_be_read_is_a_failed_build(kernel: ToyKernel) -> None:
    """A Makefile can leave whatever it likes: that is no trouble of this machine, and no bug of patchrig."""
    spoil = "\thead -c 4096 /dev/zero | tr '\\0' '\\377' > $(O)/junk\n"
    spoil += "\tobjcopy --update-section .debug_info=$(O)/junk $(O)/vmlinux\n"
    kernel.write("linux/Makefile", MAKEFILE.replace("$(O)/vmlinux $^\n", f"$(O)/vmlinux $^\n{spoil}"))
    kernel.host.scenario(passing())

    done = kernel.run()

    assert done.returncode == 1, done.stderr
    (cell,) = kernel.host.cells()
    assert cell["verdict"]["outcome"] == "build-failed"
    assert "debug information that can't be read" in cell["verdict"]["title"]


def test_fail_fast_builds_nothing_more(kernel: ToyKernel) -> None:
    with_workloads(kernel, "mincore", more="arches: [x86_64]\nvariants: [baseline, patched]\n")
    kernel.write("series.patch", patch("slots = 2;", "slots = no_such_thing;"))
    kernel.host.scenario(passing(calls=3))

    done = kernel.run("--fail-fast", "--variant", "patched", "--variant", "baseline")

    assert done.returncode == 1, done.stderr
    assert [cell["verdict"]["outcome"] for cell in kernel.host.cells()] == ["build-failed", "skipped"]
    assert not kernel.host.guests()


def test_what_failed_last_time_is_run_first(kernel: ToyKernel) -> None:
    with_workloads(kernel, "mincore", "shmem", "swapin")
    kernel.host.scenario(passing(), passing(), passing(calls=3))
    assert kernel.run("--jobs", "1").returncode == 1
    bad = began(kernel)[-1]
    for file in kernel.host.state.glob("qemu.*"):
        file.unlink()
    kernel.host.scenario(passing())

    assert kernel.run("--jobs", "1").returncode == 0

    assert began(kernel)[0] == bad
    # A reader finds the rows where they were.
    text = (latest(kernel) / "summary.txt").read_text()
    assert text.index("mincore") < text.index("shmem") < text.index("swapin")


def test_workloads_of_files_that_were_edited_go_first(kernel: ToyKernel) -> None:
    with_workloads(kernel, "mincore", "shmem", "swapin")
    kernel.write("workloads/shmem.yaml", LOAD.replace("name: mincore", "name: shmem"))
    kernel.host.scenario(passing())
    assert kernel.run("--jobs", "1").returncode == 0

    kernel.write("series.patch", patch("slots = 2;", "slots = 4;"))
    assert kernel.run("--jobs", "1").returncode == 0

    assert began(kernel)[0] == "shmem"


def test_the_next_kernel_is_built_while_guests_of_the_last_run(kernel: ToyKernel) -> None:
    with_workloads(kernel, "mincore", more="arches: [x86_64]\nflavours: [plain, debug]\n")
    state = kernel.host.state
    # The build waits for the guest, and the guest for the build.
    wait = f'case $(O) in *debug*) while [ ! -e "{state}/running" ]; do sleep 0.01; done; touch "{state}/built";; esac'
    kernel.write("linux/Makefile", MAKEFILE.replace('\t@echo "  CC ', f'\t@{wait}\n\t@echo "  CC '))
    guest = [["say", PROGRESS], ["mark", "running"], ["await_mark", "built"], *passing()]
    kernel.host.scenario(guest, passing())

    done = kernel.run()

    assert done.returncode == 0, done.stdout + done.stderr
    assert kernel.host.outcomes() == ["passed", "passed"]


def test_a_run_draws_what_its_time_went_on(kernel: ToyKernel) -> None:
    with_workloads(kernel, "mincore")
    kernel.host.scenario(passing(), boot=BOOT)

    assert kernel.run().returncode == 0

    (cell,) = kernel.host.cells()
    assert [span["phase"] for span in cell["spans"]] == ["boot", "setup", "workload", "collect", "judge"]
    assert all(span["start"] <= span["end"] for span in cell["spans"])
    run = json.loads((latest(kernel) / "run.json").read_text())
    timings = {timing["name"]: [span["phase"] for span in timing["spans"]] for timing in run["timings"]}
    assert timings["kernel source"] == ["fetch"]
    assert timings["patched.plain.x86_64"] == ["patch", "configure", "compile", "pack"]
    drawn = ET.parse(latest(kernel) / "timeline.svg").getroot()
    words = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"kernel source", "patched.plain.x86_64", "patched.plain.x86_64.mincore", "compile"} <= set(words)


def test_a_cache_that_can_not_be_written_is_this_machines_trouble(kernel: ToyKernel) -> None:
    with_workloads(kernel, "mincore")
    kernel.host.scenario(passing())
    (kernel.folder / "cache").write_text("a file in its place")

    done = kernel.run()

    assert done.returncode == 3, done.stderr
    assert "the cache can't be written" in done.stderr
    assert "PATCHRIG_CACHE=" in done.stderr
    assert "Traceback" not in done.stderr
