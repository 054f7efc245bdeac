# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a replay stops before a splat."""

from dataclasses import replace

import pytest

from orchestrator.judge.stop_places import stop_before
from orchestrator.model.crashes import CrashKind
from orchestrator.model.stacks import SourceLine, StackFrame
from orchestrator.model.stops import Stop
from tests.unit import samples

TRAP = StackFrame(function="put.isra.0", offset=0xEF, size=0x190, exact=True)
CALLER = StackFrame(function="caller", offset=0x10, size=0x40)
WARNING = replace(samples.crash(CrashKind.WARNING, "WARNING in put", line=20), stack=(TRAP, CALLER))


def test_a_warning_is_an_instruction_that_traps() -> None:
    place = SourceLine(function="put", file="lib/put.c", line=3)
    explained = replace(WARNING, stack=(replace(TRAP, places=(place,)), CALLER))

    assert stop_before(explained, [explained]) == Stop(frame=TRAP)


def test_an_access_that_faults_has_been_good_before() -> None:
    oops = replace(samples.crash(CrashKind.OOPS, "oops in put", line=20), stack=(TRAP,))

    assert stop_before(oops, [oops]) == Stop(functions=("oops_enter",))


@pytest.mark.parametrize("stack", [(), (CALLER,), (replace(TRAP, module="zram"),)])
def test_a_warning_whose_instruction_is_not_told_stops_at_what_prints_it(stack: tuple[StackFrame, ...]) -> None:
    crash = replace(WARNING, stack=stack)

    stop = stop_before(crash, [crash])

    assert stop
    assert "__warn" in stop.functions


def test_only_earlier_splats_that_stop_there_too_are_passed_over() -> None:
    first, last = replace(WARNING, line=10), replace(WARNING, line=40)
    other = replace(WARNING, stack=(replace(TRAP, offset=0x10),), line=15)
    report = samples.crash(CrashKind.KASAN, line=12)

    stop = stop_before(WARNING, [first, report, other, WARNING, last])

    assert stop == Stop(frame=TRAP, passes=1)


def test_a_hang_has_no_such_place() -> None:
    hang = samples.crash(CrashKind.HANG, "INFO: task hung in f")

    assert stop_before(hang, [hang]) is None
