# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run --shard` and `patchrig merge`: the shards of a run are that run once more."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from junitparser import JUnitXml

from orchestrator.host.process import find_tool
from orchestrator.model.configuration import Variant
from orchestrator.model.reports import CellReport
from orchestrator.model.subtests import SubtestStatus
from orchestrator.report.store import load_run
from orchestrator.report.stored import cell_lines
from tests.process import fake_host
from tests.process.cli import test_resume, test_suites
from tests.process.cli.test_resume import TWO_BUILDS, WORKLOADS, change_series, killed, latest, one_run, stated
from tests.process.cli.test_run import with_workloads
from tests.process.fake_host import Host, passing
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    kernel = ToyKernel(host)
    with_workloads(kernel, *WORKLOADS, more=TWO_BUILDS)
    return kernel


def shard(kernel: ToyKernel, text: str, *words: str) -> tuple[int, Path]:
    """A shard in a folder of results of its own, as on a machine of its own: its exit code and the run's folder."""
    place = kernel.folder / "machines" / text.replace("/", "-")
    done = kernel.run("--jobs", "1", "--shard", text, "--results", str(place), *words)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode, (place / "latest").resolve()


def merge(kernel: ToyKernel, *runs: Path | str, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    argv = [kernel.argv()[0], "merge", *map(str, runs), "--results", str(kernel.host.results), *words]
    return subprocess.run(argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300)


def test_the_shards_of_a_run_are_that_run(kernel: ToyKernel) -> None:
    code, whole = one_run(kernel)
    kernel.host.scenario(passing())
    runs = [shard(kernel, f"{number}/3")[1] for number in (1, 2, 3)]
    assert len(kernel.host.guests()) == 4

    # In any order.
    done = merge(kernel, runs[2], runs[0], runs[1])

    assert done.returncode == code == 0, done.stdout + done.stderr
    merged = latest(kernel)
    seen = stated(merged)
    head, _, rest = seen["summary"].partition("\n\n")
    assert "Merged from" in head
    for part in (seen, whole):
        part["run"].pop("argv")
        part["summary"] = part["summary"].partition("\n\n")[2]
        # The folders of parts have no file of one arch's guests without a kernel.
        part["files"] = [file for file in part["files"] if not file.startswith("guest/initramfs.x86_64")]
        part["junit"] = [(*case[:2], case[2]) for case in part["junit"]]
    assert seen == whole
    assert rest
    run = json.loads((merged / "run.json").read_text())
    assert sorted(run["merged"]) == sorted(path.name for path in runs)
    assert "--shard" not in run["argv"]
    assert JUnitXml.fromfile(str(merged / "junit.xml")).tests == 4
    assert merged.name in (kernel.host.results / "index.html").read_text()


def test_a_cell_of_a_merged_run_is_run_again(kernel: ToyKernel) -> None:
    """Each shard had keys of its own."""
    kernel.host.scenario(passing())
    runs = [shard(kernel, f"{number}/2")[1] for number in (1, 2)]
    assert merge(kernel, *runs).returncode == 0
    for path in runs:
        shutil.rmtree(path)
    merged = latest(kernel).name

    for name in ("baseline.plain.x86_64.mincore", "patched.plain.x86_64.shmem"):
        argv = [kernel.argv()[0], "repro", merged, name, "--no-sandbox", "--results", str(kernel.host.results)]
        done = subprocess.run(
            argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_shard_that_is_missing_is_lost(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing())
    runs = [shard(kernel, f"{number}/3")[1] for number in (1, 3)]

    done = merge(kernel, *runs, words=("--output", str(kernel.folder / "merged"), "--json"))

    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    lost = [cell for cell in said["cells"] if cell["outcome"] == "lost"]
    assert len(said["cells"]) == 4
    assert {cell["title"] for cell in lost} == {"never run: no run of shard 2/3 was merged"}
    assert len(lost) == 4 - len(kernel.host.guests())
    # What is missing can be run here: the merged run is a run as any other.
    again = test_resume.resume(kernel, name=str(kernel.folder / "merged"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(kernel.host.guests()) == 4


def test_a_run_that_was_killed_is_merged_with_what_it_has(kernel: ToyKernel) -> None:
    killed(kernel, after=2)

    done = merge(kernel, "latest")

    assert done.returncode == 3, done.stderr
    # Its lines are wrapped.
    assert "patchrig resume" in " ".join((latest(kernel) / "summary.txt").read_text().split())


def test_a_run_twice_is_that_run_and_a_cell_that_ran_twice_is_refused(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing())
    _, first = shard(kernel, "1/1")
    copy = kernel.folder / "copy" / first.name
    shutil.copytree(first, copy)
    assert merge(kernel, first, copy).returncode == 0
    assert JUnitXml.fromfile(str(latest(kernel) / "junit.xml")).tests == 4
    _, second = shard(kernel, "1/2")

    done = merge(kernel, first, second)

    assert done.returncode == 2
    assert "was run twice, in" in done.stderr
    assert "leave out one of the runs" in done.stderr


def test_runs_that_do_not_belong_together_are_refused(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing())
    _, first = shard(kernel, "1/2")
    _, seeded = shard(kernel, "2/2", "--seed", "9")
    change_series(kernel)
    _, other = shard(kernel, "2/2")

    by_seed, by_series = merge(kernel, first, seeded), merge(kernel, first, other)

    assert (by_seed.returncode, by_series.returncode) == (2, 2)
    assert "the matrix: `seed` differs: 1 and 9" in by_seed.stderr
    assert "the series is another one: what it does to swap.c differs" in by_series.stderr
    assert not list(kernel.host.results.glob("*/run.json"))


def test_a_shard_without_a_cell_is_no_failure(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing())
    one_cell = ("--workload", "mincore", "--variant", "baseline")
    ran = [shard(kernel, text, *one_cell) for text in ("1/2", "2/2")]

    counts = [json.loads((folder / "run.json").read_text())["cell_count"] for _, folder in ran]
    assert sorted(counts) == [0, 1]
    assert [code for code, _ in ran] == [0, 0]
    assert merge(kernel, *(folder for _, folder in ran)).returncode == 0


def test_a_shard_that_can_not_be_is_a_mistake(kernel: ToyKernel) -> None:
    done = kernel.run("--shard", "3/2")

    assert done.returncode == 2
    assert "--shard 3/2: must be I/N, with I from 1 to N" in done.stderr
    assert not kernel.host.results.exists()


def test_a_suite_is_compared_over_all_shards(host: Host) -> None:
    """No shard has enough runs to tell that the series broke a subtest."""
    kernel = test_suites.suite_kernel(host)
    kernel.host.scenario(test_suites.GOOD)
    runs = [shard(kernel, f"{number}/2", *test_suites.BOTH)[1] for number in (1, 2)]
    for run in runs:
        cells = [broken(cell) if cell.cell.build.variant is Variant.PATCHED else cell for cell in load_run(run).cells]
        (run / "cells.jsonl").write_text("".join(cell_lines(cells)))

    done = merge(kernel, *runs)

    assert done.returncode == 1, done.stdout + done.stderr
    assert test_suites.changes(kernel)["a"] == "regressed"
    (found,) = json.loads((latest(kernel) / "run.json").read_text())["suites"]
    assert (found["baseline_runs"], found["patched_runs"]) == (3, 3)


def broken(cell: CellReport) -> CellReport:
    assert cell.run
    assert cell.run.suite
    first, *rest = cell.run.suite.subtests
    suite = replace(cell.run.suite, subtests=(replace(first, status=SubtestStatus.NOT_OK), *rest))
    return replace(cell, run=replace(cell.run, suite=suite))


def test_a_merged_run_can_be_compared_with_the_nights_before_it(kernel: ToyKernel) -> None:
    kernel.host.scenario(passing(calls=3))
    codes = []
    for night in (1, 2):
        run = shard(kernel, "1/1", "--workload", "mincore")[1]
        codes.append(
            merge(
                kernel, run, words=("--since", "last", "--output", str(kernel.host.results / f"2026-{night}"))
            ).returncode
        )

    assert codes == [1, 0]
    news = json.loads((kernel.host.results / "2026-2/run.json").read_text())["news"]
    assert news["new"] == []
    assert len(news["known"]) == 2
