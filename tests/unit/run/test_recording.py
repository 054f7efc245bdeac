# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be recorded, by what the maps have."""

from dataclasses import replace
from pathlib import Path

from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Matrix, Variant
from orchestrator.plan.expansion import expand
from orchestrator.plan.suite_workloads import suite_workload
from orchestrator.run.reach_maps import content_of, keep_map
from orchestrator.run.recording import not_in_maps
from tests.unit.reach_samples import IDENTITY, sample_map, workload_reach


def cells_of(*suites: str, seconds: int = 10) -> tuple[Cell, ...]:
    matrix = Matrix(
        kernel="6.19",
        variants=(Variant.BASELINE,),
        flavours=("reach",),
        arches=("x86_64",),
        workloads=suites,
        seconds=seconds,
    )
    return expand(matrix, [suite_workload(name) for name in suites])


def missing(cache: Path, cells: tuple[Cell, ...], *recorded: str) -> list[str]:
    """The workloads that are to be run, where a map of their kernel has those of some suites."""
    known = {cell.build: replace(IDENTITY, flavour=cell.build.flavour) for cell in cells}
    for cell in cells:
        loads = [
            workload_reach(one.workload.name, 0x10, content=content_of(one.workload))
            for one in cells
            if one.build == cell.build and one.workload.name in recorded
        ]
        keep_map(cache, sample_map(*loads, identity=known[cell.build]))
    return [cell.workload.name for cell in not_in_maps(cells, known, ["mm/"], cache)]


def test_only_what_the_map_lacks_is_run(tmp_path: Path) -> None:
    cells = cells_of("stress-ng:vm", "stress-ng:swap", "kunit:mm")

    assert missing(tmp_path, cells, "stress-ng-vm", "kunit-mm") == ["stress-ng-swap"]


def test_suites_of_kselftest_that_share_a_kernel_are_run_together(tmp_path: Path) -> None:
    """With fewer of them the kernel would have other options, and its functions would not be those of the map."""
    cells = cells_of("kselftest:mm", "kselftest:cgroup", "kunit:mm")

    assert missing(tmp_path, cells, "kselftest-mm", "kunit-mm") == ["kselftest-mm", "kselftest-cgroup"]
    assert missing(tmp_path, cells, "kselftest-mm", "kselftest-cgroup", "kunit-mm") == []


def test_a_longer_time_is_asked_of_what_runs_for_the_time_that_is_given(tmp_path: Path) -> None:
    cells = cells_of("stress-ng:vm", "kunit:mm", seconds=99)

    assert missing(tmp_path, cells, "stress-ng-vm", "kunit-mm") == ["stress-ng-vm"]
