# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload's command line, limits and result line."""

import json
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.guest.workload import (
    REFERENCE_SPEED,
    Limits,
    ProtocolReader,
    disk_sizes,
    growth,
    limits_for,
    result_of,
    unprepared_result,
    workload_argv,
)
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import DeviceKind, SwapDevice, Workload
from orchestrator.model.interfaces import InterfaceUse
from tests.unit.samples import RESULT as SAID
from tests.unit.samples import cell

LIMITS = Limits(swapoff=45.0, no_progress=60.0, overall=320.0)
DEVICES = (
    SwapDevice(kind=DeviceKind.NULL_BLK, size_mib=16, priority=10, latency_us=500),
    SwapDevice(kind=DeviceKind.ZRAM, size_mib=16),
    SwapDevice(kind=DeviceKind.VIRTIO_BLK, size_mib=32, priority=5),
    SwapDevice(kind=DeviceKind.SWAPFILE, size_mib=8, priority=0),
    SwapDevice(kind=DeviceKind.NULL_BLK, size_mib=8, discard=True),
)
# As guest-scripts/lib/result.c prints it.
RESULT = """{"type": "result", "operations": 81230, "verified": 40960, "mismatch_count": 1, "mismatches": [{"page": 7,
"kind": "stale", "expected": "generation 4", "seen": "generation 3"}], "errors": [{"call": "mincore", "errno": "EFAULT",
"count": 2}], "swapoffs": 57, "swapoff_longest_ms": 812.5, "swapoff_stuck": false, "counters": {"before": {"pswpin": 10,
"site.mincore.calls": 0, "operations": 0}, "after": {"pswpin": 1010, "site.mincore.calls": 9120, "operations": 81230}},
"missing": ""}"""


def sample(**changes: object) -> Cell:
    base = cell()
    workload = Workload.model_validate(base.workload.model_dump() | changes)
    return Cell(build=base.build, workload=workload, seconds=20, seed=7, repeat=1, repeats=1)


def test_the_command_line_carries_everything_that_the_yaml_says() -> None:
    argv = workload_argv(
        sample(
            devices=DEVICES,
            settings={"/proc/sys/vm/page-cluster": "3"},
            cgroup={"memory.high": "64M"},
            arguments=("--threads", "4"),
        ),
        LIMITS,
    )

    assert argv == [
        "run-workload",
        *("--device", "null_blk:16:10:500", "--device", "zram:16:10:0"),
        *("--device", "virtio-blk:32:5:0", "--device", "swapfile:8:0:0"),
        *("--device", "null_blk:8:10:0:discard"),
        *("--setting", "/proc/sys/vm/page-cluster=3", "--cgroup", "memory.high=64M"),
        *("--", "mincore", "--seconds", "20", "--seed", "7", "--swapoff-budget", "45"),
        *("--probes", "/patchrig/mincore.probes", "--threads", "4"),
    ]


def test_only_devices_that_qemu_gives_have_a_disk_and_a_swapfile_has_room_for_its_file_system() -> None:
    virtio, swapfile = disk_sizes(sample(devices=DEVICES))[2:4]

    assert disk_sizes(sample(devices=DEVICES))[:2] == (0, 0)
    assert virtio == 32
    assert swapfile > 8


def test_a_guest_as_fast_as_the_reference_has_the_plain_limits() -> None:
    assert limits_for(sample(), REFERENCE_SPEED) == LIMITS


def test_a_slow_guest_has_longer_limits_but_the_same_load() -> None:
    slow = limits_for(sample(), REFERENCE_SPEED / 4)

    assert (slow.swapoff, slow.no_progress, slow.overall) == (180.0, 240.0, 20 + 1200.0)


@given(st.floats(min_value=0.0, max_value=1e9))
def test_no_speed_makes_limits_shorter_than_the_plain_ones_or_endless(speed: float) -> None:
    limits = limits_for(sample(), speed)

    assert LIMITS.swapoff <= limits.swapoff < 1e6
    assert limits.overall > limits.no_progress > limits.swapoff


def test_a_result_line_becomes_a_value_with_the_growth_of_its_counters() -> None:
    result = result_of(json.loads(RESULT))

    assert (result.operations, result.verified, result.swapoffs) == (81230, 40960, 57)
    assert result.mismatches[0].kind == "stale"
    assert result.errors[0].errno == "EFAULT"
    assert result.counters == {"operations": 81230, "pswpin": 1000, "site.mincore.calls": 9120}
    assert result.swapoff_longest_ms == 812.5
    assert not result.swapoff_stuck


