# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that prints nonsense, without an end or out of all bounds: it costs a line, and is never believed."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.guest.block_counts import counted_of
from orchestrator.guest.evidence import growth, running_tasks, stuck_tasks
from orchestrator.guest.protocol import LONGEST_LINE
from orchestrator.guest.workload import REFERENCE_SPEED, SLOWEST, Progress, ProtocolReader, limits_for
from orchestrator.guest.workload import growth as counter_growth
from orchestrator.host.errors import GuestNonsense, InfraError
from orchestrator.judge.hang import shown_tasks
from orchestrator.vm.qemu import ready_of
from tests.unit.samples import RESULT, cell

PROGRESS = {"type": "progress", "operations": 5, "swapoffs": 1, "seconds": 0.5}
DIGITS = "9" * 5000
NONSENSE = {
    "nested lists": '{"type": ' + "[" * 100_000,
    "nested objects": '{"a": ' * 50_000,
    "nested a little too deep": '{"a": [[[[[[[1]]]]]]]}',
    "infinity": '{"type": "progress", "operations": 5, "swapoffs": 1, "seconds": Infinity}',
    "not a number": '{"type": "progress", "operations": 5, "swapoffs": 1, "seconds": NaN}',
    "an infinity that has digits": '{"type": "progress", "operations": 5, "swapoffs": 1, "seconds": 1e999}',
    "more seconds than there are": '{"type": "progress", "operations": 5, "swapoffs": 1, "seconds": 1e300}',
    "negative": '{"type": "progress", "operations": -5, "swapoffs": 1, "seconds": 1.0}',
    "5,000 digits": f'{{"type": "progress", "operations": {DIGITS}, "swapoffs": 1, "seconds": 1.0}}',
    "21 digits": f'{{"type": "progress", "operations": {DIGITS[:21]}, "swapoffs": 1, "seconds": 1.0}}',
    "seconds of 5,000 digits": f'{{"type": "progress", "operations": 1, "swapoffs": 1, "seconds": {DIGITS}}}',
    "a line that is too long": '{"type": "' + "x" * LONGEST_LINE + '"}',
    "too many entries": json.dumps({"type": "result", "errors": [0] * 5000}),
    "half an object": '{"type": "result"',
    "no JSON": "{type: result}",
    "a fraction of an operation": '{"type": "progress", "operations": 1.5, "swapoffs": 1, "seconds": 1.0}',
    "a page that is text of 5,000 digits": json.dumps(
        {**RESULT, "mismatches": [{"page": DIGITS, "kind": "stale", "expected": "", "seen": ""}]}
    ),
}


def heard(*lines: str) -> tuple[ProtocolReader, list[Progress]]:
    told, seen = ProtocolReader(), list[Progress]()
    for line in lines:
        told.take(f"{line}\n", seen.append)
    return told, seen


@pytest.mark.parametrize("line", NONSENSE.values(), ids=NONSENSE)
def test_a_line_of_nonsense_breaks_the_protocol_and_nothing_else(line: str) -> None:
    told, seen = heard(line, json.dumps(RESULT))

    assert told.trouble.startswith("a line that breaks the protocol: ")
    assert len(told.trouble) < 1000
    assert told.trouble.isprintable()
    assert seen == []
    assert told.result is not None


@given(st.text() | st.binary().map(lambda data: data.decode(errors="replace")))
def test_whatever_a_guest_prints_is_read(text: str) -> None:
    heard(text, "{" + text, '{"type": "result", "operations": ' + text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from(sorted(RESULT)), json_values, st.sampled_from([RESULT, PROGRESS]))
def test_whatever_value_a_key_has_is_read(key: str, value: object, line: dict[str, object]) -> None:
    told, seen = heard(json.dumps(line | {key: value}))

    assert all(math.isfinite(at.seconds) for at in seen)
    json.dumps(told.result.counters if told.result else {})


def test_a_second_result_does_not_replace_the_first() -> None:
    told, _ = heard(json.dumps({**RESULT, "mismatch_count": 3}), json.dumps(RESULT))

    assert told.result is not None
    assert told.result.mismatch_count == 3
    assert "a second result" in told.trouble


def test_texts_of_a_result_are_short_lines() -> None:
    told, _ = heard(json.dumps({**RESULT, "missing": "no\nzram\x1b[2J" + "x" * 10_000}))

    assert told.result is not None
    assert told.result.missing.startswith("no zram\\x1b[2J")
    assert len(told.result.missing) <= 300


def test_a_line_that_never_ends_is_not_kept() -> None:
    told, _ = heard()
    for _number in range(100):
        told.take("{" * 100_000, lambda _: None)

    assert len(told.rest) <= LONGEST_LINE + 1
    told.take("\n", lambda _: None)
    assert "more than" in told.trouble


