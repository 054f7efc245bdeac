# SPDX-License-Identifier: GPL-2.0-or-later
"""The hunks of a file -> the lines of each side, and the spans by which a function is known to be changed."""

from orchestrator.model.series_diff import ChangedFile, DiffLine


def test_a_line_that_goes_is_looked_for_between_its_neighbours() -> None:
    hunk = (
        DiffLine(kind=" ", old=10, new=10, text="a"),
        DiffLine(kind="-", old=11, new=0, text="b"),
        DiffLine(kind="-", old=12, new=0, text="c"),
        DiffLine(kind=" ", old=13, new=11, text="d"),
        DiffLine(kind="+", old=0, new=12, text="e"),
    )
    file = ChangedFile(path="x.c", hunks=(hunk,))

    assert file.spans("new") == {(12, 12), (10, 11)}
    # Line 13 is the last one of the file: what is added behind it belongs to no function that ends there.
    assert file.spans("old") == {(11, 11), (12, 12), (13, 14)}
    assert file.lines("old") == {11: "b", 12: "c"}


def test_what_went_before_the_first_line_belonged_to_no_function_that_begins_there() -> None:
    hunk = (DiffLine(kind="-", old=1, new=0, text="int a(void);"), DiffLine(kind=" ", old=2, new=1, text="int b(void)"))

    assert ChangedFile(path="x.c", hunks=(hunk,)).spans("new") == {(0, 1)}
