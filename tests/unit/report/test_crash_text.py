# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash as a developer reads it."""

from dataclasses import replace

from orchestrator.model.configuration import Variant
from orchestrator.model.stacks import SourceLine, StackFrame
from orchestrator.report.crash_text import changed_functions, crash_lines, short_crash_lines
from tests.unit.samples import crash, explained_crash

PATCHED = Variant.PATCHED


def test_an_inlined_call_is_a_line_of_its_own_and_what_is_not_known_stays_as_it_was() -> None:
    lines = list(crash_lines(explained_crash(), PATCHED))

    assert lines[3:8] == [
        "    dump_stack_lvl+0x5d/0x80 lib/dump_stack.c:94",
        "    percpu_ref_put [inlined] include/linux/percpu-refcount.h:334",
        "  * swap_cache_get_folio.isra.0+0x12c/0x180 mm/swap_state.c:412",
        "    do_swap_page+0x1a8/0x1500 mm/memory.c:4701",
        "    zram_submit_bio+0x10/0x90 [zram]",
    ]


def test_the_short_form_begins_where_the_title_points_and_says_how_much_is_left_out() -> None:
    lines = list(short_crash_lines(explained_crash(), PATCHED, frames=1))

    assert "dump_stack_lvl" not in "\n".join(lines)
    assert "    and 2 more" in lines


def test_the_short_form_names_what_the_code_called_and_not_how_that_is_done() -> None:
    files = ("arch/arm64/include/asm/atomic.h", "include/linux/atomic.h", "include/linux/mm.h", "mm/zswap.c")
    places = tuple(SourceLine(function=f"f{n}", file=file, line=n, inlined=n < 3) for n, file in enumerate(files))
    one = replace(explained_crash(), first=0, stack=(StackFrame(function="f3", offset=1, size=2, places=places),))

    short = list(short_crash_lines(one, PATCHED, frames=8))

    assert "    f2 [inlined] include/linux/mm.h:2" in short
    assert not any("f1" in line or "f0" in line for line in short)
    assert any("f0" in line for line in crash_lines(one, PATCHED))


def test_a_stack_that_misses_the_series_says_so() -> None:
    plain = explained_crash()
    stack = tuple(
        replace(frame, places=tuple(replace(place, changed=False) for place in frame.places)) for frame in plain.stack
    )
    missed = replace(plain, stack=stack)

    assert changed_functions(plain) == ("swap_cache_get_folio",)
    assert "no frame lies in a function that the series changed" in list(crash_lines(missed, PATCHED))


def test_where_it_is_not_known_nothing_is_claimed() -> None:
    blank = replace(explained_crash(), unexplained="no file and line: vmlinux is gone")
    stack = tuple(replace(frame, places=()) for frame in blank.stack)
    said = list(crash_lines(replace(blank, stack=stack, excerpt=()), PATCHED))

    assert said[1] == "no file and line: vmlinux is gone"
    assert not any("series" in line for line in said)
    assert "    swap_cache_get_folio.isra.0+0x12c/0x180" in said


def test_a_baseline_has_no_series_to_speak_of() -> None:
    plain = explained_crash()
    stack = tuple(
        replace(frame, places=tuple(replace(place, changed=False) for place in frame.places)) for frame in plain.stack
    )

    assert not any("series" in line for line in crash_lines(replace(plain, stack=stack), Variant.BASELINE))


def test_a_crash_without_a_stack_is_a_line() -> None:
    assert list(crash_lines(replace(crash(), task="swapin", corrupted=True), PATCHED)) == [
        "kasan, console line 7, task swapin, in f, the report is incomplete"
    ]
