# SPDX-License-Identifier: GPL-2.0-or-later
"""What strangers print, as it is shown; and their files, read in pieces."""

import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.text import capped_lines, end_of, json_text, one_line, printable

BAD = {
    "a terminal's escape": "\x1b]0;title\x07",
    "C1 control": "\x9b31m",
    "next line": "a\x85b",
    "DEL": "\x7f",
    "carriage return": "real\rfake",
    "backspace": "bad\b\b\bgood",
    "override of the direction": "\u202egood",
    "isolate": "\u2066x\u2069",
    "arabic letter mark": "\u061c",
    "zero-width space": "a\u200bb",
    "soft hyphen": "a\xadb",
    "word joiner": "a\u2060b",
    "byte order mark": "\ufeff",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "lone surrogate": "\ud800",
    "tag": "\U000e0041",
    "filler": "\u3164",
    "variation selector": "a\ufe0f",
    "no character": "\uffff",
    "private use": "\ue000",
}
GOOD = "mm/swap.c: é ß ł 漢字 ±5 % “quoted” ok\n\tnext"


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_can_not_be_seen_is_written_out(text: str) -> None:
    shown = printable(text)

    assert shown != text
    assert all(char.isprintable() for char in shown)
    assert "\\" in shown


def test_what_can_be_seen_stays_as_it_is() -> None:
    assert printable(GOOD) == GOOD


def test_every_control_of_unicode_is_written_out() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\t":
            assert printable(char).startswith("\\"), hex(code)


@given(st.text())
def test_what_is_printable_stays_so(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    printable(text).encode()


def test_one_line_is_one_line_and_short() -> None:
    assert one_line("a\n b\x1b[31m") == "a b\\x1b[31m"
    assert len(one_line("x" * 100_000)) == 300
    assert len(one_line("\x1b" * 100_000)) == 300


def test_json_is_ascii_without_controls() -> None:
    text = json_text({"title": "\x7f\x9b\u202e\x1b"})

    assert text.isprintable()
    assert text.isascii()
    assert json.loads(text) == {"title": "\x7f\x9b\u202e\x1b"}


def test_a_line_without_an_end_is_cut_and_the_next_is_whole() -> None:
    file = io.BytesIO(b"first\r\n" + b"x" * 1_000_000 + b"\nlast")

    assert [line[:10] for line in capped_lines(file, longest=100)] == ["first", "x" * 10, "last"]
    file.seek(0)
    assert max(map(len, capped_lines(file, longest=100))) == 100


def test_the_end_of_a_file_begins_where_a_line_does() -> None:
    assert end_of(io.BytesIO(b"one\ntwo\nthree\n"), most=10) == "three\n"
    assert end_of(io.BytesIO(b"one\ntwo\n"), most=100) == "one\ntwo\n"
    assert end_of(io.BytesIO(b"y" * 1000), most=10) == "y" * 10


NUMBERS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(
    NUMBERS | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text() | NUMBERS, inner), max_leaves=20
)


@given(VALUES, st.sampled_from([1, 2]))
def test_indented_json_is_that_of_the_standard_library(value: object, indent: int) -> None:
    assert json_text(value, indent=indent) == json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
