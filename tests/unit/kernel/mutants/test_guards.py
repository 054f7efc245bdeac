# SPDX-License-Identifier: GPL-2.0-or-later
"""All mutants in one text: the file's own bytes are there, in order, on their lines; each mutant has its guards."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.kernel.mutants.guards import broken, crossing, guarded
from orchestrator.kernel.mutants.select_mutants import select_mutants
from orchestrator.model.mutants import Edit, Guard, Mutant
from tests.unit.mutant_samples import FILE, body, mutants, series

LINES = (
    "	if (!tryget_thing(x))",
    "		return -EAGAIN;",
    "	spin_lock(&x->l); /* \u00e4: two bytes */",
    "	if (unlikely(x->n <= 3) && x->p) {",
    "		x->n = READ_ONCE(x->m); // to the end of the line",
    "		goto out;",
    "	} else if (x->q) {",
    "		use(x, \"}\",",
    "		    2);",
    "	}",
    "	list_for_each_entry(y, &x->list, node)",
    "		put_other(y);",
    "#ifdef CONFIG_THING",
    "	x->flag = true;",
    "#endif",
    "	put_thing(x);",
    "	spin_unlock(&x->l);",
    "out:",
    "	put_thing(x);",
    "	return 0;",
)  # fmt: skip
DECLARED = " extern unsigned int patchrig_mutant; extern volatile unsigned int patchrig_reached[];"


def chosen(number: int) -> str:
    """The condition of a guard: it counts that its place was passed, whichever mutant the kernel has."""
    return f"(patchrig_reached[{number}]++, unlikely(patchrig_mutant == {number}))"


def made(text: bytes) -> str:
    return text.decode()


def text_of(new: set[int]) -> str:
    return body("\n".join(f"{'+' if number in new else ' '}{line}" for number, line in enumerate(LINES)))


def mutant(number: int, *edits: Edit) -> Mutant:
    return Mutant(
        number=number, operator="test", file=FILE, function="f", line=1, before="", after="", edits=tuple(edits)
    )


def outermost(mutant: Mutant) -> list[Edit]:
    edits = sorted(mutant.edits, key=lambda edit: edit.start)
    return [
        edit
        for edit in edits
        if not any(one.start <= edit.start and edit.end <= one.end for one in edits if one != edit)
    ]


@settings(max_examples=40)
@given(st.sets(st.integers(0, len(LINES) - 1), min_size=1))
def test_a_mutant_changes_the_bytes_of_its_nodes_and_no_others(new: set[int]) -> None:
    found = select_mutants(series(text_of(new)))

    for one in found.mutants:
        source = found.texts[FILE].encode()
        edits = outermost(one)
        changed, at = broken(found.texts[FILE], one).encode(), 0
        for number, edit in enumerate(edits):
            kept = source[edits[number - 1].end if number else 0 : edit.start]
            assert changed[at : at + len(kept)] == kept
            end = edits[number + 1].start if number + 1 < len(edits) else len(source)
            at = changed.index(source[edit.end : end], at + len(kept)) if number + 1 < len(edits) else 0
        assert changed.endswith(source[edits[-1].end :])


@settings(max_examples=40)
@given(st.sets(st.integers(0, len(LINES) - 1), min_size=1))
def test_the_file_is_in_the_guarded_text_byte_for_byte_and_no_line_moves(new: set[int]) -> None:
    found = select_mutants(series(text_of(new)))
    text = text_of(new)
    source = "".join(f"{line[1:]}\n" for line in text.strip("\n").split("\n")).encode()
    here = [one for one in found.mutants if one.guard is not Guard.OWN_BUILD]

    pieces = guarded(source.decode(), here)

    assert b"".join(piece.text for piece in pieces if not piece.added) == source
    assert not any(b"\n" in piece.text for piece in pieces if piece.added)
    chosen = re.findall(r"patchrig_mutant == (\d+)\)", made(b"".join(piece.text for piece in pieces)))
    assert sorted({int(number) for number in chosen}) == [one.number for one in here]
    assert len(chosen) == sum(len(one.edits) for one in here)


def test_a_statement_and_a_condition_are_guarded_each_in_its_way() -> None:
    text = body("+	if (x->a > 1)\n+		use(x);")
    found = select_mutants(series(text), operators=("negate", "drop-call"))

    lines = made(b"".join(piece.text for piece in guarded(found.texts[FILE], found.mutants))).split("\n")

    first, second = (one.number for one in found.mutants)
    assert lines[:2] == ["static int f(struct thing *x)", f"{{{DECLARED}"]
    assert lines[2] == f"	if (({chosen(first)} ? !!(!(x->a > 1)) : !!(x->a > 1)))"
    assert lines[3] == f"		{{ if ({chosen(second)}) {{  }} else {{ use(x); }} }}"


def test_mutants_of_one_node_and_of_nodes_within_it_are_nested() -> None:
    found = mutants(body("-	x->a = 0;\n+	x->a = -EAGAIN;"), "drop-assignment,wrong-errno")

    first, second, third = (one.number for one in found)
    text = made(b"".join(piece.text for piece in guarded("int f(struct thing *x)\n{\n	x->a = -EAGAIN;\n}\n", ())))
    assert text == "int f(struct thing *x)\n{\n	x->a = -EAGAIN;\n}\n"
    source = "static int f(struct thing *x)\n{\n	x->a = -EAGAIN;\n}\n"
    line = made(b"".join(piece.text for piece in guarded(source, found))).split("\n")[2]
    assert [one.operator for one in found] == ["drop-assignment", "wrong-errno", "wrong-errno"]
    assert line == (
        f"	{{ if ({chosen(first)}) {{  }} else {{ x->a = ({chosen(second)} ? (-EBUSY) : "
        f"(({chosen(third)} ? (0) : (-EAGAIN)))); }} }}"
    )


def test_edits_that_cross_are_told_from_those_that_are_nested() -> None:
    def edit(start: int, end: int) -> Edit:
        return Edit(start=start, end=end, text="", guard=Guard.STATEMENT)

    nested = [mutant(1, edit(0, 10)), mutant(2, edit(0, 10)), mutant(3, edit(2, 5)), mutant(4, edit(5, 10))]

    assert not crossing(nested)
    assert crossing([*nested, mutant(5, edit(4, 7))]) == {5}
    assert crossing([mutant(1, edit(0, 4)), mutant(2, edit(8, 9), edit(3, 6)), mutant(3, edit(5, 7))]) == {2}


spans = st.tuples(st.integers(0, 20), st.integers(1, 8)).map(lambda one: (one[0], one[0] + one[1]))


@settings(max_examples=200)
@given(st.lists(st.lists(spans, min_size=1, max_size=2), max_size=8))
def test_a_mutant_crosses_if_an_edit_has_a_part_of_one_that_was_kept(
    every: list[list[tuple[int, int]]],
) -> None:
    found, kept = set(), list[tuple[int, int]]()
    for number, own in enumerate(every, start=1):
        if any(a < c < b < d or c < a < d < b for a, b in own for c, d in kept):
            found.add(number)
        else:
            kept += own

    made = [
        mutant(number, *(Edit(start=start, end=end, text="", guard=Guard.STATEMENT) for start, end in own))
        for number, own in enumerate(every, start=1)
    ]
    assert crossing(made) == found


@pytest.mark.parametrize(
    "head", ["static int f(struct thing *x)\n\n{\n", "int f(x) struct thing *x;\n{\n", "int f(void) /* A */\n{\n"]
)
def test_what_a_guard_needs_is_declared_behind_the_brace_whatever_the_head_is(head: str) -> None:
    text = f"#if A || \\\n    B\n{head}\tx->a = 1;\n}}\n#endif\n"
    at = text.index("x->a")
    edit = Edit(start=at, end=at + len("x->a = 1;"), text="", guard=Guard.STATEMENT)

    whole = made(b"".join(piece.text for piece in guarded(text, [mutant(1, edit)])))

    assert whole.startswith(f"#if A || \\\n    B\n{head.rstrip()}{DECLARED}\n")


@pytest.mark.parametrize(
    ("above", "line"),
    [
        ("/*\n * A \u00e4.\n\n */\n#include <linux/mm.h>\n\n#define N 1\n\n", 6),
        ("#if A\n\n#endif\n#define N \\\n\n\n", 6),
        ("#include <linux/mm.h>\n", 0),
    ],
)
def test_what_is_known_when_compiling_is_no_longer_asserted_from_the_first_blank_line_on(above: str, line: int) -> None:
    text = f"{above}int f(void)\n{{\n\n\tx = 1;\n}}\n"
    at = len(text[: text.index("x = 1")].encode())
    one = mutant(1, Edit(start=at, end=at + len("x = 1;"), text="", guard=Guard.STATEMENT))

    lines = [made(piece.text) for piece in guarded(text, [one])]
    in_header = made(b"".join(piece.text for piece in guarded(text, [replace(one, file="include/x.h")])))

    found = "".join(lines).split("\n")
    assert [number for number, own in enumerate(found, start=1) if "patchrig_mutant.h" in own] == (
        [line] if line else []
    )
    assert all(found[number - 1] == "#include <linux/patchrig_mutant.h>" for number in [line] if number)
    assert len(found) == len(text.split("\n"))
    assert "patchrig_mutant.h" not in in_header


def test_what_lasts_until_the_end_of_its_block_is_in_no_guard() -> None:
    found = mutants(
        body("-	mutex_lock(&x->m);\n+	guard(mutex)(&x->m);\n 	use(x);\n 	return 0;"), "omit-hunk"
    )
    back = mutants(
        body("-	guard(mutex)(&x->m);\n+	mutex_lock(&x->m);\n 	use(x);\n 	return 0;"), "omit-hunk"
    )

    assert [one.guard for one in (*found, *back)] == [Guard.OWN_BUILD, Guard.OWN_BUILD]


def test_of_an_edit_within_another_of_the_same_mutant_the_outer_one_is_made() -> None:
    inner = Edit(start=4, end=5, text="x", guard=Guard.OWN_BUILD)
    outer = Edit(start=2, end=6, text="y", guard=Guard.OWN_BUILD)
    last = Edit(start=6, end=7, text="z", guard=Guard.OWN_BUILD)

    assert broken("01234567", mutant(1, inner, last, outer)) == "01yz7"


def test_a_mutant_that_crosses_another_gets_a_build_of_its_own() -> None:
    found = mutants(
        body(" 	first(x);\n-	put_other(x);\n+	put_thing(x);\n+	pinned = false;\n 	return 0;")
    )

    guards = {one.operator: one.guard for one in found if one.operator in ("release-early", "omit-hunk")}
    assert guards == {"release-early": Guard.STATEMENT, "omit-hunk": Guard.OWN_BUILD}


def test_a_mutant_of_its_own_build_has_no_guard() -> None:
    found = mutants(body("+	if (x->a)\n+		use(x);"))
    source = "static int f(struct thing *x)\n{\n	if (x->a)\n		use(x);\n}\n"

    by_operator = {one.operator: broken(source, one).split("\n")[2:4] for one in found}

    assert by_operator["negate"] == ["	if ((!(x->a)))", "		use(x);"]
    assert by_operator["drop-call"] == ["	if (x->a)", "		{  }"]
