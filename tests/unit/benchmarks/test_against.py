# SPDX-License-Identifier: GPL-2.0-or-later
"""Two trees compared: what a command takes, and the table that is stored."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.against import measurement, use_of
from benchmarks.runs import PROJECT, Figure


def test_a_command_is_run_on_the_code_of_its_tree(tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("ballast = bytearray(64 << 20)\n")

    use = use_of(("-c", "import only_here; sum(range(1000))"), tmp_path)

    assert use.seconds > 0
    assert use.mib > 64


def test_the_peak_of_memory_is_not_that_of_who_measures() -> None:
    mine = b"x" * (96 << 20)

    assert use_of(("-c", "pass"), PROJECT).mib < 48
    assert len(mine) >> 20 == 96


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        use_of(("-c", "raise SystemExit(3)"), tmp_path)


def test_the_table_names_both_commits() -> None:
    figures = [Figure(what="patchrig --help: CPU, median of 5", measured=0.1, peer=1.0, reach=None)]

    one = measurement("a48a227", "d1f7ea3", figures)

    assert one.title == "Commit a48a227, with commit d1f7ea3 as the peer"
    assert one.command.endswith("benchmarks.against d1f7ea3")
    assert len(one.rows) == 1
    assert len(one.rows[0]) == len(one.columns)
