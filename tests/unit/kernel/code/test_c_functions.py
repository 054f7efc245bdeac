# SPDX-License-Identifier: GPL-2.0-or-later
"""A C text -> where its functions are."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.code.c_functions import extents_at, function_extents

TEXT = """// SPDX-License-Identifier: GPL-2.0
#include <linux/swap.h>

static const struct file_operations swaps_ops = {
	.open = swaps_open,
};

static int numbers[] =
{
	1, 2,
};

/*
 * A comment above is not part of it.
 */
static struct swap_info_struct *get_swap_device_info(
		struct swap_info_struct *si,
		int how)
{
	if (how) {
		return NULL;
	}
out:
	return si;
}
EXPORT_SYMBOL_GPL(get_swap_device_info);

static inline void nothing(void) { }

static inline int one_line(int x) { return x; }
static inline int as_in_user_space(int x) {
	return x;
}
SYSCALL_DEFINE1(swapoff, const char __user *, specialfile)
{
	return 0;
}

#ifdef CONFIG_SWAP
__acquires(lock)
int locked(void)
{
	return 1;
}
#else
int locked(void)
{
	return 0;
}
#endif
struct plain {
	int x;
};
TRACE_EVENT(swapoff,
	TP_PROTO(int type),
	TP_fast_assign(
		__entry->type = type;
	),
);
DEFINE_SHOW_ATTRIBUTE(swaps);
int cut_off(void)
{
"""


def test_functions_are_found_by_the_braces_of_their_bodies() -> None:
    found = [(one.name, one.first, one.last) for one in function_extents(TEXT)]

    assert found == [
        ("get_swap_device_info", 16, 25),
        ("nothing", 28, 28),
        ("one_line", 30, 30),
        ("as_in_user_space", 31, 33),
        ("sys_swapoff", 34, 37),
        ("locked", 40, 44),
        ("locked", 46, 49),
    ]


def test_a_blank_line_above_the_brace_does_not_take_the_head_away() -> None:
    text = "int g(void)\n{\n}\n\nstatic void f(struct thing *x,\n\t      int n)\n\n{\n}\n\n{\n}\n"

    assert [(one.name, one.first, one.last) for one in function_extents(text)] == [
        ("g", 1, 3),
        ("f", 5, 9),
        ("", 11, 12),
    ]


def test_a_directive_of_several_lines_is_no_head() -> None:
    text = "#if defined(A) || \\\n    defined(B)\nstatic int f(void)\n{\n}\n#endif\n"

    assert [(one.name, one.first, one.last) for one in function_extents(text)] == [("f", 3, 5)]


def test_a_line_of_a_function_tells_where_all_of_it_is() -> None:
    head, body, one_line, syscall = extents_at([17, 22, 30, 34], TEXT)

    assert (head.first, head.last) == (body.first, body.last) == (16, 25)
    assert (one_line.name, one_line.last) == ("one_line", 30)
    assert (syscall.name, syscall.last) == ("sys_swapoff", 37)


def test_a_function_that_a_macro_makes_is_as_long_as_the_call_of_the_macro() -> None:
    event, show, nowhere = extents_at([54, 60, 99], TEXT)

    assert (event.first, event.last) == (54, 59)
    assert (show.first, show.last) == (60, 60)
    assert (nowhere.first, nowhere.last) == (99, 99)


def test_lines_are_counted_as_compilers_and_git_count_them() -> None:
    (found,) = function_extents("/* a page: \f\v\x85 */\nint f(void)\n{\n}\n")

    assert (found.name, found.first, found.last) == ("f", 2, 4)


@given(st.text(alphabet="a({});#/* \n"))
def test_any_text_gives_extents_in_order(text: str) -> None:
    found = list(function_extents(text))

    assert all(one.first <= one.last for one in extents_at(range(1, 9), text))
    assert all(one.first <= one.last <= len(text.splitlines()) for one in found)
    assert all(before.last < after.last for before, after in pairwise(found))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("static void __slab_free(struct kmem_cache *s, int cnt,\n\t\t\tunsigned long addr)\n\n", "__slab_free"),
        ("static void f(struct rq *rq)\n\t__acquires(rq->lock) /* and more */\n", "f"),
        ("int check(int a,\n\t/* what it points to */ int b, /* old */\n\tint c)\n", "check"),
        (
            "#ifdef CONFIG_BACKWARDS\nSYSCALL_DEFINE5(clone, int, a)\n#else\nSYSCALL_DEFINE5(clone, long, a)\n#endif\n",
            "sys_clone",
        ),
        ("BPF_CALL_2(bpf_skb_load, int, a, int, b)\n", "bpf_skb_load"),
        ("DEFINE_IDTENTRY_RAW_ERRORCODE(exc_page_fault)\n", "exc_page_fault"),
    ],
)
def test_a_head_that_is_written_in_an_unusual_way_has_its_name(head: str, name: str) -> None:
    (found,) = function_extents(f"int before;\n/*\n * What it does.\n */\n{head}{{\n\tg();\n}}\n")

    assert (found.name, found.first) == (name, 5)


def test_a_brace_with_nothing_above_it_is_no_head_of_what_ends_there() -> None:
    (found,) = function_extents("int x;\n\n{\n}\n")

    assert (found.name, found.first) == ("", 3)
