# SPDX-License-Identifier: GPL-2.0-or-later
"""Which places of a series are mutated, and which are left out and counted."""

from dataclasses import replace

from orchestrator.kernel.mutants.select_mutants import select_mutants
from orchestrator.model.mutants import Guard
from tests.unit.mutant_samples import FILE, body, mutants, series, shown


def test_only_changed_lines_and_what_they_decide_over_are_mutated() -> None:
    found = mutants(body(" 	x->a = 1;\n+	x->b = 2;\n 	x->c = 3;"))

    assert {one.line for one in found} == {4}


def test_a_function_that_runs_at_boot_only_is_left_out() -> None:
    text = " static int __init f(void)\n {\n+	first();\n 	return 0;\n }\n"

    found = select_mutants(series(text))

    assert [one for one in found.mutants if one.operator != "omit-hunk"] == []
    assert [(one.line, one.why) for one in found.left_out] == [(3, "runs while the kernel boots only")]


def test_what_the_parser_does_not_understand_is_counted() -> None:
    found = select_mutants(series(body("+	if (x->a) {{ use(x;\n+	x->b = 1;\n+	}\n+	}")))

    assert found.left_out
    assert {one.why for one in found.left_out} <= {
        "the parser does not understand it",
        "it is not whole statements",
    }


def test_a_loop_of_a_macro_is_left_out_and_its_body_is_not() -> None:
    found = select_mutants(
        series(body("+	list_for_each_entry(y, &x->list, node) {\n+		put_thing(y);\n+	}"))
    )

    assert "4: put_thing(y); => nothing" in shown(found.mutants)
    assert not [one for one in found.mutants if one.before.startswith("list_for_each") and one.operator != "omit-hunk"]
    assert [(one.line, one.why) for one in found.left_out] == [(3, "the parser does not understand it")]


def test_a_macro_for_a_head_and_a_header_are_read_like_any_function() -> None:
    text = " SYSCALL_DEFINE2(thing, int, a, int, b)\n {\n+	put_thing(a);\n 	return 0;\n }\n"

    found = select_mutants(series(text, "include/linux/thing.h"), operators=("drop-release",)).mutants

    assert [(one.file, one.function) for one in found] == [("include/linux/thing.h", "sys_thing")]


def test_a_file_that_is_not_utf_8_is_left_out() -> None:
    found = select_mutants(series(body('+	use(x, "\ufffd");')))

    assert (found.mutants, [one.why for one in found.left_out]) == ((), ["not UTF-8"])


def test_whoever_chooses_finds_the_numbers_of_the_whole_list() -> None:
    diff = series(body("+	if (!tryget(x))\n+		return;\n+	x->b = 1;"))
    whole = select_mutants(diff)

    some = select_mutants(diff, operators=("never", "drop-assignment"))

    assert some.in_kernel == whole.in_kernel == whole.mutants
    assert some.texts == whole.texts
    by_number = {one.number: one for one in whole.mutants}
    assert {one.operator for one in some.mutants} == {"never", "drop-assignment"}
    assert all(one.edits == by_number[one.number].edits for one in some.mutants)
    # The same edit is called by the operator that comes first, unless another one was asked for.
    (never,) = [one for one in some.mutants if one.operator == "never"]
    assert (by_number[never.number].operator, by_number[never.number].also) == ("ignore-failure", ("never",))


def test_the_user_chooses_operators_and_functions() -> None:
    diff = series(body("+	if (x->a)\n+		put_thing(x);"))

    assert {one.operator for one in select_mutants(diff, operators=("negate", "always")).mutants} == {
        "negate",
        "always",
    }
    assert select_mutants(diff, only=("g",)).mutants == ()
    assert select_mutants(diff, only=("f",)).mutants == select_mutants(diff).mutants


def test_numbers_follow_the_text_and_begin_with_one() -> None:
    found = mutants(body("+	put_thing(x);\n+	if (x->a)\n+		return -EIO;"))

    assert [one.number for one in found] == list(range(1, len(found) + 1))
    assert [one.line for one in found] == sorted(one.line for one in found)


def test_one_edit_is_one_mutant_by_the_more_telling_operator() -> None:
    found = mutants(body("+	if (!tryget_thing(x))\n 		return 1;\n+	first(x);\n 	return 0;"))

    assert [one.operator for one in found] == ["omit-hunk", "ignore-failure", "negate", "always", "drop-call"]


def test_a_change_that_needs_others_is_not_taken_back() -> None:
    text = body("+	int mine = 0;\n \n-	old_use(x);\n+	use(mine);\n 	return 0;")

    found = select_mutants(series(text), operators=("omit-hunk",))

    assert shown(found.mutants) == ["5: use(mine); => old_use(x);"]
    assert [(one.line, one.why.partition(": ")[2]) for one in found.left_out] == [
        (3, "other changes use what it declares")
    ]


def test_a_change_that_uses_what_is_gone_is_not_taken_back() -> None:
    changed = "-	int was = 0;\n 	first(x);\n-	use(was);\n+	use(1);\n-	goto away;\n+	return 1;\n"
    text = body(f"{changed} 	last(x);\n-away:\n 	return 0;")

    found = select_mutants(series(text), operators=("omit-hunk",))

    assert found.mutants == ()
    assert len(found.left_out) == 3


def test_a_change_outside_functions_gets_a_build_of_its_own() -> None:
    text = "-#define LIMIT 8\n+#define LIMIT 16\n\n static int f(void)\n {\n 	return LIMIT;\n }\n"

    (found,) = mutants(text)

    assert (found.operator, found.guard, found.function) == ("omit-hunk", Guard.OWN_BUILD, "")
    assert found.edits[0].text == "#define LIMIT 8\n"


def test_hunks_of_the_diff_need_not_have_the_whole_file() -> None:
    first = " 	first(x);\n-	put_other(x);\n+	put_thing(x);\n+	last(x);\n 	return 0;\n"
    text = body(f"{first} \n \n \n-	gone(x);\n 	x->a = 1;")
    whole = series(text)
    (file,) = whole.files
    (lines,) = file.hunks
    parts = replace(whole, files=(replace(file, hunks=(lines[2:7], lines[9:])),))

    assert replace(select_mutants(parts), diff=whole.files) == select_mutants(whole)


def test_a_file_that_is_no_c_has_no_mutants() -> None:
    whole = series(body("+	put_thing(x);"))

    assert select_mutants(replace(whole, texts={})).mutants == ()
    assert whole.texts.keys() == {FILE}


def test_a_new_file_is_not_taken_back_as_a_whole() -> None:
    text = "+#define LIMIT 8\n+\n+static int f(void)\n+{\n+	return put_thing(LIMIT);\n+}\n"

    found = select_mutants(series(text), operators=("omit-hunk",))

    assert found.mutants == ()
    assert [one.why for one in found.left_out] == ["it is the whole file"]


def test_what_an_acquire_gave_is_released_at_once_only_where_the_acquire_succeeded() -> None:
    taken = "+	err = folio_lock_killable(folio);\n+	if (err)\n+		return err;\n"

    (found,) = mutants(body(f"{taken}+	use(folio);\n+	folio_unlock(folio);"), "drop-pair")

    assert found.edits[0].text == "err = folio_lock_killable(folio); if (!(err)) folio_unlock(folio);"
