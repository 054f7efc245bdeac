# SPDX-License-Identifier: GPL-2.0-or-later
"""What an unattended guest says on its console: put together again, and never believed beyond its checksums."""

import base64
import zlib

import pytest

from orchestrator.guest.console_report import ConsoleReport, ConsoleWatch
from orchestrator.host.deadline import Deadline
from orchestrator.model.guests import Ending
from tests.unit.guest.test_workload import RESULT


def piece(number: int, text: str, *, stream: str = "said", crc: str = "") -> str:
    data = text.encode()
    words = f"{number} {crc or f'{zlib.crc32(data):08x}'} {base64.b64encode(data).decode()}"
    return f"[    1.{number:06}][   T57] patchrig: {stream} {words}"


def test_pieces_become_what_the_workload_printed() -> None:
    report = ConsoleReport()

    said = report.take(
        [piece(0, '{"type": "pro'), "[    1.5][    C0] something of the kernel's", piece(1, 'gress"}\n')]
    )
    said += report.take(["[    2.000000][   T57] patchrig: ended status 0"])

    assert said == '{"type": "progress"}\n'
    assert (report.how, report.status, report.trouble) == ("status", 0, "")


def test_blocks_are_kept_apart() -> None:
    report = ConsoleReport()

    said = report.take([piece(0, "x\n"), piece(1, "1f40 swapoff 7 1 0 0\n", stream="blocks")])

    assert said == "x\n"
    counted = report.counted()
    assert counted is not None
    assert counted.executed[0x1F40].hits == 7


@pytest.mark.parametrize(
    ("lines", "trouble"),
    [
        ([piece(0, "a"), piece(2, "b")], "piece 1 of what the guest tells is missing"),
        ([piece(0, "a", crc="00000000")], "another checksum"),
        (["patchrig: said 0 00000000 YQ=a"], "no base64"),
    ],
    ids=["missing", "checksum", "base64"],
)
def test_what_is_damaged_is_said(lines: list[str], trouble: str) -> None:
    report = ConsoleReport()

    report.take(lines)

    assert trouble in report.trouble


def test_a_line_that_only_speaks_of_a_piece_is_none() -> None:
    report = ConsoleReport()

    said = report.take([f"somebody: {piece(0, 'a')}", "patchrig: said 0 00 YQ==", "patchrig: ended well 0"])

    assert (said, report.how, report.trouble) == ("", "", "")


def test_nothing_counts_after_the_end() -> None:
    report = ConsoleReport()

    said = report.take(["patchrig: ended no-progress 0", piece(0, "a")])

    assert (said, report.how) == ("", "no-progress")


@pytest.mark.parametrize("reported", [False, True])
def test_a_guest_that_ends_itself_at_a_splat_was_stopped(reported: bool) -> None:
    result = RESULT.replace("\n", " ") + "\n"
    pieces = [piece(number, result[at : at + 500]) for number, at in enumerate(range(0, len(result), 500))]
    lines = [*(pieces if reported else []), "patchrig: ended splat 0"]
    watch = ConsoleWatch(lines=lambda: lines, alive=lambda: True, on_progress=lambda _: None, enough=lambda: False)

    watched = watch.run(Deadline.after(60, "the guest's end"))

    assert watched.ending is Ending.STOPPED
    assert (watched.result is not None) is reported
    assert watched.exit_status is None
