# SPDX-License-Identifier: GPL-2.0-or-later
"""Console bytes -> crashes: the quick way finds what the slow way finds, whatever the pieces, in bounded memory."""

import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.judge.lines import LONGEST
from orchestrator.judge.patterns import PATTERNS, WORDS, Pattern
from orchestrator.judge.scan import crashes_in
from orchestrator.judge.watch import find_crashes
from orchestrator.model.crashes import Crash
from tests.conftest import Golden

CONSOLES = sorted((Path(__file__).parents[2] / "golden" / "console").glob("*.txt"))


def lines_of(file: Path, golden: Golden) -> bytes:
    return golden.split(file)[1].encode()


def pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def found(chunks: Iterable[bytes]) -> list[Crash]:
    return list(crashes_in(chunks))


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("file", CONSOLES, ids=lambda path: path.stem)
def test_pieces_of_any_size_give_what_the_lines_give(file: Path, size: int, golden: Golden) -> None:
    text = lines_of(file, golden)

    assert found(pieces(text, size)) == list(find_crashes(text.decode().splitlines()))


def test_all_consoles_in_a_row_give_what_the_lines_give(golden: Golden) -> None:
    text = b"".join(lines_of(file, golden) for file in CONSOLES) * 3

    assert found(pieces(text, 1000)) == list(find_crashes(text.decode().splitlines()))


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.title)
@given(data=st.data())
@settings(max_examples=max(5, settings().max_examples // 4))  # a quarter for each of so many patterns
def test_every_line_that_begins_a_report_has_a_word(pattern: Pattern, data: st.DataObject) -> None:
    line = data.draw(st.from_regex(pattern.line))

    assert any(word in line for word in WORDS)


def test_a_console_cut_at_any_byte_is_read(golden: Golden) -> None:
    text = lines_of(next(file for file in CONSOLES if file.stem == "kasan-vmalloc"), golden)

    for end in range(0, len(text), 11):
        for crash in found([text[:end]]):
            assert crash.title
        found([text[end:]])


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_are_survived(chunks: list[bytes]) -> None:
    for crash in found([b"[    1.000000] ", *chunks]):
        assert crash.title


def test_a_message_after_much_text_without_a_newline_is_found() -> None:
    dots = repeat(b"." * 65_536, 40)
    bug = b"[    2.000000][  T99] BUG: Bad page map in process swapin  pte:0 pmd:1\n"

    (crash,) = found(chain([b"[    1.000000][   T1] up\n"], dots, [bug[:20], bug[20:]], [b"x\n"]))

    assert (crash.title, crash.line) == ("BUG: Bad page map", 2)


@pytest.mark.parametrize(
    ("chunk", "most"),
    [
        (b"\x00\xff\x1b[" * 10_000, 8_000_000),
        (b"[    1.000000][   T1] a harmless line\n" * 2_000, 8_000_000),
        (b"[    1.000000][   T1] BUG: " + b"x" * 9 * LONGEST + b"\n", 8_000_000),
        # To find a report takes long where allocations are traced: few of them, which may have little memory.
        (
            b"[    1.000000][   T1] BUG: KASAN: a in b\n[    1.000000][   T2] Kernel panic - not syncing: c\n" * 200,
            800_000,
        ),
        (b"BUG: KASAN: a in b\nCall Trace:\n" + b" some_function+0x1/0x2\n" * 3_000, 8_000_000),
    ],
    ids=["junk", "harmless", "long", "reports", "frames"],
)
def test_memory_does_not_grow_with_the_console(chunk: bytes, most: int) -> None:
    for _ in crashes_in([chunk]):
        pass
    tracemalloc.start()
    for _ in crashes_in(repeat(chunk, 8)):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < most


def test_each_callers_report_counts_as_open() -> None:
    """One report for each of thousands of tasks, none of which ends."""
    chunks = (f"[    1.000000][{f'T{number}':>6}] INFO: task a:1 blocked for more than 1 seconds.\n".encode() * 2
              for number in range(10_000))  # fmt: skip

    assert len(found(chunks)) == 10
