# SPDX-License-Identifier: GPL-2.0-or-later
"""What gcc and ld print -> the mutants that it is about."""

import pytest

from orchestrator.kernel.mutants.compile_errors import blamed
from orchestrator.kernel.mutants.guards import guarded
from orchestrator.kernel.mutants.select_mutants import select_mutants
from tests.unit.mutant_samples import FILE, body, series

FOUND = select_mutants(series(body("+	if (x->a)\n+		x->b = -EAGAIN;\n+	put_thing(x);")))
OF = {(one.line, one.operator): one.number for one in FOUND.mutants}


def column(line: int, text: str) -> int:
    """Where a text begins, as gcc counts: a tab goes to the next column behind a multiple of 8."""
    whole = b"".join(piece.text for piece in guarded(FOUND.texts[FILE], FOUND.mutants)).decode()
    return whole.split("\n")[line - 1].expandtabs(8).index(text) + 1


def numbers(log: str) -> set[int]:
    return set(blamed(log, FOUND.texts, FOUND.mutants))


@pytest.mark.parametrize("path", [FILE, f"../{FILE}", f"./{FILE}", f"/build/src/{FILE}"])
def test_a_column_tells_one_mutant_of_a_line(path: str) -> None:
    log = f"  CC      mm/sample.o\n{path}:3:{column(3, '!(x->a)')}: error: no such thing\n"

    assert numbers(log) == {OF[3, "negate"]}


def test_without_a_column_all_mutants_of_the_line_are_blamed() -> None:
    log = f"ld: mm/sample.o: in function `f':\n{FILE}:5: undefined reference to `put_thing'\n"

    assert numbers(log) == {number for (line, _), number in OF.items() if line == 5}


def test_an_error_in_a_macro_is_told_by_where_the_macro_is_used() -> None:
    place = f"{FILE}:4:{column(4, '-EBUSY')}"
    log = (
        "./include/linux/thing.h:12:40: error: invalid operands\n"
        f"{place}: note: in expansion of macro `THING'\n   12 | #define THING\n"
    )

    assert numbers(log) == {next(one.number for one in FOUND.mutants if one.after == "-EBUSY")}


def test_warnings_and_notes_of_warnings_blame_nobody() -> None:
    log = (
        f"{FILE}:3:{column(3, '!(x->a)')}: warning: this is odd\n{FILE}:4:{column(4, '-EBUSY')}: note: declared here\n"
        "mm/other.c:3:1: error: not ours\nmake: *** [Makefile:3: mm/sample.o] Error 1\n"
    )

    assert numbers(log) == set()


def test_two_errors_blame_two_mutants() -> None:
    log = f"{FILE}:3:{column(3, '!(x->a)')}: error: one\n{FILE}:4:{column(4, '-EBUSY')}: error: two\n"

    assert len(numbers(log)) == 2
