# SPDX-License-Identifier: GPL-2.0-or-later
"""Which console lines are the kernel's, and what they say."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.lines import kernel_lines


def texts(*lines: str) -> list[str]:
    return [line.text for line in kernel_lines(lines)]


def test_stamp_level_and_caller_are_cut_off() -> None:
    (line,) = kernel_lines(["<4>[   12.345678][  T123] BUG: x\r\n"])

    assert (line.text, line.caller, line.seconds, line.number) == ("BUG: x", "T123", 12.345678, 1)


def test_escape_codes_are_cut_off() -> None:
    assert texts("\x1b[0;31m[    1.000000] red\x1b[0m") == ["red"]


def test_colours_whose_escape_was_lost_are_cut_off() -> None:
    assert texts("[    1.000000] [31mred[0m[1;33m and yellow[0m") == ["red and yellow"]


def test_text_without_a_stamp_counts_until_the_first_stamp() -> None:
    assert texts("BIOS", "[    1.000000] a", "echo", "[    2.000000] b") == ["BIOS", "a", "b"]


def test_a_log_without_stamps_counts_as_it_is() -> None:
    assert texts("BUG: a", "host login: BUG: b") == ["BUG: a", "BUG: b"]


def test_a_message_after_a_prompt_is_the_kernels() -> None:
    assert texts("[    1.000000] a", "/ # [    2.000000] b") == ["a", "b"]


def test_two_messages_in_one_line_are_two() -> None:
    lines = list(kernel_lines(["[    1.000000][   C0] BUG: unable [    1.000001][   C1] other"]))

    assert [(line.text, line.caller, line.number) for line in lines] == [("BUG: unable", "C0", 1), ("other", "C1", 1)]


def test_indentation_stays() -> None:
    assert texts("[    1.000000]  <TASK>") == [" <TASK>"]


def test_a_line_without_end_is_cut() -> None:
    assert len(texts("x" * 1_000_000)[0]) == 4096


@given(st.lists(st.text()))
def test_line_numbers_never_go_back(lines: list[str]) -> None:
    numbers = [line.number for line in kernel_lines(lines)]

    assert numbers == sorted(numbers)
