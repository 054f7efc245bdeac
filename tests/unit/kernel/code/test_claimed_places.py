# SPDX-License-Identifier: GPL-2.0-or-later
"""The places of a claimed race, in a source and in a kernel."""

import pytest

from orchestrator.guest.block_counts import blocks_text
from orchestrator.kernel.code.claimed_places import defines, marked, missing, place_in
from orchestrator.model.blocks import Block, CoverageMap
from orchestrator.model.claims import ClaimedPlace, Place

TEXTS = {
    "mm/a.c": "static int f(int x)\n{\n\treturn x;\n}\n\nint twice(void)\n{\n\treturn 1;\n}\n",
    "mm/b.c": "SYSCALL_DEFINE1(swapoff, char *, file)\n{\n\treturn 0;\n}\n\nint twice(void)\n{\n\treturn 2;\n}\n",
}


def place(text: str, **at: int) -> ClaimedPlace:
    function, _, line = text.partition(":")
    wanted = Place(function=function, line=int(line or 0))
    return ClaimedPlace(place=wanted, name=function, file="mm/a.c", first=at["first"], last=at["last"])


def block(offset: int, line: int, *, inside: str = "f", file: str = "mm/a.c", quiet: bool = False) -> Block:
    return Block(offset=offset, target=inside, inside=inside, file=file, line=line, quiet=quiet)


def coverage(*blocks: Block) -> CoverageMap:
    return CoverageMap(side="new", diff=(), lines=(), blocks=blocks, whole=("mm/a.c",))


def test_a_function_is_found_with_its_lines() -> None:
    found = place_in(Place(function="f"), TEXTS)

    assert isinstance(found, ClaimedPlace)
    assert (found.name, found.file, found.first, found.last) == ("f", "mm/a.c", 1, 4)


@pytest.mark.parametrize(
    "name",
    ["swapoff", "sys_swapoff", "__do_sys_swapoff", "__se_sys_swapoff", "__x64_sys_swapoff", "__arm64_sys_swapoff"],
)
def test_a_system_call_is_found_by_its_name_and_by_those_of_a_stack(name: str) -> None:
    found = place_in(Place(function=name, line=3), TEXTS)

    assert isinstance(found, ClaimedPlace)
    assert (found.name, found.file) == ("sys_swapoff", "mm/b.c")
    assert [file for file, text in TEXTS.items() if defines(text, name)] == ["mm/b.c"]


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Place(function="g"), "no C file of this kernel has a function g()"),
        (Place(function="f", file="mm/b.c"), "mm/b.c has no function f()"),
        (Place(function="f", line=7), "line 7 is not in f(), which is mm/a.c:1-4"),
        (Place(function="twice"), "twice() is in several files: mm/a.c, mm/b.c; name one of them, as in mm/a.c:twice"),
    ],
)
def test_a_place_that_is_not_there_says_why(wanted: Place, why: str) -> None:
    assert place_in(wanted, TEXTS) == why


def test_a_line_decides_between_functions_of_one_name() -> None:
    found = place_in(Place(function="twice", file="mm/b.c", line=8), TEXTS)

    assert isinstance(found, ClaimedPlace)
    assert (found.file, found.first) == ("mm/b.c", 6)


def test_blocks_at_the_places_are_marked_and_the_others_left_out() -> None:
    whole = coverage(block(0x10, 11), block(0x20, 14), block(0x30, 31), block(0x40, 14, file="mm/b.c"))

    found = marked(whole, (place("f", first=10, last=20), place("g", first=30, last=40)))

    assert [(one.offset, one.site) for one in found.blocks] == [(0x10, "A"), (0x20, "A"), (0x30, "B")]
    assert missing(found, (place("f", first=10, last=20), place("g", first=30, last=40))) == ""
    assert blocks_text(found) == "10 f A\n20 f A\n30 f B\n"


def test_a_line_is_the_block_that_begins_last_before_it_in_each_copy() -> None:
    whole = coverage(block(0x10, 11), block(0x20, 14), block(0x28, 17), block(0x50, 11, inside="h"), block(0x60, 30))

    found = marked(whole, (place("f:15", first=10, last=20), place("g", first=30, last=40)))

    assert [(one.offset, one.site) for one in found.blocks] == [(0x20, "A"), (0x50, "A"), (0x60, "B")]


def test_places_in_one_function_are_told_apart_by_their_lines() -> None:
    whole = coverage(block(0x10, 11), block(0x20, 14))

    found = marked(whole, (place("f:14", first=10, last=20), place("f:12", first=10, last=20)))

    assert [(one.offset, one.site) for one in found.blocks] == [(0x10, "B"), (0x20, "A")]


@pytest.mark.parametrize(
    ("first", "second", "sides"), [("f", "f", "AB"), ("f:14", "f:14", "AB"), ("f", "f:12", "AB"), ("f:14", "f:12", "A")]
)
def test_two_tasks_may_race_at_one_place(first: str, second: str, sides: str) -> None:
    places = (place(first, first=10, last=20), place(second, first=10, last=20))
    found = marked(coverage(block(0x10, 11), block(0x20, 14)), places)

    assert sides in {one.site for one in found.blocks}
    assert missing(found, places) == ""


def test_a_place_without_code_is_named() -> None:
    places = (place("f", first=10, last=20), place("g:31", first=30, last=40))

    assert missing(marked(coverage(block(0x10, 11), block(0x20, 33)), places), places) == (
        "B: g:31: this kernel has no code of it that can be counted"
    )


def test_a_place_where_no_time_may_be_lost_is_named() -> None:
    places = (place("f", first=10, last=20), place("g", first=30, last=40))
    found = marked(coverage(block(0x10, 11, quiet=True), block(0x20, 33)), places)

    assert missing(found, places).startswith("A: f: a delay there makes a correct kernel look wrong")
    assert blocks_text(found) == "10 f q\n20 f B\n"
