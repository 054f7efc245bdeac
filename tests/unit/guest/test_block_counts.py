# SPDX-License-Identifier: GPL-2.0-or-later
"""What an instrumented guest is told and what it says."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.guest.block_counts import blocks_text, counted_of, widen_argument
from orchestrator.model.blocks import (
    Block,
    BlockCount,
    ChangedLine,
    Counted,
    CoverageMap,
    DelaySettings,
    LineState,
    Piece,
)


def whole(blocks: Sequence[Block], *changed: int) -> CoverageMap:
    """A map of these blocks, of which those at the offsets `changed` have changed lines in them."""
    pieces = tuple(Piece(inside="f", terms=((at, 1),)) for at in changed)
    line = ChangedLine(file="a.c", line=1, text="tryget();", state=LineState.CODE, pieces=pieces)
    return CoverageMap(side="new", diff=(), lines=(line,), blocks=tuple(blocks))


def copy(offsets: Sequence[int], *, inside: str = "f", quiet: Collection[int] = ()) -> list[Block]:
    return [Block(offset=at, target="f", inside=inside, file="a.c", line=1, quiet=at in quiet) for at in offsets]


def flags(found: CoverageMap) -> dict[int, str]:
    return {int(line.split()[0], 16): line.split()[2] for line in blocks_text(found).splitlines()}


def test_the_guest_is_told_each_block_with_its_function() -> None:
    assert blocks_text(whole(copy([0x1A2B]))) == "1a2b f g\n"


def test_the_gate_leads_into_the_first_changed_line() -> None:
    assert flags(whole(copy([0x10, 0x20, 0x30, 0x40, 0x50]), 0x30, 0x50)) == {
        0x10: "-",
        0x20: "-",
        0x30: "g",
        0x40: "a",
        0x50: "a",
    }


def test_each_copy_of_a_function_has_a_gate() -> None:
    blocks = [*copy([0x10, 0x20]), *copy([0x30, 0x40], inside="g")]

    assert flags(whole(blocks, 0x20, 0x40)) == {0x10: "-", 0x20: "g", 0x30: "-", 0x40: "g"}


def test_a_quiet_gate_is_the_block_before_it() -> None:
    assert flags(whole(copy([0x10, 0x20, 0x30], quiet=[0x30]), 0x30)) == {0x10: "-", 0x20: "g", 0x30: "q"}
    assert flags(whole(copy([0x10, 0x20], quiet=[0x10, 0x20]), 0x10)) == {0x10: "q", 0x20: "q"}


def test_a_function_that_only_lost_lines_is_entered_through_its_first_block() -> None:
    assert flags(whole(copy([0x10, 0x20]))) == {0x10: "g", 0x20: "a"}


def test_what_follows_missing_statements_is_a_gate_too() -> None:
    blocks = copy([0x10, 0x20, 0x30, 0x40, 0x50])
    gap = Piece(inside="f", terms=((0x40, 1),))

    assert flags(replace(whole(blocks, 0x20), gaps=(gap,))) == {0x10: "-", 0x20: "g", 0x30: "a", 0x40: "g", 0x50: "a"}
    assert flags(replace(whole(blocks), gaps=(gap,))) == {0x10: "-", 0x20: "-", 0x30: "-", 0x40: "g", 0x50: "a"}


def test_partners_have_letters_of_their_own() -> None:
    own = copy([0x10, 0x20])
    partner = [replace(block, target="h", inside="h", partner=True) for block in copy([0x30, 0x40, 0x50])]
    quiet = replace(partner[1], quiet=True)

    found = flags(replace(whole(own, 0x10), blocks=(*own, partner[0], quiet, partner[2])))

    assert found == {0x10: "g", 0x20: "a", 0x30: "P", 0x40: "q", 0x50: "p"}


def test_the_knobs_and_the_seed_are_one_argument() -> None:
    widening = DelaySettings(chance_ppm=20_000, sleep_us=30_000, spin_us=1_000, only=("f", "g"))

    assert widen_argument(widening, 7) == "20000:30000:1000:0:10:25:7:f+g"


def test_what_a_workload_prefers_gives_way_to_what_the_user_chose() -> None:
    widening = DelaySettings(chance_ppm=20_000, sleep_us=30_000, spin_us=1_000)

    assert widen_argument(widening, 7, ("f", "g")) == "20000:30000:1000:0:10:25:7:@f+g"
    assert widen_argument(replace(widening, only=("h",)), 7, ("f", "g")) == "20000:30000:1000:0:10:25:7:h"
    assert widen_argument(widening, 7) == "20000:30000:1000:0:10:25:7:"


def test_what_ran_is_read_back() -> None:
    ran = {0x1A2B: BlockCount(hits=40, sleeps=3, spins=0, refused=1)}

    assert counted_of("1a2b do_swap_page 40 3 0 1\n") == Counted(executed=ran)
    assert counted_of("1a2b do_swap_page 40 3 0 1 0\n") == Counted(executed=ran)
    assert counted_of("") == Counted()


def test_what_ran_before_the_load_only_did_not_run_under_it() -> None:
    counted = counted_of("1a swap_init 0 0 0 0 2\n2b swapon 3 0 0 0 4\n")

    assert counted == Counted(executed={0x2B: BlockCount(hits=3)}, early={0x1A: 2, 0x2B: 4})


@pytest.mark.parametrize(
    "text", ["cat: can't open", "1a2b f 40 3 0", "1a2b f 40 3 0 1 2 5", "xyz f 1 2 3 4", "1 f 1 2 3 many"]
)
def test_anything_else_is_no_count(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        counted_of(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(counted_of(text), Counted)
