# SPDX-License-Identifier: GPL-2.0-or-later
"""A writer that is killed, or refused by the disk, at any call: the file is the old one or the new one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.host.files import replace_whole
from orchestrator.host.sealed import read_sealed, write_sealed
from tests.process.faulty import KILLED, needs_strace, run_with, traced

REPLACE = """
import sys
from pathlib import Path
from orchestrator.host.files import replace_whole
replace_whole(Path(sys.argv[1]), b"new")
"""


@needs_strace
def test_content_is_on_the_disk_before_the_name_and_the_name_before_we_return(tmp_path: Path) -> None:
    done = traced(REPLACE, tmp_path / "file", options=("-y", "-e", "trace=fsync,rename,renameat,renameat2"))

    calls = [line.split("(")[0].split()[-1] for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert [call.removesuffix("2").removesuffix("at") for call in calls] == ["fsync", "rename", "fsync"]


@needs_strace
@pytest.mark.parametrize("call", ["fsync 1", "fsync 2", "rename 1", "chmod,fchmodat 1"])
@pytest.mark.parametrize("what", [KILLED, "error=EIO"])
def test_ended_or_refused_at_any_call_the_file_is_the_old_one_or_the_new_one(
    call: str, what: str, tmp_path: Path
) -> None:
    replace_whole(tmp_path / "file", b"old")
    name, number = call.split()

    done = run_with(REPLACE, tmp_path / "file", call=name, what=what, number=int(number))

    assert done.returncode != 0
    assert (tmp_path / "file").read_bytes() in (b"old", b"new")


def test_a_killed_writer_leaves_the_old_content(tmp_path: Path) -> None:
    write_sealed(tmp_path / "file", b"old")
    code = (
        "import os, signal; from pathlib import Path; from orchestrator.host.files import replacement\n"
        f"with replacement(Path('{tmp_path}/file')) as new:\n"
        "    new.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)

    assert done.returncode == -signal.SIGKILL
    assert read_sealed(tmp_path / "file") == b"old"
