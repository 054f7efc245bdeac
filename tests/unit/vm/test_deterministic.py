# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of a guest that depends on nothing but its files and its seed: each way in is shut."""

from dataclasses import replace
from itertools import pairwise

import pytest

from orchestrator.host.errors import InfraError
from orchestrator.model.arch import ARCHES
from orchestrator.model.schedule import schedule_of
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.deterministic import deterministic_argv, deterministic_standalone_argv
from tests.unit.vm.test_argv import FILES, spec

each_arch = pytest.mark.parametrize("arch", ARCHES)


def fixed(arch: str, seed: int = 7) -> VmSpec:
    job = ("--device", "zram:8:10:0", "--", "swapin", "--seed", str(seed))
    return replace(spec(arch), disk_mib=(), schedule=schedule_of(seed), job=job, job_limits="600:3020")


def argv_of(arch: str, seed: int = 7) -> list[str]:
    return deterministic_argv(fixed(arch, seed), FILES, console=7)


@each_arch
def test_one_thread_counts_instructions(arch: str) -> None:
    argv = argv_of(arch)

    # With thread=multi the host decides which CPU of the guest runs when.
    assert ("-accel", "tcg,thread=single") in pairwise(argv)
    assert argv[argv.index("-icount") + 1] in ("shift=2,sleep=off", "shift=3,sleep=off")


@each_arch
def test_its_clock_is_its_own(arch: str) -> None:
    assert ("-rtc", "clock=vm,base=2026-01-01T00:00:00") in pairwise(argv_of(arch))


@each_arch
def test_no_randomness_of_the_hosts(arch: str) -> None:
    argv = argv_of(arch)

    assert "virtio-rng" not in " ".join(argv)
    assert ("-seed", str(schedule_of(7).seed)) in pairwise(argv)
    cpu = argv[argv.index("-cpu") + 1]
    assert "rdrand=off,rdseed=off" in cpu or cpu == "cortex-a76"
    assert arch != "arm64" or ("-machine", "dtb-randomness=off") in pairwise(argv)
    words = argv[argv.index("-append") + 1].split()
    # The later one wins.
    assert [word for word in words if word.startswith("random.trust_cpu")][-1] == "random.trust_cpu=off"


@each_arch
def test_no_device_with_another_end(arch: str) -> None:
    argv = argv_of(arch)

    assert not {"-netdev", "-device", "-drive"} & set(argv)
    assert argv[argv.index("-chardev") + 1].startswith("null,")  # nobody can type


@each_arch
def test_a_debugger_is_waited_for_only_where_one_is_to_come(arch: str) -> None:
    debugged = deterministic_argv(replace(fixed(arch), debugged=True), FILES, console=7)

    assert [word for word in debugged if word not in argv_of(arch)] == ["-S", "-gdb", "unix:gdb,server=on,wait=off"]


@each_arch
def test_nothing_is_told_of_a_guest_that_is_not_traced(arch: str) -> None:
    traced = deterministic_argv(replace(fixed(arch), traced=(0x10,)), FILES, console=7)

    assert [word for word in traced if word not in argv_of(arch)] == ["-d", "exec,cpu,nochain", "-dfilter", "0x10+1"]


@each_arch
def test_the_workload_is_on_the_command_line(arch: str) -> None:
    words = argv_of(arch)[-1]

    assert f"patchrig.job={schedule_of(7).rounds}:600:3020 " in words
    assert words.endswith('patchrig.run="--device zram:8:10:0 -- swapin --seed 7"')


@each_arch
def test_an_idle_cpu_polls(arch: str) -> None:
    argv = argv_of(arch)

    words = argv[argv.index("-append") + 1].split()
    assert {"x86_64": "idle=poll", "arm64": "nohlt"}[arch] in words


@each_arch
def test_by_hand_it_is_the_same_machine(arch: str) -> None:
    by_hand = deterministic_standalone_argv(fixed(arch), image="image", initramfs="initramfs", console="again.log")

    watched = argv_of(arch)
    own = {"-add-fd", "-chardev", "-serial", "-qmp", "-kernel", "-initrd"}
    assert [pair for pair in pairwise(by_hand) if pair[0].startswith("-") and pair[0] not in own] == [
        pair for pair in pairwise(watched) if pair[0].startswith("-") and pair[0] not in own
    ]


@pytest.mark.parametrize("word", ["two words", 'a"b', ""])
def test_an_argument_that_the_command_line_can_not_carry_is_an_error(word: str) -> None:
    with pytest.raises(InfraError, match="can't be given the argument"):
        deterministic_argv(replace(fixed("x86_64"), job=("--", "swapin", word)), FILES, console=7)


def test_a_command_line_that_the_kernel_would_cut_off_is_an_error() -> None:
    with pytest.raises(InfraError, match="2047 at most"):
        deterministic_argv(replace(fixed("x86_64"), job=("--", "swapin", "x" * 2000)), FILES, console=7)


def test_seeds_are_schedules() -> None:
    seen = {(one.shift, one.skew, one.rounds) for one in map(schedule_of, range(50))}

    assert len(seen) == 50
    assert schedule_of(1) == schedule_of(1)
    assert {shift for shift, _, _ in seen} == {2, 3}
