# SPDX-License-Identifier: GPL-2.0-or-later
"""Nights of `patchrig run --since last` with a fake QEMU, from the command line to exit code, JUnit and history."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.fake_host import PATCHRIG, Host, passing
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

WRONG = passing(errors=[{"call": "swapoff", "errno": "EIO", "count": 2}])


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    return ToyKernel(host)


def history(kernel: ToyKernel) -> dict[str, Any]:
    done = subprocess.run(
        [str(PATCHRIG), "history", "--results", str(kernel.host.results), "--json"],
        env=kernel.host.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def junit(kernel: ToyKernel) -> tuple[int, int]:
    report = JUnitXml.fromfile(str(kernel.host.results / "latest" / "junit.xml"))
    return report.failures, report.skipped


def test_a_failure_is_loud_once_and_in_the_history_each_night(kernel: ToyKernel) -> None:
    codes, cases = [], []
    for guest in (passing(), WRONG, WRONG):
        for file in kernel.host.state.glob("qemu.*"):
            file.unlink()
        kernel.host.scenario(guest)
        done = kernel.run("--since", "last")
        codes.append(done.returncode)
        cases.append(junit(kernel))

    assert codes == [0, 1, 0], done.stderr
    assert cases == [(0, 0), (1, 0), (0, 1)]
    assert "0 new, 1 old, compared with 2 earlier runs" in done.stdout
    (cell,) = history(kernel)["cells"]
    assert (cell["state"], cell["passed"], cell["observed"]) == ("still bad", 1, 3)
    assert cell["last"] == ["passed", "failed", "failed"]
    results = Path(kernel.host.results)
    index = (results / "index.html").read_text()
    assert all(run["run"] in index for run in history(kernel)["runs"])
    assert (results / "latest" / "report.html").is_file()


def test_a_run_to_compare_with_that_is_not_there_is_refused_before_anything_is_built(kernel: ToyKernel) -> None:
    done = kernel.run("--since", "2026-01-01")

    assert done.returncode == 2
    assert "no run '2026-01-01'" in done.stderr
    assert not kernel.host.results.exists() or not list(kernel.host.results.glob("*/run.json"))
