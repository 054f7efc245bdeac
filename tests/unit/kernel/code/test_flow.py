# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts of code that counts nothing itself, from its neighbours."""

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.kernel.code.flow import BRANCHES, Node, counts, instructions, nodes_of

# `return -1` of a condition: the compiler puts the value on the edge, where no callback is.
X86 = """
/tmp/vmlinux:     file format elf64-x86-64

Disassembly of section .text:

ffffffff81000100 <lookup>:
ffffffff81000100:	push   %rbx
ffffffff81000101:	call   ffffffff81000900 <__sanitizer_cov_trace_pc>
ffffffff81000106:	test   %edi,%edi
ffffffff81000108:	je     ffffffff81000120 <lookup+0x20>
ffffffff8100010a:	call   ffffffff81000900 <__sanitizer_cov_trace_pc>
ffffffff8100010f:	call   ffffffff81000800 <put>
ffffffff81000114:	call   ffffffff81000900 <__sanitizer_cov_trace_pc>
ffffffff81000119:	pop    %rbx
ffffffff8100011a:	ret
ffffffff8100011b:	nopl   0x0(%rax,%rax,1)
ffffffff81000120:	mov    $0xffffffff,%eax
ffffffff81000125:	jmp    ffffffff81000114 <lookup+0x14>
"""
ARM64 = """
ffffffc080000100:	stp	x29, x30, [sp, #-32]!
ffffffc080000104:	bl	ffffffc080000900 <__sanitizer_cov_trace_pc>
ffffffc080000108:	tbz	w0, #3, ffffffc080000114 <lookup+0x14>
ffffffc08000010c:	mov	w0, #0xffffffff            	// #-1
ffffffc080000110:	b	ffffffc080000118 <lookup+0x18>
ffffffc080000114:	bl	ffffffc080000900 <__sanitizer_cov_trace_pc>
ffffffc080000118:	ldp	x29, x30, [sp], #32
ffffffc08000011c:	ret
"""


# A point (patchrig/point.h) between reading and locking: two blocks of the compiler, and no jump between them.
TWO_IN_ONE = """
ffffffff81000100:	call   ffffffff81000900 <__sanitizer_cov_trace_pc>
ffffffff81000105:	call   ffffffff81000700 <read>
ffffffff8100010a:	call   ffffffff81000900 <__sanitizer_cov_trace_pc>
ffffffff8100010f:	call   ffffffff81000800 <lock>
ffffffff81000114:	ret
"""


def known(disassembly: str, arch: str, start: int, end: int) -> dict[int, dict[int, int]]:
    code = list(instructions(disassembly))
    nodes = nodes_of(code, [(start, end)], BRANCHES[arch], "__sanitizer_cov_trace_pc")
    return {at - start: {call - start: times for call, times in terms.items()} for at, terms in counts(nodes).items()}


def test_an_edge_runs_as_often_as_what_does_not_take_the_other() -> None:
    found = known(X86, "x86_64", 0xFFFFFFFF81000100, 0xFFFFFFFF81000127)

    assert found[0x00] == {0x06: 1}
    assert found[0x0A] == {0x0F: 1}
    # What entered and did not fall through. Its own way on leads to the same place as the block above.
    assert found[0x20] in ({0x06: 1, 0x0F: -1}, {0x19: 1, 0x0F: -1})
    # Nothing leads to what only fills a gap.
    assert 0x1B not in found


def test_two_callbacks_one_behind_the_other_are_two_blocks() -> None:
    found = known(TWO_IN_ONE, "x86_64", 0xFFFFFFFF81000100, 0xFFFFFFFF81000115)

    assert found == {0x00: {0x05: 1}, 0x0A: {0x0F: 1}}


def test_code_before_the_callback_belongs_to_its_block() -> None:
    found = known(ARM64, "arm64", 0xFFFFFFC080000100, 0xFFFFFFC080000120)

    assert found[0x00] == {0x08: 1}
    assert found[0x0C] == {0x08: 1, 0x18: -1}
    # The end, which both ways lead to, is entered as often as the function.
    assert found[0x18] == {0x08: 1}


def test_where_a_way_leads_out_of_sight_nothing_follows() -> None:
    nodes = [
        Node(start=1, end=2, call=10, ways=[2], leaves=True, entered=True),
        Node(start=2, end=3, leaves=True),
    ]

    assert 2 not in counts(nodes)


# A busy machine is no failure.
@settings(deadline=None)
@given(st.data())
def test_counts_of_any_walk_are_found(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 8))
    ways = [data.draw(st.lists(st.integers(at + 1, size), min_size=1, max_size=2, unique=True)) for at in range(size)]
    nodes = [Node(start=at, end=at + 1, ways=ways[at], entered=at == 0) for at in range(size)]
    nodes.append(Node(start=size, end=size + 1, leaves=True))
    for node in nodes:
        node.call = data.draw(st.sampled_from((0, 1000 + node.start)))
    nodes[0].call = 1000
    ran = [0] * (size + 1)
    for _ in range(data.draw(st.integers(0, 20))):
        at = 0
        while at < size:
            ran[at] += 1
            at = data.draw(st.sampled_from(ways[at]))
        ran[size] += 1

    for start, terms in counts(nodes).items():
        assert sum(times * ran[call - 1000] for call, times in terms.items()) == ran[start]
