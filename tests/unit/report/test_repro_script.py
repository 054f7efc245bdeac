# SPDX-License-Identifier: GPL-2.0-or-later
"""repro.sh runs where patchrig is not installed."""

import shlex
import shutil
from pathlib import Path

import pytest

from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.report.repro_script import repro_script
from tests.conftest import GOLDEN, Golden

ARGV = (
    *("qemu-system-x86_64", "-M", "microvm", "-m", "512M", "-nodefaults", "-no-reboot", "-serial", "stdio"),
    *("-kernel", "../../builds/patched.plain.x86_64/image", "-append", "console=ttyS0 panic=-1 x=$HOME's"),
    *("-drive", "if=none,id=d0,file=@DISK0@,format=raw,cache=unsafe", "-device", "virtio-blk-device,drive=d0"),
)
NOTE = "patched.plain.x86_64.mincore of 2026-11-22T190102Z-7f3a\nseed 1; ends with Ctrl-C"


def test_the_script_is_the_golden_one(golden: Golden) -> None:
    golden.text(GOLDEN / "summary" / "repro.sh", repro_script(ARGV, disks={0: 64}, note=NOTE))


@pytest.mark.parametrize("disks", [{}, {0: 64, 1: 32}])
def test_shellcheck_has_nothing_to_say(tmp_path: Path, disks: dict[int, int]) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    script = tmp_path / "repro.sh"
    script.write_text(repro_script(ARGV if disks else ARGV[:-4], disks=disks, note=NOTE))

    done = process.run(["shellcheck", str(script)], log=tmp_path / "log", until=Deadline.after(60, "shellcheck"))

    assert (done.status, done.output) == (0, "")


def test_the_command_gets_the_words_it_was_given(tmp_path: Path) -> None:
    """With a program that prints its arguments in QEMU's place."""
    shown = tmp_path / "show"
    shown.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; ls -s "${word#file=}" 2>/dev/null; done\n')
    shown.chmod(0o755)
    script = tmp_path / "repro.sh"
    words = ("--empty", "", "a  b", "$HOME", "it's", 'quo"te', "file=@DISK7@")
    script.write_text(repro_script((str(shown), *words), disks={7: 1}, note="x"))

    done = process.run(["sh", str(script)], log=tmp_path / "log", until=Deadline.after(60, "sh"))

    lines = done.output.splitlines()
    assert lines[:6] == list(words[:6])
    assert lines[6].startswith("file=/")
    assert lines[7].startswith("0 ")  # sparse
    assert not Path(lines[6].removeprefix("file=")).exists()


def test_every_word_is_quoted_for_the_shell() -> None:
    script = repro_script(("qemu", "a b;c"), disks={}, note="")

    assert shlex.quote("a b;c") in script
