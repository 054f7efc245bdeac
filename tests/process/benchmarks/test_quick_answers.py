# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured of quick answers: a tree of many files, and the CPU of a command."""

import sys
from pathlib import Path

from benchmarks import quick_answers


def test_the_tree_of_a_benchmark_is_a_kernel_tree_of_that_many_files(tmp_path: Path) -> None:
    quick_answers.make_tree(tmp_path / "linux", 50)

    assert len([path for path in (tmp_path / "linux").rglob("*") if path.is_file()]) == 50
    quick_answers.look_at(tmp_path / "linux", tmp_path)
    (copy,) = tmp_path.glob("cache/trees/*/src")
    assert len([path for path in copy.rglob("*") if path.is_file()]) == 50


def test_the_cpu_of_a_command_is_that_of_its_own_process() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass"

    assert quick_answers.cpu_of([sys.executable, "-c", busy]) >= 0.2
    assert quick_answers.cpu_of([sys.executable, "-c", "import time; time.sleep(0.2)"]) < 0.2
