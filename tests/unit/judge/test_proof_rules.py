# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel without the sites of a workload, and a series of which nothing ran."""

from dataclasses import replace

import pytest

from orchestrator.judge.verdict import judge
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.interfaces import InterfaceUse
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.probes import ChangedSeen, SiteSeen, SiteState
from tests.unit.samples import cell, guest_run, result

GONE = SiteSeen(name="fault", state=SiteState.ABSENT, detail="no call of f() by g()")
IDLE = SiteSeen(name="fault", state=SiteState.NOT_REACHED, detail="call of f() by g()")
HERE = SiteSeen(name="other", state=SiteState.REACHED, detail="h()", calls=9)


def of(*minimums: tuple[str, int], variant: Variant = Variant.PATCHED) -> Cell:
    base = cell(variant=variant)
    return replace(base, workload=base.workload.model_copy(update={"exercised": dict(minimums)}))


def verdict(
    tried: Cell, *sites: SiteSeen, changed: ChangedSeen | None = None, counters: dict[str, int] | None = None
) -> Verdict:
    run = guest_run(result=result(counters=counters or {"swapoffs": 9, "pswpin": 9}))
    return judge(tried, replace(run, sites=sites, changed=changed), (), ())[0]


def seen(
    *,
    ran: tuple[str, ...] = (),
    not_reached: tuple[str, ...] = (),
    no_code: tuple[str, ...] = (),
    unknown: tuple[str, ...] = (),
    meant: tuple[str, ...] = (),
) -> ChangedSeen:
    return ChangedSeen(ran=ran, not_reached=not_reached, no_code=no_code, unknown=unknown, meant=meant)


def test_a_site_that_was_not_reached_is_a_shortfall_and_one_that_is_absent_is_none() -> None:
    asked = of(("site.fault.calls", 10), ("pswpin", 5))

    assert verdict(asked, IDLE).outcome is Outcome.NOT_EXERCISED
    assert verdict(asked, GONE).outcome is Outcome.PASSED
    assert verdict(asked, GONE, counters={"pswpin": 4}).title == "pswpin grew by 4, at least 5 expected"


def test_sites_are_told_apart_by_their_whole_names() -> None:
    assert verdict(of(("site.fault2.calls", 1)), GONE).outcome is Outcome.NOT_EXERCISED


@pytest.mark.parametrize(
    ("minimums", "outcome"),
    [
        ((("site.fault.calls", 10), ("swapoffs", 3)), Outcome.SKIPPED),
        ((("site.fault.calls", 10),), Outcome.SKIPPED),
        ((("site.fault.calls", 10), ("swapoffs", 3), ("pswpin", 1)), Outcome.PASSED),
        ((("site.fault.calls", 10), ("site.other.calls", 1)), Outcome.PASSED),
        ((("swapoffs", 3),), Outcome.PASSED),  # as its author asked for
    ],
)
def test_where_nothing_is_left_that_proves_a_cell_it_is_skipped(
    minimums: tuple[tuple[str, int], ...], outcome: Outcome
) -> None:
    found = verdict(of(*minimums), GONE, HERE, counters={"swapoffs": 9, "pswpin": 9, "site.other.calls": 9})

    assert found.outcome is outcome
    if outcome is Outcome.SKIPPED:
        assert found.title == (
            "nothing proves this cell: site fault: this kernel does not have it (no call of f() by g())"
        )


def test_a_changed_function_that_ran_proves_a_cell_without_sites() -> None:
    asked = of(("site.fault.calls", 10), ("swapoffs", 3))

    assert verdict(asked, GONE, changed=seen(ran=("f",))).outcome is Outcome.PASSED
    assert verdict(asked, GONE, changed=seen(unknown=("f",))).outcome is Outcome.SKIPPED


def test_a_guest_that_did_not_report_is_judged_by_how_it_ended() -> None:
    run = replace(guest_run(), result=None, sites=(GONE,))

    assert judge(of(("site.fault.calls", 1)), run, (), ())[0].outcome is Outcome.FAILED


ASKED = (("swapoffs", 3),)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        # A patch of one line that the workload is meant to reach and does not.
        (seen(not_reached=("f",), meant=("f",)), Outcome.NOT_EXERCISED),
        # One of several ran: that is what a workload can promise.
        (seen(ran=("g",), not_reached=("f",), meant=("f", "g")), Outcome.PASSED),
        # What ran is in a file of another workload's: still code of the series.
        (seen(ran=("far",), not_reached=("f",), meant=("f",)), Outcome.PASSED),
        # A series that this workload is not meant for.
        (seen(not_reached=("f",)), Outcome.PASSED),
        # Nobody could look at one of them: nothing is claimed.
        (seen(not_reached=("f",), unknown=("g",), meant=("f", "g")), Outcome.PASSED),
        (seen(unknown=("f",), meant=("f",)), Outcome.PASSED),
        # What has no code can't run, and the rest did not.
        (seen(not_reached=("f",), no_code=("g",), meant=("f", "g")), Outcome.NOT_EXERCISED),
        (seen(no_code=("g",), meant=("g",)), Outcome.PASSED),
        # Macros and data only.
        (None, Outcome.PASSED),
    ],
)
def test_a_series_of_which_nothing_ran_is_not_exercised(changed: ChangedSeen | None, outcome: Outcome) -> None:
    assert verdict(of(*ASKED), changed=changed).outcome is outcome


def test_the_baseline_has_no_series_to_reach() -> None:
    baseline = of(*ASKED, variant=Variant.BASELINE)

    assert verdict(baseline, changed=seen(not_reached=("f",), meant=("f",))).outcome is Outcome.PASSED


def test_the_reason_names_what_was_not_reached() -> None:
    names = tuple(f"f{at}" for at in range(10))

    found = verdict(of(*ASKED), changed=seen(not_reached=names, meant=names))

    title = found.title
    assert found.unreached
    assert title.startswith("no function that the series changes was seen to run; this workload is meant to reach: f0,")
    assert title.endswith("f7 and 2 more")


FOUND = InterfaceUse(name="cgroup:memory.a", path="memory.a")
LEFT_OUT = InterfaceUse(name="sysctl:panic", path="/proc/sys/panic", why="a correct kernel panics")
GONE_FILE = InterfaceUse(name="sysfs:b")


@pytest.mark.parametrize(
    ("uses", "outcome"),
    [
        ((), Outcome.PASSED),
        ((GONE_FILE, LEFT_OUT), Outcome.PASSED),  # of none could more be asked
        ((FOUND, GONE_FILE), Outcome.NOT_EXERCISED),
        ((replace(FOUND, reads=1), InterfaceUse(name="sysfs:c", path="/sys/c")), Outcome.PASSED),
        ((replace(FOUND, refused=1),), Outcome.PASSED),
    ],
)
def test_interface_files_of_the_series_that_are_there_must_be_used(
    uses: tuple[InterfaceUse, ...], outcome: Outcome
) -> None:
    run = guest_run(result=replace(result(counters={"swapoffs": 9}), interfaces=uses))
    seen, _ = judge(of(("swapoffs", 3)), run, (), ())

    assert seen.outcome is outcome
    if outcome is Outcome.NOT_EXERCISED:
        assert seen.title == "no interface file of the series was read or written: memory.a"
