# SPDX-License-Identifier: GPL-2.0-or-later
"""A compact report is equal to what it was made of."""

from dataclasses import replace

import pytest

from orchestrator.model.reports import CellReport
from orchestrator.report.compact_cells import Compactor, Counters
from orchestrator.report.stored import cell_lines
from tests.unit.samples import cell_report, crash, guest_run


def with_counters(counters: dict[str, int]) -> CellReport:
    run = guest_run()
    assert run.result
    return cell_report(run=replace(run, result=replace(run.result, counters=counters)), crashes=(crash(),))


@pytest.mark.parametrize("counters", [{}, {"b": 2, "a": -1}, {"large": 1 << 40}, {"huge": 1 << 70, "a": 1}])
def test_a_compact_report_is_equal_and_its_counters_have_their_order(counters: dict[str, int]) -> None:
    report = with_counters(counters)

    compact = Compactor().compact(report)

    assert compact == report
    assert compact.run
    assert compact.run.result
    assert list(compact.run.result.counters.items()) == list(counters.items())
    assert list(compact.run.result.counters) == list(counters)
    assert compact.run.result.counters.get("a") == counters.get("a")
    assert list(cell_lines([compact])) == list(cell_lines([report]))


def test_what_many_cells_have_is_there_once() -> None:
    compactor = Compactor()

    first, second = (compactor.compact(with_counters({name: 1})) for name in ("pswpin", "".join(("psw", "pin"))))

    assert first.kernel is second.kernel
    counters = [one.run.result.counters for one in (first, second) if one.run and one.run.result]
    names = [next(iter(one)) for one in counters]
    assert names[0] is names[1]
    assert isinstance(counters[0], Counters)


def test_a_cell_without_a_guest_stays_as_it_is() -> None:
    assert Compactor().compact(cell_report()) == cell_report()
