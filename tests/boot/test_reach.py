# SPDX-License-Identifier: GPL-2.0-or-later
"""A reach map of a real kernel: what a workload that calls mincore() runs, and what it can't have run."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.boot.boot_runs import MATRIX, PATCHRIG

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]


def reach(results: Path, *words: str) -> Any:
    argv = [str(PATCHRIG), "reach", *words, "--json", "--results", str(results)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=5400)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("arch", ["x86_64", pytest.param("arm64", marks=pytest.mark.long)])
def test_a_workload_is_seen_to_run_its_system_call_and_nothing_of_others(arch: str, tmp_path: Path) -> None:
    # A map with more seconds is as good: then nothing is booted.
    (map_,) = reach(tmp_path, str(MATRIX), "--arch", arch, "--workload", "mincore", "--seconds", "5")

    assert map_["missing"] == []
    assert 500 < map_["functions_run"] < map_["functions"]
    # The cache may have further maps of this kernel: of other configurations, and of other flavours.
    maps = reach(tmp_path, "--kernel", "6.19", "--arch", arch, "--of", "mm/mincore.c")
    functions = [one for of in maps for one in of["functions"] if one["recorded"] == "yes"]
    ran = {one["name"] for one in functions if "mincore" in one["workloads"]}
    assert "sys_mincore" in ran
    assert "mincore_pte_range" in ran
    maps = reach(tmp_path, "--kernel", "6.19", "--arch", arch, "--of", "sys_remap_file_pages")
    assert not any("mincore" in one["workloads"] for of in maps for one in of["functions"])
