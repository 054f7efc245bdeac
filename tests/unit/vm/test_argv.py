# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's command line: golden files for both arches, and what must hold for every guest."""

import re
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.model.arch import ARCHES
from orchestrator.model.machine import Machine
from orchestrator.vm.argv import VmFiles, VmSpec, kernel_cmdline, qemu_argv, standalone_argv
from tests.conftest import GOLDEN, Golden

FILES = VmFiles(
    runtime=Path("/tmp/patchrig-1"),
    sockets=Path("/proc/self/fd/9"),
    console_log=Path("/cell/console.log"),
    qemu_log=Path("/cell/qemu.log"),
)

each_arch = pytest.mark.parametrize("arch", ARCHES)


def spec(arch: str) -> VmSpec:
    return VmSpec(
        arch=ARCHES[arch],
        image=Path("/build/image"),
        initramfs=Path("/run/initramfs"),
        memory_mib=512,
        cpus=4,
        kvm=False,
        disk_mib=(16, 0, 36),
    )


def watched_argv(vm: VmSpec, files: VmFiles = FILES) -> list[str]:
    return qemu_argv(vm, files, console=7)


def one_a_line(argv: list[str]) -> str:
    """Each option with its value on a line of its own, as a shell would take it."""
    text = shlex.join(argv)
    return text.replace(" -", " \\\n  -") + "\n"


@each_arch
def test_a_watched_guest(arch: str, golden: Golden) -> None:
    golden.text(GOLDEN / "argv" / f"watched-{arch}.txt", one_a_line(watched_argv(spec(arch))))


@each_arch
def test_a_reproducer(arch: str, golden: Golden) -> None:
    argv = standalone_argv(
        spec(arch),
        image="image",
        initramfs="initramfs",
        disks=["swap0", "swap1", "swap2"],
        workload=["--device", "zram:16:10:0", "--", "swapin", "--seed", "1"],
    )

    golden.text(GOLDEN / "argv" / f"reproducer-{arch}.txt", one_a_line(argv))


@each_arch
def test_kvm_takes_the_hosts_cpu_and_tcg_all_of_qemus(arch: str) -> None:
    emulated, virtual = watched_argv(spec(arch)), watched_argv(replace(spec(arch), kvm=True))

    assert ("-accel", "kvm") in pairwise(virtual)
    assert ("-cpu", "host") in pairwise(virtual)
    assert "tcg,thread=multi" in emulated


@each_arch
def test_the_guest_reaches_nothing_and_is_reached_on_the_loopback_only(arch: str) -> None:
    for sandbox, port in ((True, 2222), (False, 0)):
        argv = watched_argv(replace(spec(arch), sandbox=sandbox))
        (network,) = [word for word in argv if word.startswith("user,")]

        assert "restrict=on" in network.split(",")
        assert f"hostfwd=tcp:127.0.0.1:{port}-" in network


@each_arch
def test_a_device_that_the_guest_makes_itself_has_no_disk_but_keeps_its_number(arch: str) -> None:
    words = watched_argv(spec(arch))
    text = " ".join(words)

    assert "serial=swap0" in text
    assert "serial=swap1" not in text
    assert "serial=swap2" in text


@each_arch
def test_a_panic_ends_qemu(arch: str) -> None:
    argv = watched_argv(spec(arch))

    assert "-no-reboot" in argv
    assert "panic=-1" in argv[argv.index("-append") + 1].split()


@each_arch
def test_the_console_is_kept_whole_by_qemu(arch: str) -> None:
    argv = watched_argv(spec(arch))

    assert {"logfile=/dev/fdset/1", "logappend=on"} <= set(argv[argv.index("-chardev") + 1].split(","))
    assert ("-add-fd", "fd=7,set=1") in pairwise(argv)


def numa_words(vm: VmSpec) -> list[str]:
    return [value for option, value in pairwise(watched_argv(vm)) if option in ("-numa", "-object")]


@each_arch
def test_two_nodes_have_half_of_the_memory_and_of_the_cpus_each(arch: str) -> None:
    argv = numa_words(replace(spec(arch), machine=Machine(nodes=2)))

    assert argv == [
        "memory-backend-ram,id=node0,size=256M",
        "node,nodeid=0,memdev=node0,cpus=0-1",
        "memory-backend-ram,id=node1,size=256M",
        "node,nodeid=1,memdev=node1,cpus=2-3",
    ]


@pytest.mark.parametrize(("memory_mib", "cpus"), [(513, 3), (512, 1), (129, 8)])
def test_the_shares_of_the_nodes_make_up_the_whole(memory_mib: int, cpus: int) -> None:
    words = numa_words(replace(spec("x86_64"), memory_mib=memory_mib, cpus=cpus, machine=Machine(nodes=2)))

    assert sum(int(size) for size in re.findall(r"size=(\d+)M", " ".join(words))) == memory_mib
    ranges = re.findall(r"cpus=(\d+)-(\d+)", " ".join(words))
    assert [cpu for first, last in ranges for cpu in range(int(first), int(last) + 1)] == list(range(cpus))


