# SPDX-License-Identifier: GPL-2.0-or-later
"""The flavours that make another machine: kernels boot, guests are what was asked for, and a workload passes there."""

import re
from pathlib import Path

import pytest

from orchestrator.plan.flavours import needs_of
from orchestrator.vm.qemu import READY, ready_of
from tests.boot.boot_runs import run_matrix

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

# Each is a kernel of its own, built in minutes: `make test` has the one that differs most.
MACHINES = (
    ("64k", "arm64"),
    pytest.param("16k", "arm64", marks=pytest.mark.long),
    *(
        pytest.param(flavour, arch, marks=pytest.mark.long)
        for flavour in ("numa", "memcg-v1", "thp-always", "rt")
        for arch in ("x86_64", "arm64")
    ),
)


@pytest.mark.parametrize(("flavour", "arch"), MACHINES)
def test_a_workload_passes_on_the_machine_that_was_asked_for(flavour: str, arch: str, tmp_path: Path) -> None:
    only = ("--variant", "baseline", "--flavour", flavour, "--arch", arch, "--workload", "mincore")

    ran = run_matrix(tmp_path, *only, "--jobs", "1")

    assert set(ran.outcomes().values()) == {"passed"}, ran.titles()
    console = (ran.folder / "cells" / f"baseline.{flavour}.{arch}.mincore" / "console.log").read_text(errors="replace")
    (facts,) = (found["facts"] for line in console.splitlines() if (found := READY.match(line.strip())))
    said, asked = ready_of(facts).machine, needs_of(flavour).machine
    assert (said.page_kib, said.nodes, said.memcg) == (asked.page_kib, asked.nodes, asked.memcg)
    assert asked.thp in ("", said.thp)
    assert bool(re.search(r"Linux version .* PREEMPT_RT ", console)) is (flavour == "rt")
