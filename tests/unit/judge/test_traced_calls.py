# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls get the guest's clock and the task from what the kernel's own functions are given."""

from orchestrator.judge.traced_calls import calls, whole_copies
from orchestrator.model.traced import Entry, TracedFunction, Watched

PUT = TracedFunction(name="put", arguments=("ref",))
WATCHED = Watched(functions={0x10: PUT}, clocks=frozenset({0x20}), switches=frozenset({0x30}))


def entry(cpu: int, address: int, *arguments: int) -> Entry:
    return Entry(cpu=cpu, address=address, arguments=arguments)


def test_the_task_is_that_of_the_cpu_and_the_clock_is_everybody_s() -> None:
    seen = [
        entry(0, 0x10, 1),
        entry(0, 0x30, 0xA0, 0xA1),
        entry(1, 0x30, 0xB0, 0xB1),
        entry(1, 0x20, 2_500_000_000, 0),
        entry(0, 0x10, 2),
        entry(0, 0x30, 0xA1, 0xA2),
        entry(0, 0x20, 2_499_000_000, 0),
        entry(0, 0x10, 3),
        entry(1, 0x10, 4),
    ]

    found = list(calls(seen, WATCHED))

    assert [(call.cpu, call.arguments[0], call.seconds, call.task) for call in found] == [
        (0, 1, None, None),
        (0, 2, 2.5, 0xA1),
        (0, 3, 2.5, 0xA2),
        (1, 4, 2.5, 0xB1),
    ]
    assert {call.function for call in found} == {PUT}


def test_the_clock_itself_can_be_asked_for() -> None:
    watched = Watched(functions={0x20: PUT}, clocks=frozenset({0x20}), switches=frozenset())

    assert [call.seconds for call in calls([entry(0, 0x20, 1_000_000_000)], watched)] == [1.0]
    assert watched.addresses == (0x20,)


COPIES = Watched(functions={0x10: PUT, 0x100: PUT}, switches=frozenset({0x30}), windows=frozenset({0x100}))


def told(cpu: int, address: int, *registers: int) -> Entry:
    return Entry(cpu=cpu, address=address, arguments=(), registers=registers)


def whole(*entries: Entry) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(one.cpu, one.address, one.registers) for one in whole_copies(entries, COPIES)]


def test_the_instructions_of_a_copy_are_one_entry_with_all_their_registers() -> None:
    found = whole(told(0, 0x100, 1), told(1, 0x10, 9), told(0, 0x105, 1, 2), told(0, 0x10A, 3), told(0, 0x10, 4))

    assert found == [(0, 0x100, (1, 2, 3)), (1, 0x10, (9,)), (0, 0x10, (4,))]


def test_a_copy_that_is_entered_again_is_another_entry() -> None:
    assert whole(told(0, 0x100, 1), told(0, 0x105, 2), told(0, 0x100, 3)) == [(0, 0x100, (1, 2)), (0, 0x100, (3,))]


def test_another_task_on_the_cpu_ends_a_copy_and_its_rest_is_nobody_s() -> None:
    found = whole(told(0, 0x100, 1), told(0, 0x30, 7), told(0, 0x105, 2))

    assert found == [(0, 0x100, (1,)), (0, 0x30, (7,))]
