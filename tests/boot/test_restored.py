# SPDX-License-Identifier: GPL-2.0-or-later
"""Real guests: restored ones have random numbers and a clock of their own; init serves whoever comes, to the end."""

import json
import time
from pathlib import Path

import pytest

from orchestrator.guest import ssh
from orchestrator.guest.keys import load_keys
from orchestrator.host.deadline import Deadline
from orchestrator.model.arch import ARCHES as EVERY_ARCH
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.console import serial_shell
from orchestrator.vm.qemu import boot
from tests.boot.boot_runs import SERIES, Ran, run_command

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

ARCHES = ("x86_64", "arm64")
# Says a random number, the time and how many CPUs there are; a result line then ends it.
PROGRAM = r"""#!/bin/sh
printf '{"type": "said", "random": "%s", "time": %s, "cpus": %s}\n' \
    "$(head -c 16 /dev/urandom | sha256sum | cut -c 1-64)" "$(date +%s)" "$(nproc)"
printf '{"type": "result", "operations": 1, "verified": 0, "mismatch_count": 0, "mismatches": [], "errors": [], '
printf '"swapoffs": 0, "swapoff_longest_ms": 0, "swapoff_stuck": false, '
printf '"counters": {"before": {}, "after": {"turns": 1}}}\n'
"""
WORKLOAD = """
name: turns
summary: a random number and the time
program: turns.sh
memory_mib: 512
cpus: 2
devices:
  - {kind: virtio-blk, size_mib: 16}
exercised:
  turns: 1
"""


@pytest.fixture(scope="module", params=ARCHES)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Four cells with the same guest."""
    folder = tmp_path_factory.mktemp("restored")
    (folder / "turns.sh").write_text(PROGRAM)
    (folder / "turns.yaml").write_text(WORKLOAD)
    cells = {"series": [str(SERIES)], "arches": [request.param], "workloads": ["./turns.yaml"]}
    matrix = {"kernel": "6.19", **cells, "seconds": 1, "repeat": 4}
    (folder / "matrix.yaml").write_text(json.dumps(matrix))
    return run_command(
        "run", str(folder / "matrix.yaml"), "--results", str(folder / "results"), "--json", "--jobs", "1"
    )


def said(ran: Ran) -> list[dict[str, object]]:
    """What each guest said, in the order of the cells."""
    logs = [ran.folder / "cells" / name / "workload.log" for name in ran.cells]
    return [json.loads(log.read_text().splitlines()[0]) for log in logs]


def test_the_first_guest_is_booted_and_the_others_are_restored(ran: Ran) -> None:
    assert set(ran.outcomes().values()) == {"passed"}, ran.titles()
    assert [cell["run"]["restored"] for cell in ran.cells.values()] == [False, True, True, True]


def test_no_two_guests_draw_the_same_random_numbers(ran: Ran) -> None:
    drawn = [one["random"] for one in said(ran)]

    assert len(set(drawn)) == len(drawn) == 4


def test_a_restored_guest_has_the_wall_clock_of_now(ran: Ran) -> None:
    # The first boots with what the machine says, which on arm64 is 1970.
    for one in said(ran)[1:]:
        assert abs(float(str(one["time"])) - time.time()) < 600


def test_a_restored_guest_has_the_cpus_that_were_asked_for_and_the_console_of_the_boot(ran: Ran) -> None:
    for name, one in zip(ran.cells, said(ran), strict=True):
        console = Path(ran.folder / "cells" / name / "console.log").read_text(errors="replace")
        assert one["cpus"] == 2
        assert console.count("Linux version") == 1
        assert "patchrig: ready" in console


def test_a_line_on_the_serial_console_is_answered_by_a_shell_and_init_buries_the_orphans(
    ran: Ran, tmp_path: Path
) -> None:
    """Where SSH is gone the console is the way in; until somebody sends a line there is no shell on it."""
    arch = EVERY_ARCH[next(iter(ran.cells.values()))["cell"]["build"]["arch"]]
    image = ran.folder / "builds" / f"patched.plain.{arch.name}" / "image"
    initramfs = ran.folder / "guest" / f"initramfs.{arch.name}"
    spec = VmSpec(arch=arch, image=image, initramfs=initramfs, memory_mib=512, cpus=2, kvm=False)
    keys, until = load_keys(ran.folder / "guest"), Deadline.after(300, "a guest and its console")

    with boot(spec, console_log=tmp_path / "console.log", qemu_log=tmp_path / "qemu.log") as vm:
        ready = vm.wait_ready(until)
        assert ready
        assert ready.ssh
        address = vm.ssh_address(until)
        connection = ssh.connect(address, user_key=keys.user_key, pinned_host=keys.pinned_host, until=until)
        with connection as guest:
            guest.run("sleep 0.1 </dev/null >/dev/null 2>&1 & exit 0", until)
        for number in (1, 2):
            with serial_shell(vm.files.console_socket, until) as shell:
                assert str(40 + number) in shell.run(f"echo $((40 + {number}))", until)
                assert "zombies: 0" in shell.run(
                    "sleep 1; echo zombies: $(cat /proc/[0-9]*/stat | grep -c ') Z ')", until
                )
        assert vm.alive()
