# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this machine ran out of memory, as its kernel counts it."""

from pathlib import Path

from orchestrator.host.oom import memory_left, oom_kills


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


MEMINFO = "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    250 kB\n"


def test_our_cgroup_counts_what_was_killed_in_it(tmp_path: Path) -> None:
    write(tmp_path, proc__self__cgroup="0::/user/x\n", proc__vmstat="pgfault 7\noom_kill 9\n")
    write(tmp_path, sys__fs__cgroup__user__x__memory_dot_events="low 0\noom 4\noom_kill 3\noom_group_kill 0\n")

    assert oom_kills(tmp_path) == 3


def test_else_the_whole_machine_does(tmp_path: Path) -> None:
    assert oom_kills(write(tmp_path, proc__vmstat="pgfault 7\noom_kill 9\n")) == 9
    assert oom_kills(tmp_path / "nothing") == 0


def test_the_memory_left_is_that_of_the_machine_or_of_our_cgroup(tmp_path: Path) -> None:
    assert memory_left(write(tmp_path, proc__meminfo=MEMINFO)) == 0.25
    write(tmp_path, proc__self__cgroup="0::/\n", sys__fs__cgroup__memory_dot_max="1000\n")
    write(tmp_path, sys__fs__cgroup__memory_dot_current="950\n", sys__fs__cgroup__memory_dot_stat="inactive_file 50\n")

    assert memory_left(tmp_path) == 0.1
    assert memory_left(tmp_path / "nothing") == 1.0


def test_this_machine_has_both() -> None:
    assert oom_kills() >= 0
    assert 0 < memory_left() <= 1
