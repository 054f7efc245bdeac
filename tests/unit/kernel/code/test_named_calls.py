# SPDX-License-Identifier: GPL-2.0-or-later
"""What a function calls, by the words of its source."""

from orchestrator.kernel.code.named_calls import calls_in

TEXT = """\
static int lookup(int entry)
{
	return find(entry, &ops) ? 0 : lookup(entry - 1);
}

SYSCALL_DEFINE1(swapoff, const char __user *, name)
{
	lookup(1);
}
"""


def test_each_function_has_the_words_in_it_but_its_own_name() -> None:
    found = dict(calls_in(TEXT))

    assert set(found) == {"lookup", "sys_swapoff"}
    assert {"find", "ops"} <= found["lookup"]
    assert "lookup" not in found["lookup"]
    assert "lookup" in found["sys_swapoff"]
