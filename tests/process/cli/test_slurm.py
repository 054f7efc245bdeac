# SPDX-License-Identifier: GPL-2.0-or-later
"""configs/ci/slurm-array.sh, run as SLURM runs it: a task for each shard, one of them twice."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.host.paths import PROJECT
from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.cli.test_merge import merge
from tests.process.cli.test_resume import TWO_BUILDS, forget_guests, hanging
from tests.process.cli.test_run import with_workloads
from tests.process.fake_host import PATCHRIG, Host, passing
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

SCRIPT = PROJECT / "configs" / "ci" / "slurm-array.sh"


def task(kernel: ToyKernel, number: int) -> subprocess.Popen[str]:
    slurm = {
        "SLURM_ARRAY_JOB_ID": "42",
        "SLURM_ARRAY_TASK_ID": str(number),
        "SLURM_ARRAY_TASK_COUNT": "2",
        "PATCHRIG_RESULTS": str(kernel.host.results),
        "PATH": f"{kernel.host.programs}:{PATCHRIG.parent}:{os.environ['PATH']}",
    }
    words = ["--tree", str(kernel.folder / "linux"), "--no-sandbox", "--jobs", "1"]
    argv = ["sh", str(SCRIPT), str(kernel.folder / "matrix.yaml"), *words]
    return subprocess.Popen(argv, env={**kernel.host.environment, **slurm}, start_new_session=True, text=True)


def test_the_tasks_of_an_array_make_one_run(host: Host) -> None:
    kernel = ToyKernel(host)
    with_workloads(kernel, "mincore", "shmem", more=TWO_BUILDS)
    kernel.host.scenario(hanging("running"))
    first = task(kernel, 1)
    kernel.host.marked("running")
    # The node fails, and SLURM starts the task once more.
    os.killpg(first.pid, 9)
    first.wait(timeout=120)
    kernel.host.await_no_guest()
    forget_guests(kernel)
    kernel.host.scenario(passing(calls=3), passing())

    # One cell is red, which is no failure of a task.
    assert [task(kernel, number).wait(timeout=300) for number in (1, 2)] == [0, 0]

    assert len(kernel.host.guests()) == 4
    runs = sorted((kernel.host.results / "42").glob("*/latest"))
    done = merge(kernel, *runs)
    assert done.returncode == 1, done.stdout + done.stderr
    merged = Path(kernel.host.results / "latest")
    assert json.loads((merged / "run.json").read_text())["cell_count"] == 4
