# SPDX-License-Identifier: GPL-2.0-or-later
"""What an error that nobody foresaw costs."""

from pathlib import Path

import pytest

from orchestrator.host.errors import GuestNonsense, InfraError, UserError, of_this_machine
from orchestrator.model.guests import Ending, Fault, Observation
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from orchestrator.run.endings import TRACEBACK, lost, lost_report, or_bug, recorded, with_room
from tests.unit.samples import cell, cell_report


def raised(error: Exception) -> Exception:
    """With the traceback of somebody who raised it."""

    def fails() -> None:
        raise error

    with pytest.raises(type(error)) as told:
        fails()
    return told.value


@pytest.mark.parametrize(
    ("error", "fault", "hint"),
    [
        (InfraError("no QEMU", hint="patchrig doctor"), Fault.MACHINE, "patchrig doctor"),
        (GuestNonsense("speed=0"), Fault.GUEST, ""),
        (OSError(28, "No space left on device", "/x/y"), Fault.MACHINE, "df -h /x; patchrig clean"),
        (PermissionError(13, "Permission denied", "/x/y"), Fault.MACHINE, "ls -ld /x"),
        (MemoryError(), Fault.MACHINE, "free -h"),
        (RecursionError("too deep"), Fault.OURS, "traceback.txt"),
        (KeyError("x\x1b[2J"), Fault.OURS, "traceback.txt"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), Fault.OURS, "traceback.txt"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_is_a_lost_run_with_whose_fault_it_is(
    tmp_path: Path, error: Exception, fault: Fault, hint: str
) -> None:
    run = lost(raised(error), tmp_path)

    assert run.ending is Ending.LOST
    assert run.fault is fault
    assert hint in run.hint
    assert "\x1b" not in run.detail
    assert (tmp_path / TRACEBACK).exists() == (fault is Fault.OURS)
    if fault is Fault.OURS:
        assert "at test_endings.py:" in run.detail
        assert "fails" in (tmp_path / TRACEBACK).read_text()


def test_a_folder_that_can_not_be_written_hides_no_error(tmp_path: Path) -> None:
    run = lost(raised(ValueError("x")), tmp_path / "gone")

    assert "ValueError" in run.detail
    assert run.hint


def test_a_report_that_can_not_be_written_is_recorded_as_lost(tmp_path: Path) -> None:
    kept: list[CellReport] = []

    def record(report: CellReport) -> None:
        if report.verdict.outcome is Outcome.PASSED:
            raise ValueError("Exceeds the limit (4300 digits)")
        kept.append(report)

    report = recorded(cell_report(), record, tmp_path)

    assert kept == [report]
    assert report.verdict.outcome is Outcome.LOST
    assert report.cell == cell_report().cell


def test_an_error_that_says_what_it_is_about_is_raised() -> None:
    for error in (InfraError("x"), UserError("y"), OSError(28, "z")):
        with pytest.raises(type(error)):
            or_bug(lambda error=error: (_ for _ in ()).throw(error))
    assert isinstance(or_bug(lambda: {}["x"]), KeyError)
    assert or_bug(lambda: 7) == 7


def test_a_console_on_a_disk_with_room_is_whole(tmp_path: Path) -> None:
    run = Observation(ending=Ending.REPORTED)

    assert with_room(run, tmp_path) is run


def test_a_cell_that_was_never_run_for_a_bug_of_ours_is_lost(tmp_path: Path) -> None:
    report = lost_report(cell(), raised(RecursionError("deep")), tmp_path)

    assert report.verdict.outcome is Outcome.LOST
    assert "RecursionError" in report.verdict.title


def test_an_error_of_the_system_without_a_path_has_words() -> None:
    assert str(of_this_machine(OSError("odd"))) == "odd"
    assert of_this_machine(OSError(12, "Cannot allocate memory")).hint.startswith("free -h")
    assert "the disk is full" in str(of_this_machine(OSError(122, "Disk quota exceeded", b"/a/b")))
