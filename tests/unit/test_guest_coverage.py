"""What an instrumented guest is told and what it says."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.coverage import Block, BlockCount, Widening
from orchestrator.guest.coverage import blocks_text, executed_of, widen_argument


def test_the_guest_is_told_which_blocks_and_which_of_them_are_quiet() -> None:
    loud = Block(offset=0x1A2B, target="do_swap_page", inside="do_swap_page", file="mm/memory.c", line=7)
    quiet = Block(offset=0x1A40, target="f", inside="g", file="mm/shmem.c", line=9, quiet=True)

    assert blocks_text((loud, quiet)) == "1a2b do_swap_page e\n1a40 f q\n"


def test_the_first_block_of_each_copy_of_a_function_is_its_entry() -> None:
    places = ((0x30, "f", "f"), (0x20, "f", "f"), (0x50, "f", "g"), (0x60, "f", "g"))
    blocks = [Block(offset=at, target=name, inside=copy, file="a.c", line=1) for at, name, copy in places]

    flags = [line.split()[2] for line in blocks_text(blocks).splitlines()]

    assert flags == ["-", "e", "e", "-"]


def test_the_knobs_and_the_seed_are_one_argument() -> None:
    widening = Widening(chance_ppm=20_000, sleep_us=30_000, spin_us=1_000, only=("f", "g"))

    assert widen_argument(widening, 7) == "20000:30000:1000:0:10:7:f+g"


def test_what_ran_is_read_back() -> None:
    assert executed_of("1a2b do_swap_page 40 3 0 1\n") == {0x1A2B: BlockCount(hits=40, sleeps=3, spins=0, refused=1)}
    assert executed_of("") == {}


@pytest.mark.parametrize("text", ["cat: can't open", "1a2b f 40 3 0", "xyz f 1 2 3 4", "1 f 1 2 3 many"])
def test_anything_else_is_no_count(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        executed_of(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(executed_of(text), dict)
