# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmarks share: edited series, and commands that are timed."""

from pathlib import Path

import pytest

from benchmarks import runs
from orchestrator.host.deadline import Deadline
from tests.unit.benchmarks.scripts import script


def test_an_edited_series_differs_in_one_line_of_one_patch(tmp_path: Path) -> None:
    file = runs.edited_series(tmp_path / "edited", "edit 7")

    changed = [
        (patch.name, old, new)
        for patch in sorted(runs.SERIES.iterdir())
        for old, new in zip(
            patch.read_text().splitlines(), (tmp_path / "edited" / patch.name).read_text().splitlines(), strict=True
        )
        if old != new
    ]

    ((patch_name, old, new),) = changed
    assert new == f"{old} /* edit 7 */"
    assert file.endswith(".c")
    assert f"+++ b/{file}\n" in (runs.SERIES / patch_name).read_text()


def test_an_edit_is_no_other_ones_so_that_no_cache_has_its_image() -> None:
    assert runs.mark_of(1) != runs.mark_of(1)


def gone(stat: Path) -> bool:
    """Whether the process is, or only waits for somebody to ask how it ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_command_that_takes_longer_than_its_limit_is_ended_with_what_it_started(tmp_path: Path) -> None:
    slow = script(tmp_path / "slow", f"sleep 600 & echo $! >{tmp_path}/child; wait")

    seconds = runs.timed([str(slow)], limit=0.5)

    assert seconds >= 0.5
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    # A kill is carried out when the kernel comes to it.
    Deadline.after(60, "the end of what the command started").until(lambda: gone(child))


def test_a_command_that_fails_ends_the_benchmark_with_what_it_said(tmp_path: Path) -> None:
    broken = script(tmp_path / "broken", "echo no such target; exit 2")

    with pytest.raises(SystemExit, match=r"(?s)status 2.*no such target"):
        runs.timed([str(broken)], limit=60)
