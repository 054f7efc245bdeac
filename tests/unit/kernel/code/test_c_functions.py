# SPDX-License-Identifier: GPL-2.0-or-later
"""A C text -> where its functions are."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.code.c_functions import function_extents

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
int cut_off(void)
{
"""


def test_functions_are_found_by_the_braces_of_their_bodies() -> None:
    found = [(one.name, one.first, one.last) for one in function_extents(TEXT)]

    assert found == [
        ("get_swap_device_info", 16, 25),
        ("nothing", 28, 28),
        ("one_line", 30, 30),
        ("sys_swapoff", 31, 34),
        ("locked", 37, 41),
        ("locked", 43, 46),
    ]


@given(st.text(alphabet="a({});#/* \n"))
def test_any_text_gives_extents_in_order(text: str) -> None:
    found = list(function_extents(text))

    assert all(one.first <= one.last <= len(text.splitlines()) for one in found)
    assert all(before.last < after.last for before, after in pairwise(found))
