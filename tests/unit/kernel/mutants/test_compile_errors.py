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


def test_an_error_in_an_inline_function_is_told_by_where_it_was_inlined() -> None:
    log = (
        "In function `check',\n    inlined from `g' at ./include/linux/thing.h:3:1,\n"
        f"    inlined from `f' at {FILE}:4:{column(4, '-EBUSY')}:\n"
        "././include/linux/compiler_types.h:706:45: error: call to `__compiletime_assert_5' declared with\n"
    )

    assert numbers(log) == {next(one.number for one in FOUND.mutants if one.after == "-EBUSY")}
    assert numbers(log.replace("error:", "warning:")) == set()


def test_warnings_and_notes_of_warnings_blame_nobody() -> None:
    log = (
        f"{FILE}:3:{column(3, '!(x->a)')}: warning: this is odd\n{FILE}:4:{column(4, '-EBUSY')}: note: declared here\n"
        "mm/other.c:3:1: error: not ours\nmake: *** [Makefile:3: mm/sample.o] Error 1\n"
    )

    assert numbers(log) == set()


def test_two_errors_blame_two_mutants() -> None:
    log = f"{FILE}:3:{column(3, '!(x->a)')}: error: one\n{FILE}:4:{column(4, '-EBUSY')}: error: two\n"

    assert len(numbers(log)) == 2


def test_an_error_where_no_mutant_is_blames_those_of_its_function_and_then_those_of_its_file() -> None:
    other = series(body("+	put_thing(x);") + " static int g(struct thing *x)\n {\n 	return 0;\n }\n")
    two = series(body("+	put_thing(x);") + body("+	put_other(x);").replace(" f(", " g("))
    both, one = select_mutants(two), select_mutants(other)
    ends = "mm/sample.c:{}:1: error: control reaches end of non-void function [-Werror=return-type]\n"

    assert blamed(ends.format(4), both.texts, both.mutants) == {m.number for m in both.mutants if m.function == "f"}
    assert blamed(ends.format(8), both.texts, both.mutants) == {m.number for m in both.mutants if m.function == "g"}
    assert blamed(ends.format(8), one.texts, one.mutants) == {m.number for m in one.mutants}
    assert blamed(ends.format(8) + "mm/sample.c:3:9: error: this\n", both.texts, both.mutants) == {
        m.number for m in both.mutants if m.function == "f"
    }


def test_of_two_functions_of_which_one_is_inlined_into_the_other_the_inner_one_is_to_blame() -> None:
    two = select_mutants(series(body("+	put_thing(x);") + body("+	put_other(x);").replace(" f(", " g(")))
    log = (
        "    inlined from `f' at mm/sample.c:{}:2,\n    inlined from `g' at mm/sample.c:{}:2:\n"
        "././include/linux/compiler_types.h:706:45: error: call to `__compiletime_assert_5'\n"
    )

    assert blamed(
        log.format(7, 8) + "mm/sample.c:4:2: note: in expansion of macro `min'\n", two.texts, two.mutants
    ) == {one.number for one in two.mutants if one.function == "f"}
    for lines in ((4, 8), (3, 7)):
        inner = {one.number for one in two.mutants if one.function == "f"}
        assert blamed(log.format(*lines), two.texts, two.mutants) == inner
