# SPDX-License-Identifier: GPL-2.0-or-later
"""What an error that nobody foresaw costs."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from orchestrator.guest.workload import REFERENCE_SPEED, SLOWEST
from orchestrator.host.errors import GuestNonsense, InfraError, UserError, of_this_machine
from orchestrator.model.configuration import Matrix
from orchestrator.model.guests import Ending, Fault
from orchestrator.model.outcomes import Outcome
from orchestrator.report.store import open_run
from orchestrator.run.endings import TRACEBACK, End, lost, or_bug, too_slow, with_room
from orchestrator.run.judging import lost_report, record
from tests.unit.samples import cell, cell_report, guest_run, result

MATRIX = Matrix(kernel="6.19", workloads=("first",))


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


def test_a_report_that_can_not_be_written_is_recorded_as_lost_and_no_other(tmp_path: Path) -> None:
    # Python writes no number of more than 4300 digits.
    huge = replace(guest_run(), result=result(counters={"swapoffs": 10**5000}))
    reports = [cell_report(of=cell(workload=name)) for name in ("first", "last")]
    reports.insert(1, cell_report(of=cell(workload="huge"), run=huge))

    with open_run(tmp_path, argv=(), matrix_path="m.yaml", matrix=MATRIX, versions={}) as store:
        recorded = record(reports, store)
        kept = store.report().cells

    assert [report.verdict.outcome for report in recorded] == [Outcome.PASSED, Outcome.LOST, Outcome.PASSED]
    assert [one.cell.workload.name for one in kept] == ["first", "huge", "last"]
    assert [one.verdict.outcome for one in kept] == [Outcome.PASSED, Outcome.LOST, Outcome.PASSED]


def fail(error: Exception) -> None:
    raise error


def test_an_error_that_says_what_it_is_about_is_raised() -> None:
    for error in (InfraError("x"), UserError("y"), OSError(28, "z")):
        with pytest.raises(type(error)):
            or_bug(partial(fail, error))
    assert isinstance(or_bug(partial(fail, KeyError("x"))), KeyError)
    assert or_bug(lambda: 7) == 7


def test_a_console_on_a_disk_with_room_is_whole(tmp_path: Path) -> None:
    end = End(ending=Ending.REPORTED)

    assert with_room(end, tmp_path) is end


def test_a_cell_that_was_never_run_for_a_bug_of_ours_is_lost(tmp_path: Path) -> None:
    report = lost_report(cell(), raised(RecursionError("deep")), tmp_path)

    assert report.verdict.outcome is Outcome.LOST
    assert "RecursionError" in report.verdict.title


def test_an_error_of_the_system_without_a_path_has_words() -> None:
    assert str(of_this_machine(OSError("odd"))) == "odd"
    assert of_this_machine(OSError(12, "Cannot allocate memory")).hint.startswith("free -h")
    assert "the disk is full" in str(of_this_machine(OSError(122, "Disk quota exceeded", b"/a/b")))


def test_a_guest_whose_limits_would_have_no_end_is_lost() -> None:
    assert too_slow(REFERENCE_SPEED / SLOWEST) is None

    end = too_slow(REFERENCE_SPEED / SLOWEST / 2)

    assert end is not None
    assert (end.ending, end.fault) == (Ending.LOST, Fault.GUEST)
    assert "40 times slower" in end.detail
