# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls become acts on the objects of a crash; the objects are found where the guest stopped."""

from orchestrator.judge.race_table import (
    Table,
    given_objects,
    last_of_each,
    offsets_of,
    places,
    reported_object,
    spans_of,
    stopped_values,
    words_in,
)
from orchestrator.model.explained import Span
from orchestrator.model.race_points import PointKind, RacePoint, role_of
from orchestrator.model.stacks import SourceLine
from orchestrator.model.traced import Call, TracedFunction

REF, OTHER = 0xFFFF888000DCD000, 0xFFFF888000DCD400
OBJECT = Span(start=REF, size=8, name="ref")


def point(address: int, kind: PointKind, function: str, host: str, typed: tuple[int, ...] = (0,)) -> RacePoint:
    names = ("ref",) if typed else ()
    return RacePoint(
        address=address, kind=kind, function=function, host=host, role=role_of(function), names=names, typed=typed
    )


GET_CALL = point(0x10, PointKind.CALL, "get_device", "fault", ())
GET_COPY = point(0x20, PointKind.COPY, "ref_tryget", "get_device")
PUT_COPY = point(0x30, PointKind.COPY, "ref_put", "fault")
KILL_CALL = point(0x40, PointKind.CALL, "ref_kill", "swapoff")
KILL = point(0x50, PointKind.ENTRY, "ref_kill", "ref_kill")
POINTS = {one.address: one for one in (GET_CALL, GET_COPY, PUT_COPY, KILL_CALL, KILL)}


def call(address: int, *registers: int, cpu: int = 0, task: int = 0xA0, seconds: float = 1.0) -> Call:
    function = TracedFunction(name=POINTS[address].function)
    return Call(
        function=function,
        cpu=cpu,
        arguments=registers,
        seconds=seconds,
        task=task,
        address=address,
        registers=registers,
    )


def acts_of(*calls: Call, objects: tuple[Span, ...] = (OBJECT,)) -> list[tuple[str, str, int]]:
    table = Table(points=POINTS, objects=objects)
    return [(act.role, act.function, act.address) for act in table.acts(calls)]


def test_a_function_and_the_call_of_it_are_one_act_where_it_was_called() -> None:
    assert acts_of(call(0x40, REF), call(0x50, REF)) == [("kills", "ref_kill", 0x40)]


def test_a_copy_in_a_function_that_was_called_is_an_act_of_the_caller_s() -> None:
    assert acts_of(call(0x10, 5), call(0x20, REF), call(0x30, 1, REF)) == [
        ("takes", "ref_tryget", 0x10),
        ("puts", "ref_put", 0x30),
    ]


def test_another_task_s_call_leads_to_nothing() -> None:
    assert acts_of(call(0x10, 5, task=0xB0), call(0x20, REF)) == [("takes", "ref_tryget", 0x20)]
    assert acts_of(call(0x10, 5, cpu=1), call(0x20, REF)) == [("takes", "ref_tryget", 0x20)]


def test_what_is_done_to_other_objects_does_not_count() -> None:
    assert acts_of(call(0x40, OTHER), call(0x50, OTHER), call(0x30, OTHER)) == []


def test_without_a_known_object_all_acts_count() -> None:
    assert len(acts_of(call(0x50, OTHER), call(0x30, 7), objects=())) == 2


def test_a_register_may_point_to_what_an_object_is_embedded_in() -> None:
    seen = [call(0x30, REF - 0x40), call(0x30, OTHER - 0x40), call(0x30, REF - 0x40, OTHER - 0x80)]
    offsets = offsets_of(seen, POINTS, {REF, OTHER})

    assert offsets == {0x30: 0x40}
    assert len(list(Table(points=POINTS, objects=(OBJECT,), offsets=offsets).acts(seen))) == 2


def test_an_object_is_what_was_given_and_is_at_hand() -> None:
    given = given_objects([call(0x50, REF), call(0x40, OTHER), call(0x30, 0xFFFF888000000000)], POINTS)

    assert given == {REF: "ref", OTHER: "ref"}
    assert spans_of(given, {REF, 7}) == (OBJECT,)


def test_pointers_that_gdb_prints_are_taken_and_numbers_are_not() -> None:
    output = f"""\
rax            0xffffffffffffffc1  -63
rbx            {REF:#x}  -131391629105696
r11            0xc2a               3114
#0  put (rcu={OTHER:#x}, nr=1) at /patchrig/src/lib/put.c:197
        data = (struct data *) 0xffff8880009ee5c0
        count = 18446744073709551553
"""
    found = stopped_values(output)

    assert found[REF] == "rbx"
    assert found[OTHER] == "rcu"
    assert found[0xFFFF8880009EE5C0] == "data"
    assert 0xC2A not in found


def test_pointers_in_memory_are_whole_words_of_the_kernel_s() -> None:
    memory = REF.to_bytes(8, "little") + (7).to_bytes(8, "little") + b"\xff\xff"

    assert list(words_in(memory)) == [REF]


def test_kasan_names_the_object_and_its_size() -> None:
    splat = """\
The buggy address belongs to the object at ffff888004b7c400
 which belongs to the cache kmalloc-512 of size 512
"""
    assert reported_object(splat) == Span(start=0xFFFF888004B7C400, size=512, name="kmalloc-512")
    assert reported_object("The buggy address belongs to stack of task a/1") is None


def test_of_what_a_task_repeats_at_a_line_the_last_time_stays() -> None:
    table = Table(points=POINTS, objects=(OBJECT,))
    seen = [call(0x20, REF), call(0x30, REF), call(0x20, REF, seconds=2.0), call(0x30, REF, task=0xB0, seconds=3.0)]

    rows = last_of_each(list(table.acts(seen)), {})

    assert [(row.function, row.task, row.seconds, row.times) for row in rows] == [
        ("ref_put", 0xA0, 1.0, 1),
        ("ref_tryget", 0xA0, 2.0, 2),
        ("ref_put", 0xB0, 3.0, 1),
    ]


def test_lines_of_code_by_how_often_they_acted() -> None:
    line = SourceLine(function="fault", file="mm/memory.c", line=7)
    acts = list(Table(points=POINTS, objects=(OBJECT,)).acts([call(0x50, REF), call(0x30, REF), call(0x30, REF)]))

    found = places(acts, {0x30: line})

    assert [(place.function, place.line, place.times, place.tasks) for place in found] == [
        ("ref_put", line, 2, 1),
        ("ref_kill", None, 1, 1),
    ]