def test_only_a_guest_of_several_nodes_has_acpi() -> None:
    plain, two = spec("x86_64"), replace(spec("x86_64"), machine=Machine(nodes=2))

    assert "acpi=on" not in watched_argv(plain)
    # QEMU takes the last of an option that is given twice.
    words = watched_argv(two)
    assert words.index("acpi=on") > next(at for at, word in enumerate(words) if "acpi=off" in word)


@each_arch
def test_a_machine_is_told_to_the_kernel_where_the_kernel_decides(arch: str) -> None:
    plain = kernel_cmdline(spec(arch), ()).split()
    v1 = kernel_cmdline(replace(spec(arch), machine=Machine(memcg="v1")), ()).split()
    always = kernel_cmdline(replace(spec(arch), machine=Machine(thp="always")), ()).split()

    assert set(v1) - set(plain) == {"patchrig.memcg=v1"}
    assert "transparent_hugepage=always" in set(always) - set(plain)


def test_extra_parameters_come_last_so_that_they_win() -> None:
    given = replace(spec("x86_64"), extra_parameters=("panic=5",))

    assert kernel_cmdline(given, ("quiet",)).split()[-2:] == ["panic=5", "quiet"]


def test_a_reproducer_needs_no_socket_and_no_network() -> None:
    argv = standalone_argv(spec("x86_64"), image="i", initramfs="r", disks=["a", "b", "c"], workload=())

    assert not {"-qmp", "-chardev", "-netdev"} & set(argv)


def test_every_disk_has_a_path() -> None:
    with pytest.raises(ValueError, match="shorter"):
        standalone_argv(spec("x86_64"), image="i", initramfs="r", disks=["a"], workload=())


@each_arch
def test_a_guest_that_may_be_saved_shares_its_memory_with_a_file(arch: str, golden: Golden) -> None:
    files = replace(FILES, memory=Path("/dev/shm/patchrig-1/0.1.memory"))

    golden.text(GOLDEN / "argv" / f"saved-{arch}.txt", one_a_line(watched_argv(spec(arch), files)))


@each_arch
def test_a_restored_guest_differs_in_memory_and_start_only(arch: str, golden: Golden) -> None:
    files = replace(FILES, memory=Path("/dev/shm/patchrig-1/0.1/memory"), restored=True)

    golden.text(GOLDEN / "argv" / f"restored-{arch}.txt", one_a_line(watched_argv(spec(arch), files)))


@each_arch
def test_what_a_restored_guest_writes_is_never_seen_by_another(arch: str) -> None:
    files = replace(FILES, memory=Path("/dev/shm/patchrig-1/0.1/memory"), restored=True)

    (memory,) = [word for word in watched_argv(spec(arch), files) if word.startswith("memory-backend-file")]

    assert "share=off" in memory.split(",")


@each_arch
def test_in_the_sandbox_no_path_of_the_hosts_is_named(arch: str) -> None:
    files = replace(FILES, memory=Path("/dev/shm/patchrig-1/0.1.memory"))

    text = " ".join(watched_argv(spec(arch), files))

    assert not [path for path in ("/tmp", "/build", "/run", "/cell", "/dev/shm", "/proc") if path in text]


def test_commas_in_paths_divide_no_options() -> None:
    plain = replace(spec("x86_64"), sandbox=False)
    saved = watched_argv(plain, replace(FILES, memory=Path("/a,b/memory")))
    on_terminal = standalone_argv(plain, image="i", initramfs="r", disks=["/a,b/0", "/a,b/1", "/a,b/2"], workload=())

    assert any("mem-path=/a,,b/memory" in word for word in saved)
    assert any("file=/a,,b/2," in word for word in on_terminal)


@each_arch
def test_sockets_have_short_names_wherever_the_folder_lies(arch: str) -> None:
    files = replace(FILES, runtime=Path("/tmp") / ("long" * 60))

    argv = watched_argv(replace(spec(arch), sandbox=False), files)

    assert "unix:qmp,server=on,wait=off" in argv
    assert "path=console" in argv[argv.index("-chardev") + 1].split(",")
    assert all(len(str(socket)) < 50 for socket in (files.qmp_socket, files.console_socket, files.ssh_socket))


@each_arch
def test_qemu_starts_no_program_and_gains_no_rights(arch: str) -> None:
    standalone = standalone_argv(spec(arch), image="i", initramfs="r", disks=["a", "b", "c"], workload=())
    for argv in (watched_argv(spec(arch)), standalone):
        denied = argv[argv.index("-sandbox") + 1].split(",")
        assert {"on", "spawn=deny", "elevateprivileges=deny", "obsolete=deny", "resourcecontrol=deny"} == set(denied)


@each_arch
def test_a_disk_that_this_machine_can_not_write_stops_the_guest(arch: str) -> None:
    drives = [word for word in watched_argv(spec(arch)) if word.startswith("if=none,")]

    assert len(drives) == 2
    assert all({"werror=stop", "rerror=stop"} <= set(drive.split(",")) for drive in drives)
