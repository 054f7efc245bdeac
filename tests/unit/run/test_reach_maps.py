# SPDX-License-Identifier: GPL-2.0-or-later
"""What guests recorded becomes maps, and maps are files of the cache."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from orchestrator.model.configuration import DeviceKind, SwapDevice, Workload
from orchestrator.model.reach import Extent, Ran, Recorded, SourceFunction
from orchestrator.plan.suite_workloads import suite_workload
from orchestrator.run.cache_check import damaged
from orchestrator.run.reach_maps import content_of, extents, functions_run, keep_map, kept_map, kept_maps, maps_of
from tests.unit.reach_samples import CODE, IDENTITY, executed, sample_map, workload_reach

SWAPOFF = SourceFunction("mm/swapfile.c", "sys_swapoff")
FAULT = SourceFunction("mm/memory.c", "do_swap_page")


def test_a_function_ran_if_one_of_its_blocks_did() -> None:
    assert functions_run(CODE, executed(0x30, 0x999)) == {FAULT: Ran(1, (4002,))}
    assert functions_run(CODE, {}) == {}


def test_what_the_macro_of_a_system_call_makes_is_one_function() -> None:
    assert functions_run(CODE, executed(0x40, 0x60)) == {SWAPOFF: Ran(2, (2699, 2700))}
    assert extents(CODE)[SWAPOFF] == Extent(Recorded.YES, 3, 3)


def test_functions_that_can_not_be_recorded_are_kept_as_such() -> None:
    found = extents(CODE)

    assert found[SourceFunction("mm/swapfile.c", "swap_init")] == Extent(Recorded.BOOT, 0, 0)
    assert found[SourceFunction("mm/kasan/shadow.c", "kasan_poison")].recorded is Recorded.NO


def test_a_map_is_read_back_as_it_was(tmp_path: Path) -> None:
    map_ = sample_map(workload_reach("shmem", 0x40), workload_reach("swapin", 0x10, 0x20))

    assert keep_map(tmp_path, map_) == map_
    assert kept_map(tmp_path, IDENTITY, ["mm/"]) == map_
    assert kept_maps(tmp_path) == (map_,)


def test_a_workload_that_is_recorded_again_replaces_itself_and_leaves_the_others(tmp_path: Path) -> None:
    keep_map(tmp_path, sample_map(workload_reach("shmem", 0x40), workload_reach("swapin", 0x10)))

    keep_map(tmp_path, sample_map(workload_reach("swapin", 0x10, 0x20, content="new")))

    found = kept_map(tmp_path, IDENTITY, ["mm/"])
    assert found
    assert [(one.workload, one.content) for one in found.workloads] == [("shmem", "c"), ("swapin", "new")]


def test_another_run_of_the_same_workload_adds_to_the_map(tmp_path: Path) -> None:
    keep_map(tmp_path, sample_map(workload_reach("swapin", 0x10, 0x40)))

    keep_map(tmp_path, sample_map(replace(workload_reach("swapin", 0x20, 0x30), outcome="not-exercised")))

    found = kept_map(tmp_path, IDENTITY, ["mm/"])
    assert found
    (one,) = found.workloads
    assert (one.seconds, one.outcome) == (20, "passed")
    assert one.ran == {FAULT: Ran(2, (4001, 4002)), SWAPOFF: Ran(1, (2700,))}


def test_the_map_of_another_build_of_the_source_is_replaced_as_a_whole(tmp_path: Path) -> None:
    other = replace(IDENTITY, build="d" * 64)
    keep_map(tmp_path, sample_map(workload_reach("shmem", 0x40)))

    keep_map(tmp_path, sample_map(workload_reach("swapin", 0x10), identity=other))

    assert kept_map(tmp_path, IDENTITY, ["mm/"]) is None
    assert [one.workload for map_ in kept_maps(tmp_path) for one in map_.workloads] == ["swapin"]


def test_a_flavour_with_other_code_has_a_map_of_its_own(tmp_path: Path) -> None:
    plain = sample_map(workload_reach("shmem", 0x40))
    numa = sample_map(workload_reach("numa-policy", 0x10), identity=replace(IDENTITY, flavour="reach+numa", build="d"))

    keep_map(tmp_path, plain)
    keep_map(tmp_path, numa)

    assert set(map(str, kept_maps(tmp_path, IDENTITY.source))) == {str(plain), str(numa)}


def test_of_a_source_without_maps_those_of_all_others_are_read(tmp_path: Path) -> None:
    other = sample_map(identity=replace(IDENTITY, source="6" * 64))
    keep_map(tmp_path, other)
    assert kept_maps(tmp_path, IDENTITY.source) == (other,)

    keep_map(tmp_path, sample_map())

    assert kept_maps(tmp_path, IDENTITY.source) == (sample_map(),)
    assert len(kept_maps(tmp_path)) == 2


def test_maps_of_other_folders_stay(tmp_path: Path) -> None:
    wide = replace(sample_map(), folders=("mm/", "fs/proc/"))
    keep_map(tmp_path, sample_map(workload_reach("swapin", 0x10)))

    keep_map(tmp_path, wide)

    assert len(kept_maps(tmp_path)) == 2
    assert kept_map(tmp_path, IDENTITY, ["fs/proc/", "mm/"]) == wide


def test_a_damaged_map_is_none_and_doctor_finds_it(tmp_path: Path) -> None:
    keep_map(tmp_path, sample_map(workload_reach("swapin", 0x10)))
    (file,) = (tmp_path / "reach").glob("*.sealed")

    file.write_bytes(file.read_bytes().replace(b"do_swap_page", b"do_swap_pagf"))

    assert kept_maps(tmp_path) == ()
    assert [path for path, _ in damaged(tmp_path)] == [file]


def test_maps_are_chosen_by_whole_parts_of_a_version_and_by_arch() -> None:
    arm = sample_map(identity=replace(IDENTITY, arch="arm64"))
    old = sample_map(identity=replace(IDENTITY, version="6.1.9"))
    every = (sample_map(), arm, old)

    assert maps_of(every, version="6.19") == (every[0], arm)
    assert maps_of(every, version="6.1") == (old,)
    assert maps_of(every, version="6.19.6", arches=["arm64"]) == (arm,)
    assert maps_of(every) == every


def test_another_program_library_or_setting_is_another_load(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("run-workload", "lib/run.c", "load.c"):
        (tmp_path / name).write_text(name)
    load = Workload(
        name="load",
        summary="a load",
        program=PurePosixPath("load.c"),
        devices=(SwapDevice(kind=DeviceKind.ZRAM, size_mib=1),),
        exercised={"swapoffs": 1},
    )
    before = content_of(load, tmp_path)

    seen = {before, content_of(load.model_copy(update={"memory_mib": 256}), tmp_path)}
    for name in ("run-workload", "lib/run.c", "load.c"):
        (tmp_path / name).write_text("changed")
        seen.add(content_of(load, tmp_path))
    assert len(seen) == 5


def test_the_script_of_a_suite_decides_on_what_it_does(tmp_path: Path) -> None:
    for name in ("run-workload", "workloads/command.c", "suite-kunit", "suite-kselftest"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    suite = suite_workload("kunit:mm")
    before = content_of(suite, tmp_path)

    (tmp_path / "suite-kselftest").write_text("changed")
    assert content_of(suite, tmp_path) == before
    (tmp_path / "suite-kunit").write_text("changed")
    assert content_of(suite, tmp_path) != before
    assert content_of(suite_workload("kunit:damon*"), tmp_path) != content_of(suite, tmp_path)


def test_kernels_with_the_options_of_other_selftests_have_maps_of_their_own(tmp_path: Path) -> None:
    both = replace(IDENTITY, flavour="reach+kselftest", selftests=("cgroup", "mm"))
    keep_map(tmp_path, sample_map(workload_reach("kselftest-mm", 0x10), identity=replace(both, selftests=("mm",))))

    keep_map(tmp_path, sample_map(workload_reach("kselftest-cgroup", 0x40), identity=both))

    found = {one.workload for map_ in kept_maps(tmp_path) for one in map_.workloads}
    assert found == {"kselftest-mm", "kselftest-cgroup"}


def test_of_two_runs_of_a_suite_the_longer_and_the_better_one_count(tmp_path: Path) -> None:
    first = replace(workload_reach("kunit-mm", 0x10, suite="kunit:mm"), outcome="subtests-failed", guest_seconds=90.0)
    keep_map(tmp_path, sample_map(first))

    keep_map(tmp_path, sample_map(replace(first, outcome="hung", guest_seconds=40.0)))

    found = kept_map(tmp_path, IDENTITY, ["mm/"])
    assert found
    (one,) = found.workloads
    assert (one.suite, one.outcome, one.guest_seconds) == ("kunit:mm", "subtests-failed", 90.0)