def test_of_endless_output_the_beginning_and_the_end_are_kept() -> None:
    told, _ = heard("first")
    for number in range(20_000):
        told.take(f"{number} {'y' * 1000}\n", lambda _: None)
    told.take("last\n", lambda _: None)

    text = told.output.text()
    assert text.startswith("first\n0 y")
    assert text.endswith("\nlast\n")
    assert "lines left out]" in text
    assert len(text) < 10_000_000


@given(st.floats(min_value=0.0))
def test_no_speed_makes_a_deadline_of_more_than_hours(speed: float) -> None:
    limits = limits_for(cell(), speed)

    assert limits == limits_for(cell(), max(speed, REFERENCE_SPEED / SLOWEST))
    assert limits.overall < 2 * 3600


MACHINE = {"page_kib": "4", "nodes": "1", "memcg": "v2", "thp": "madvise"}
FACTS = {"cpus": "4", "memory_kib": "500000", "speed": "200.0", "config": "0123abcd"} | MACHINE


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        *(("speed", value) for value in ("0", "0.0", "1e-300", "inf", "nan", "-1", "1e9", DIGITS, "", "²")),
        *(("cpus", value) for value in ("many", DIGITS, "-1", "1_0", "٤")),
        *(("memory_kib", value) for value in (DIGITS, "0x10", "-5", "1e9")),
        *(("config", value) for value in ("x" * 1000, "a/b", "\x1b")),
        *((name, value) for name in ("page_kib", "nodes") for value in ("", "-4", "4.0", "٤", DIGITS)),
        *((name, value) for name in ("memcg", "thp") for value in ("", "x" * 17, "[v1]", "\x1b")),
    ],
)
def test_a_ready_line_of_nonsense_is_the_guests(fact: str, value: str) -> None:
    with pytest.raises(GuestNonsense) as told:
        ready_of(" ".join(f"{name}={said}" for name, said in (FACTS | {fact: value}).items()))

    assert len(str(told.value)) < 400
    assert str(told.value).isprintable()


@given(st.text())
def test_whatever_a_ready_line_says_is_read(text: str) -> None:
    rest = "memory_kib=1 config= " + " ".join(f"{name}={said}" for name, said in MACHINE.items())
    for facts in (text, f"cpus={text} speed=1 {rest}", f"cpus=1 speed={text} {rest}"):
        try:
            ready = ready_of(facts)
        except InfraError:
            continue
        assert 0 < ready.speed < 1e8


HOSTILE_STACKS = (
    f"== {DIGITS} swapoff D (disk sleep)\n[<0>] f+0x{'f' * 5000}/0x10\n",
    "== 1 swapoff D (disk sleep)\n" + "[<0>] f+0x1/0x10\n" * 10_000,
    "== 1 x D (d)\n" * 100_000,
    "== 1" + " D (" * 1_000_000,
    "== ٤ swapoff D (disk sleep)\n",
)


@pytest.mark.parametrize("stacks", HOSTILE_STACKS, ids=range(len(HOSTILE_STACKS)))
def test_stacks_of_nonsense_are_few_and_small(stacks: str) -> None:
    found = stuck_tasks(stacks)

    assert len(found) <= 5000
    assert all(len(task.stack) <= 100 for task in found)
    json.dumps([[frame.offset for frame in task.stack] for task in found])


def test_times_and_counters_of_nonsense_say_nothing() -> None:
    for first, second in (("nan 1", "inf 1"), (f"{DIGITS}", "2.0"), ("1.0\n", f"2.0\n1 (x) R 5-3 {DIGITS}\n")):
        assert running_tasks(first, second) == ()
    assert growth(f"pswpin {DIGITS}\n", f"pswpin {DIGITS}9\n") == {}


@pytest.mark.parametrize(
    "line", [f"0x1 f {DIGITS} 1 1 1", f"{DIGITS} f 1 1 1 1", "1 f 1 1 1", "1 f -1 0 0 0", "1 f ٤ 0 0 0"]
)
def test_counts_of_blocks_that_make_no_sense_are_none(line: str) -> None:
    with pytest.raises(ValueError, match="no count of a block"):
        counted_of(line)


@given(st.text() | st.just(f"task:x state:D stack:1 pid:{DIGITS} tgid:1 ppid:1 flags:0x1\n f+0x{DIGITS}/0x1"))
def test_whatever_a_console_shows_of_tasks_can_be_kept(text: str) -> None:
    for task in shown_tasks(text.split("\n")).values():
        json.dumps([task.pid, *(frame.offset for frame in task.stack)])


@pytest.mark.parametrize("before", [-1, 1 << 64, 1.5, "5", True])
def test_a_counter_that_no_kernel_has_is_no_proof(before: object) -> None:
    with pytest.raises(ValidationError):
        counter_growth({"before": {"swapoffs": before}, "after": {"swapoffs": 9}})
