# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a change of C code is one of comments and blanks alone."""

import pytest

from orchestrator.kernel.code.comments import changes_no_code, changes_only_comments
from orchestrator.model.series_diff import ChangedFile, DiffLine


def only_comments(*lines: str, path: str = "mm/x.c") -> bool:
    hunk = tuple(DiffLine(kind=line[0], old=1, new=1, text=line[1:]) for line in lines)  # type: ignore[arg-type]
    return changes_only_comments(ChangedFile(path=path, hunks=(hunk,)))


@pytest.mark.parametrize(
    "lines",
    [
        ("+/* new */", " int x;"),
        ("-\tf(x);", "+\tf(x);\t/* why */"),
        ("-\tf(x);", "+\tf( x );"),
        (" /*", "-\t * old", "+\t * new, and", "+\t * more", " \t */"),
        (" \t * begun above", "-\t * old", "+\t * new"),
        ("-\t * the end of it */", "+\t * its end */", " int x;"),
        ("-// old", "+// new", " int x;"),
    ],
)
def test_comments_and_blanks_are_no_code(lines: tuple[str, ...]) -> None:
    assert only_comments(*lines)


@pytest.mark.parametrize(
    "lines",
    [
        ("-\tf(x);", "+\tg(x);"),
        ('-\tpr_err("a b");', '+\tpr_err("a  b");'),
        ("-\tf(x);", "+\t/* f(x); */"),
        ('-\tpr_err("http://a");', '+\tpr_err("http://b");'),
        ("-\t*p = 1;", "+\t*p = 2;"),
        ("-#define A \\", "+#define A", " 1"),
        ("+\tf(x);", " /* a comment */"),
    ],
)
def test_code_is(lines: tuple[str, ...]) -> None:
    assert not only_comments(*lines)


def test_other_files_are_not_read() -> None:
    assert not only_comments("+/* x */", path="mm/Makefile")
    assert not changes_only_comments(ChangedFile(path="mm/x.c", hunks=()))


def test_a_file_whose_mode_alone_changes_has_the_same_code() -> None:
    assert changes_no_code(ChangedFile(path="mm/x.c", hunks=()))
    assert not changes_no_code(ChangedFile(path="mm/Makefile", hunks=()))
