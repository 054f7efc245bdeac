# SPDX-License-Identifier: GPL-2.0-or-later
"""run-workload under the guest's own shell, in a folder that stands for the guest's root.

It has busybox, and plain files in place of /proc, /sys and /dev.

What needs a real kernel (mount, swapoff, configfs' mkdir) is a shell function that writes down how it was called.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

RUN_WORKLOAD = Path(__file__).resolve().parent.parent.parent / "guest-scripts" / "run-workload"
UNPREPARED = 4
SWAP_SIGNATURE = (4086, b"SWAPSPACE2")

# As functions, for which busybox's shell looks before its own programs.
STAND_INS = """\
log() { echo "$*" >>/log; }
mount() { log "mount $*"; }
umount() { log "umount $*"; }
swapoff() { log "swapoff $*"; [ ! -e /busy ]; }
mke2fs() { log "mke2fs $*"; }
# Says what had been set before the device was touched.
mkswap() { log "mkswap $*"; cat /proc/sys/vm/page-cluster >>/log 2>/dev/null; command mkswap "$@"; }
# configfs makes the files of a folder with it.
mkdir() { command mkdir "$@" && case $1 in */nullb/*) echo 3 >"$1/index" ;; esac; }
. /patchrig/run-workload
"""
PROGRAM = """\
#!/bin/busybox sh
echo "$*"
[ "$(cat /sys/fs/cgroup/workload/cgroup.procs)" = $$ ] && echo "in the cgroup"
exit 7
"""


@dataclass(frozen=True, kw_only=True)
class Guest:
    """The root folder, and what a run in it did."""

    root: Path
    programs: Path

    def put(self, path: str, text: str = "") -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def text(self, path: str) -> str:
        return (self.root / path).read_text().strip()

    def log(self) -> list[str]:
        return self.text("log").splitlines()

    def device(self, name: str, serial: str = "") -> None:
        """A block device of 1 MiB, as files."""
        with (self.root / "dev" / name).open("wb") as file:
            file.truncate(1 << 20)
        self.put(f"sys/block/{name}/queue/rotational", "1\n")
        if serial:
            self.put(f"sys/block/{name}/serial", serial)

    def is_swap(self, path: str) -> bool:
        at, signature = SWAP_SIGNATURE
        return (self.root / path).read_bytes()[at : at + len(signature)] == signature

    def run(self, *words: str) -> tuple[int, str]:
        """Status and standard output."""
        done = subprocess.run(
            [*sandbox(self.root, self.programs), "/bin/busybox", "sh", "/stand-ins", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout

    def refusal(self, *words: str) -> str:
        """Why the guest could not be prepared; the program did not run."""
        status, said = self.run(*words, "--", "program")
        assert status == UNPREPARED, said
        line = json.loads(said)
        assert line["type"] == "unprepared"
        return str(line["why"])


def sandbox(root: Path, programs: Path) -> list[str]:
    return [
        *("bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "PATH", "/bin"),
        *("--bind", str(root), "/", "--ro-bind", str(programs), "/bin"),
        *("--dev-bind", "/dev/null", "/dev/null", "--dev-bind", "/dev/zero", "/dev/zero"),
    ]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """busybox under all its names, as in the guest's /bin. Skips where it can't run in a root folder of its own."""
    busybox = shutil.which("busybox")
    if busybox is None or shutil.which("bwrap") is None:
        pytest.skip("busybox-static and bubblewrap are not both installed")
    folder = tmp_path_factory.mktemp("bin")
    shutil.copy(busybox, folder)
    for name in subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if name != "busybox":
            (folder / name).symlink_to("busybox")
    argv = [*sandbox(tmp_path_factory.mktemp("root"), folder), "/bin/true"]
    tried = subprocess.run(argv, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no root folder can be entered here, or busybox is not static: {tried.stderr.strip()}")
    return folder


@pytest.fixture
def guest(tmp_path: Path, programs: Path) -> Guest:
    root = tmp_path / "root"
    for folder in ("mnt", "tmp", "sys/fs/cgroup", "sys/kernel/config/nullb"):
        (root / folder).mkdir(parents=True)
    made = Guest(root=root, programs=programs)
    made.put("dev/null")
    made.put("log")
    made.put("patchrig/run-workload", RUN_WORKLOAD.read_text())
    made.put("patchrig/program", PROGRAM)
    made.put("stand-ins", STAND_INS)
    (root / "patchrig" / "program").chmod(0o755)
    return made


def test_the_program_gets_the_devices_its_arguments_and_the_cgroup_and_its_status_is_the_end(guest: Guest) -> None:
    guest.device("zram0")

    status, said = guest.run("--device", "zram:1:10:0", "--", "program", "--seconds", "5", "two words")

    assert said.splitlines() == ["--swap /dev/zram0:10:zram --seconds 5 two words", "in the cgroup"]
    assert status == 7


def test_settings_are_written_and_are_so_before_a_later_device_is_made(guest: Guest) -> None:
    guest.device("zram0")
    guest.put("proc/sys/vm/page-cluster", "3")
    guest.put("sys/module/zswap/parameters/enabled", "N")

    words = ("--setting", "/proc/sys/vm/page-cluster=5", "--setting", "/sys/module/zswap/parameters/enabled=a=b")
    status, _ = guest.run(*words, "--device", "zram:1:10:0", "--", "program")

    assert status == 7
    assert guest.log() == ["mkswap /dev/zram0", "5"]
    assert guest.text("sys/module/zswap/parameters/enabled") == "a=b"


def test_the_cgroups_files_are_written(guest: Guest) -> None:
    status, said = guest.run("--cgroup", "memory.max=16M", "--cgroup", "memory.swap.max=max", "--", "program")

    assert (status, said) == (7, "\nin the cgroup\n")
    assert guest.text("sys/fs/cgroup/workload/memory.max") == "16M"
    assert guest.text("sys/fs/cgroup/workload/memory.swap.max") == "max"


def test_in_a_cgroup_of_v1_nobody_is_killed_at_its_limit(guest: Guest) -> None:
    guest.put("proc/swaps", "Filename\n")
    guest.put("sys/fs/cgroup/workload/memory.oom_control", "0")

    status, _ = guest.run("--", "program")

    assert status == 7
    assert guest.text("sys/fs/cgroup/workload/memory.oom_control") == "1"


def test_zram_devices_are_added_and_sized(guest: Guest) -> None:
    guest.device("zram0")
    guest.device("zram1")
    guest.put("sys/class/zram-control/hot_add", "1\n")

    _, said = guest.run("--device", "zram:8:10:0", "--device", "zram:4:-2:0", "--", "program")

    assert said.startswith("--swap /dev/zram0:10:zram --swap /dev/zram1:-2:zram\n")
    assert guest.text("sys/block/zram0/disksize") == "8M"
    assert guest.text("sys/block/zram1/disksize") == "4M"
    assert guest.text("sys/block/zram1/queue/rotational") == "0"
    assert guest.is_swap("dev/zram0")
    assert guest.is_swap("dev/zram1")


def test_a_disk_is_known_by_its_serial_number(guest: Guest) -> None:
    guest.device("vda", "root")
    guest.device("vdb", "swap1")
    guest.device("vdc", "swap0")

    _, said = guest.run("--device", "virtio-blk:1:7:0", "--device", "virtio-blk:1:6:0", "--", "program")

    assert said.startswith("--swap /dev/vdc:7:virtio-blk --swap /dev/vdb:6:virtio-blk\n")
    assert guest.is_swap("dev/vdb")
    assert guest.is_swap("dev/vdc")
    assert not guest.is_swap("dev/vda")
    assert guest.text("sys/block/vdb/queue/rotational") == "0"


def test_a_swap_file_is_on_a_file_system_of_its_own(guest: Guest) -> None:
    guest.device("vda", "swap0")

    _, said = guest.run("--device", "swapfile:1:7:0", "--", "program")

    assert said.startswith("--swap /mnt/0/swap:7:swapfile\n")
    assert guest.log() == ["mke2fs -b 4096 /dev/vda", "mount -t ext2 /dev/vda /mnt/0", "mkswap /mnt/0/swap"]
    swap = guest.root / "mnt" / "0" / "swap"
    assert (swap.stat().st_size, swap.stat().st_mode & 0o777) == (1 << 20, 0o600)
    assert guest.is_swap("mnt/0/swap")
    assert guest.text("sys/block/vda/queue/rotational") == "0"


def test_a_null_blk_device_has_its_latency(guest: Guest) -> None:
    guest.device("nullb3")

    _, said = guest.run("--device", "null_blk:6:10:200", "--", "program")

    assert said.startswith("--swap /dev/nullb3:10:null_blk\n")
    settings = {
        name: guest.text(f"sys/kernel/config/nullb/swap0/{name}") for name in ("size", "completion_nsec", "power")
    }
    assert settings == {"size": "6", "completion_nsec": "200000", "power": "1"}


def test_a_null_blk_device_may_take_discards(guest: Guest) -> None:
    guest.device("nullb3")

    _, said = guest.run("--device", "null_blk:6:10:200:discard", "--", "program")

    assert said.startswith("--swap /dev/nullb3:10:null_blk:discard\n")
    folder = "sys/kernel/config/nullb/swap0"
    assert (guest.text(f"{folder}/discard"), guest.text(f"{folder}/completion_nsec")) == ("1", "200000")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--device", "floppy:1:1:0"), "unknown device kind floppy"),
        (("--device", "virtio-blk:1:1:0"), "no disk with the serial number swap0"),
        (("--device", "swapfile:1:1:0"), "no disk with the serial number swap0"),
        (("--device", "zram:1:1:0"), "cannot write 1M to /sys/block/zram0/disksize"),
        (("--setting", "/proc/none/x=1"), "cannot write 1 to /proc/none/x"),
        (("--setting", '/proc/none/x=a "b" \\c'), "cannot write a 'b' 'c to /proc/none/x"),
        (("--cgroup", "none/memory.max=1"), "cannot write 1 to /sys/fs/cgroup/workload/none/memory.max"),
        (("--frobnicate", "1"), "unknown option --frobnicate"),
        (
            ("--widen", "1:2:3:4:5:6:7:"),
            "this kernel was not built with the overlay that widens race windows",
        ),
    ],
)
def test_what_can_not_be_prepared_is_one_line_of_json(guest: Guest, words: tuple[str, ...], why: str) -> None:
    assert guest.refusal(*words) == why


def test_without_a_program_nothing_runs(guest: Guest) -> None:
    assert guest.run("--")[0] == UNPREPARED


def test_a_device_that_stays_rotational_is_refused(guest: Guest) -> None:
    guest.device("zram0")
    rotational = guest.root / "sys/block/zram0/queue/rotational"
    rotational.unlink()
    rotational.symlink_to("/dev/null")

    assert guest.refusal("--device", "zram:1:1:0") == "zram0 stays rotational"


def test_a_device_that_can_not_be_made_ready_is_refused(guest: Guest) -> None:
    guest.device("zram0")
    (guest.root / "dev" / "zram0").write_bytes(b"")

    assert guest.refusal("--device", "zram:1:1:0") == "mkswap /dev/zram0 failed"


BLOCKS = "10 f g\n20 f -\n30 h g\n"


def widened(guest: Guest, only: str) -> tuple[str, str]:
    """The blocks that the kernel is told, and the switch."""
    guest.put("patchrig/blocks", BLOCKS)
    for name in ("chance", "sleep_us", "spin_us", "hold_us", "rest", "partner_percent", "seed", "blocks", "on"):
        guest.put(f"sys/kernel/debug/patchrig/{name}")
    status, _ = guest.run("--widen", f"1000:2:3:4:5:6:7:{only}", "--", "program")
    assert status == 7
    return (guest.root / "sys/kernel/debug/patchrig/blocks").read_text(), guest.text("sys/kernel/debug/patchrig/on")


def test_delay_injection_gets_its_numbers_and_blocks_and_is_switched_on(guest: Guest) -> None:
    assert widened(guest, "") == (BLOCKS, "1")
    names = ("chance", "sleep_us", "spin_us", "hold_us", "rest", "partner_percent", "seed")
    assert [guest.text(f"sys/kernel/debug/patchrig/{name}") for name in names] == ["1000", "2", "3", "4", "5", "6", "7"]


@pytest.mark.parametrize(
    ("only", "blocks"),
    [
        ("h", "10 f q\n20 f q\n30 h g\n"),
        ("f+h", BLOCKS),
        ("fh", "10 f q\n20 f q\n30 h q\n"),
        ("none", "10 f q\n20 f q\n30 h q\n"),
        ("@h+none", "10 f q\n20 f q\n30 h g\n"),
        # Where there is none of them, in all.
        ("@none+fh", BLOCKS),
    ],
)
def test_delays_are_only_in_the_functions_that_are_named(guest: Guest, only: str, blocks: str) -> None:
    assert widened(guest, only)[0] == blocks


def test_without_blocks_delay_injection_stays_off(guest: Guest) -> None:
    guest.put("sys/kernel/debug/patchrig/on", "0")

    assert guest.run("--widen", "1:2:3:4:5:6:7:", "--", "program")[0] == 7
    assert guest.text("sys/kernel/debug/patchrig/on") == "0"


SWAPS = "Filename Type Size Used Priority\n/dev/zram0 partition 8 0 1\n/mnt/1/swap file 8 0 1\n"


def left_behind(guest: Guest) -> None:
    """What an interrupted run left: two swap devices, a file system, a null_blk device, two zram devices."""
    guest.put("proc/swaps", SWAPS)
    for folder in ("sys/fs/cgroup/workload", "sys/kernel/config/nullb/swap2", "mnt/1"):
        (guest.root / folder).mkdir()
    for name in ("zram0", "zram1"):
        guest.device(name)
        guest.put(f"sys/block/{name}/reset")


def test_what_an_earlier_run_left_behind_is_cleared_away(guest: Guest) -> None:
    left_behind(guest)
    guest.put("sys/class/zram-control/hot_remove")

    status, _ = guest.run("--", "program")

    assert status == 7
    assert guest.log() == ["swapoff /dev/zram0", "swapoff /mnt/1/swap", "umount /mnt/1"]
    assert not (guest.root / "sys/kernel/config/nullb/swap2").exists()
    assert not (guest.root / "mnt/1").exists()
    assert [guest.text(f"sys/block/zram{number}/reset") for number in range(2)] == ["1", "1"]
    assert guest.text("sys/class/zram-control/hot_remove") == "1"


def test_the_first_zram_device_is_reset_and_stays(guest: Guest) -> None:
    (guest.root / "sys/fs/cgroup/workload").mkdir()
    guest.put("proc/swaps")
    guest.put("sys/block/zram0/reset")
    guest.put("sys/class/zram-control/hot_remove")

    assert guest.run("--", "program")[0] == 7
    assert guest.text("sys/block/zram0/reset") == "1"
    assert guest.text("sys/class/zram-control/hot_remove") == ""


def test_a_device_that_stays_swapped_on_is_the_end(guest: Guest) -> None:
    left_behind(guest)
    guest.put("busy")

    assert guest.refusal() == "/dev/zram0 stays swapped on"


def test_the_first_run_of_a_guest_clears_nothing_away(guest: Guest) -> None:
    guest.put("proc/swaps", SWAPS)

    assert guest.run("--", "program")[0] == 7
    assert guest.log() == []
