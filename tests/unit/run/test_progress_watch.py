# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host sees of a guest while it runs."""

from pathlib import Path

from orchestrator.model.guests import Ending, Observation
from orchestrator.run.progress_watch import Flood, shown_tasks_of

BLOCKED = """[   61.000002][  T440] task:swapoff         state:D stack:13424 pid:412   tgid:412   ppid:398
[   61.000003][  T440] Call Trace:
[   61.000010][  T440]  __do_sys_swapoff+0x5d2/0xa10
"""


def test_a_log_without_an_end_is_told(tmp_path: Path) -> None:
    log, other = tmp_path / "console.log", tmp_path / "qemu.log"
    log.write_bytes(bytes(2 << 20))
    flood = Flood(other, log, most=2 << 20)
    assert not flood()

    log.write_bytes(bytes((2 << 20) + 1))

    assert flood()
    assert flood.text() == "the guest made console.log longer than 2 MiB"


def test_what_the_kernel_showed_at_the_end_of_a_huge_console_is_found(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    with log.open("wb") as file:
        # Sparse; read as a line that does not end.
        file.seek(1 << 30)
        file.write(f"\n{BLOCKED}".encode())

    tasks = shown_tasks_of(Observation(ending=Ending.SWAPOFF_STUCK, evidence=("stacks.txt",)), log)

    assert [task.task for task in tasks] == ["swapoff"]