@pytest.mark.parametrize("key", [key for key in json.loads(RESULT) if key not in ("type", "missing")])
def test_a_result_line_that_lacks_something_is_no_result(key: str) -> None:
    said = json.loads(RESULT)
    del said[key]

    with pytest.raises(ValueError, match=key):
        result_of(said)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("operations", "many"),
        ("operations", True),
        ("verified", 1.5),
        ("mismatch_count", None),
        ("mismatches", [{"page": 1, "kind": "odd", "expected": "", "seen": ""}]),
        ("errors", {}),
        ("swapoff_longest_ms", "soon"),
        ("swapoff_stuck", "no"),
        ("counters", {"before": {}}),
        ("counters", {"before": {"a": "x"}, "after": {}}),
        ("counters", 7),
        ("lacking", ["pswpin"]),
        ("lacking", {"pswpin": 3}),
        ("errors", [{"call": "mincore", "errno": "EIO", "count": 1, "promise": 7}]),
        ("accounting", 7),
        ("accounting", []),
        ("accounting", {"before": {}}),
        ("accounting", {"before": {}, "after": {"swap_gap": "4"}}),
        ("accounting", {"before": {}, "after": {"swap_gap": True}}),
        ("accounting", {"before": {}, "after": {"swap_gap": 1 << 64}}),
        ("accounting", {"before": {}, "after": {"swap_gap": -(1 << 63) - 1}}),
        ("accounting", {"before": [], "after": {}}),
        ("accounting", {"before": {}, "after": {}, "left_pages": [3]}),
        ("accounting", {"before": {}, "after": {}, "lacking": {"zswap": 3}}),
    ],
)
def test_a_result_line_with_a_wrong_value_is_no_result(key: str, value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # any text will do, the kind is the protocol's
        result_of(json.loads(RESULT) | {key: value})


def test_a_result_line_may_say_what_was_promised_and_what_the_kernel_lacks() -> None:
    error = {"call": "mincore", "errno": "EIO", "count": 1, "promise": "mincore(2)"}

    result = result_of(json.loads(RESULT) | {"errors": [error], "lacking": {"pswpin": "/proc/vmstat has no pswpin"}})

    assert (result.errors[0].promise, result.mismatches[0].promise) == ("mincore(2)", "")
    assert result.lacking == {"pswpin": "/proc/vmstat has no pswpin"}


def test_a_figure_below_zero_is_one_however_it_is_printed() -> None:
    figures = {"meminfo.SwapFree": (1 << 64) - 4, "swap_gap": -4, "vmstat.nr_shmem": (1 << 63) - 1}
    said = {"before": {}, "after": figures, "left_pages": ["pfn 1: lru"], "lacking": {"zswap": "none"}}

    accounting = result_of(json.loads(RESULT) | {"accounting": said}).accounting

    assert accounting is not None
    assert accounting.after == {"meminfo.SwapFree": -4, "swap_gap": -4, "vmstat.nr_shmem": (1 << 63) - 1}
    assert (accounting.before, accounting.left_pages, accounting.lacking) == ({}, ("pfn 1: lru",), {"zswap": "none"})


def test_a_program_need_not_take_figures() -> None:
    assert result_of(json.loads(RESULT)).accounting is None


def test_a_counter_without_a_before_started_at_zero() -> None:
    assert growth({"before": {"a": 5}, "after": {"a": 7, "b": 3}}) == {"a": 2, "b": 3}


def test_a_counter_that_is_not_there_afterwards_has_not_grown() -> None:
    assert growth({"before": {"a": 5}, "after": {}}) == {}


def test_what_could_not_be_prepared_has_proved_nothing() -> None:
    result = unprepared_result("no zram")

    assert result.missing == "no zram"
    assert (result.operations, result.swapoffs, dict(result.counters)) == (0, 0, {})


def test_the_programs_own_name_decides_and_not_its_file() -> None:
    argv = workload_argv(sample(name="mine", program=PurePosixPath("workloads/other.c")), LIMITS)

    assert argv[argv.index("--") + 1] == "mine"


def test_a_workload_that_asks_for_interface_files_gets_the_list_of_the_series() -> None:
    argv = workload_argv(sample(interfaces=True, arguments=("--pages", "8")), LIMITS)

    assert argv[-4:] == ["--interfaces", "/patchrig/interfaces", "--pages", "8"]
    assert "--interfaces" not in workload_argv(sample(), LIMITS)


def test_a_result_may_say_what_became_of_interface_files() -> None:
    use = {"name": "sysfs:a", "path": "/sys/a", "why": "", "reads": 3, "writes": 1, "refused": 2}
    seen = result_of({**SAID, "interfaces": [use]}).interfaces

    assert seen == (InterfaceUse(name="sysfs:a", path="/sys/a", reads=3, writes=1, refused=2),)
    assert result_of(SAID).interfaces == ()
    with pytest.raises(ValueError, match="lacks something"):
        result_of({**SAID, "interfaces": [{"path": "/sys/a"}]})


def test_a_time_in_which_nobody_looked_is_no_standstill() -> None:
    told = ProtocolReader()
    moved = told.moved_at

    told.paused(1.0)
    assert (told.moved_at, told.stood) == (moved, 0.0)

    told.paused(600.0)
    assert (told.moved_at, told.stood) == (moved + 600.0, 600.0)


def test_a_command_gets_its_values_and_runs_through_our_program() -> None:
    command = ("stress-ng", "--timeout", "{seconds}s", "--seed", "{seed}", "{limit}", "{x}")
    load = sample(program="workloads/command.c", command=command, most_seconds=100)
    limits = limits_for(load, REFERENCE_SPEED / 2)

    argv = workload_argv(load, limits)

    assert argv[argv.index("--") :] == [
        *("--", "mincore", "--", "stress-ng", "--timeout", "20s", "--seed", "7", "200", "{x}"),
    ]
    assert limits.overall > limits.command == 200
    # What a command does not print says nothing.
    assert limits.no_progress == limits.overall


def test_a_command_has_at_least_the_seconds_of_its_cell() -> None:
    assert limits_for(sample(command=("x",)), REFERENCE_SPEED).command == 20


def test_a_mutant_s_load_must_get_on_sooner_and_a_command_s_silence_means_nothing() -> None:
    mutant, command = replace(sample(), mutant=7), sample(command=("x",))

    assert limits_for(mutant, REFERENCE_SPEED) == replace(LIMITS, no_progress=LIMITS.no_progress / 3)
    assert limits_for(replace(command, mutant=7), REFERENCE_SPEED) == limits_for(command, REFERENCE_SPEED)
