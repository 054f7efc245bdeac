# SPDX-License-Identifier: GPL-2.0-or-later
"""Which suites run with a series, by what they were seen to run."""

from dataclasses import replace

import pytest

from orchestrator.model.matrix_choices import ChosenSuite
from orchestrator.model.reach import ReachMap
from orchestrator.plan.suite_choice import MOST_SECONDS, SuiteChoice, choose_suites
from orchestrator.plan.suite_workloads import SUITE_KINDS, suite_workload
from tests.unit.plan.test_reach_order import changes, reach_map

CHANGES = changes("mm/a.c:one", "mm/a.c:two", "mm/b.c:three", "mm/b.c:four")
PROPOSED = (ChosenSuite(name="kselftest:mm", reason="MEMORY"), ChosenSuite(name="kselftest:net", reason="NET"))


def recorded(ran: dict[str, list[str]], *, seconds: float = 60.0, outcome: str = "passed") -> ReachMap:
    """A map of workloads and of suites, which have a colon; all suites took so long."""
    map_ = reach_map({suite_workload(name).name if ":" in name else name: places for name, places in ran.items()})
    suites = {suite_workload(name).name: name for name in ran if ":" in name}
    loads = tuple(
        replace(one, suite=suites[one.workload], guest_seconds=seconds, outcome=outcome)
        if one.workload in suites
        else one
        for one in map_.workloads
    )
    return replace(map_, workloads=loads)


def choice(*maps: ReachMap, kinds: tuple[str, ...] = SUITE_KINDS) -> SuiteChoice:
    return choose_suites(PROPOSED, ["swapin", "shmem"], CHANGES, maps, kinds=kinds)


ONE = {"swapin": ["mm/a.c:one"], "shmem": [], "kselftest:mm": ["mm/a.c:one", "mm/a.c:two"]}


def test_a_suite_that_runs_what_no_workload_does_is_chosen() -> None:
    found = choice(recorded(ONE))

    reason = "runs 2 of 4 changed functions, 1 of which no workload of this run runs"
    assert found.chosen == (ChosenSuite(name="kselftest:mm", reason=reason),)
    assert found.proposed == (PROPOSED[1],)
    assert found.reached == {"mm/a.c"}


def test_one_that_runs_only_what_workloads_run_stays_a_proposal() -> None:
    found = choice(recorded({"swapin": ["mm/a.c:one", "mm/a.c:two"], "kselftest:mm": ["mm/a.c:one"]}))

    assert found.chosen == ()
    assert found.proposed[0].reason == "MEMORY; runs 1 of 4 changed functions"


def test_one_that_takes_long_stays_a_proposal_and_the_time_is_said() -> None:
    assert choice(recorded(ONE, seconds=MOST_SECONDS)).chosen

    found = choice(recorded(ONE, seconds=1500))

    assert found.chosen == ()
    assert found.proposed[0].reason.endswith("; took 25 min when it was recorded")
    assert found.reached == frozenset()


@pytest.mark.parametrize(("outcome", "runs"), [("subtests-failed", True), ("hung", False), ("not-exercised", False)])
def test_one_that_did_not_come_to_its_end_stays_a_proposal(outcome: str, runs: bool) -> None:
    found = choice(recorded(ONE, outcome=outcome))

    assert bool(found.chosen) is runs
    assert runs or found.proposed[0].reason.endswith("took 1 min, and did not come to its end when it was recorded")


def test_of_suites_that_add_the_same_the_quickest_is_chosen() -> None:
    quick = recorded({"kunit:mm": ["mm/a.c:two"]}, seconds=5)
    more = recorded({"stress-ng:vm": ["mm/b.c:three", "mm/b.c:four"]}, seconds=400)

    found = choice(recorded(ONE), quick, more)

    assert [one.name for one in found.chosen] == ["stress-ng:vm", "kunit:mm"]
    assert [one.name for one in found.proposed] == ["kselftest:mm", "kselftest:net"]
    assert found.reached == {"mm/a.c", "mm/b.c"}


def test_one_of_which_the_maps_know_and_maintainers_do_not_is_named_if_it_runs_something() -> None:
    map_ = recorded({"swapin": ["mm/a.c:one", "mm/a.c:two"], "kunit:mm": ["mm/a.c:two"], "kunit:damon*": []})

    assert choice(map_).proposed[2:] == (ChosenSuite(name="kunit:mm", reason="runs 1 of 4 changed functions"),)


def test_only_suites_of_the_kinds_that_may_run_are_chosen() -> None:
    assert choice(recorded(ONE), kinds=("kunit",)).chosen == ()
    assert choice(recorded(ONE), kinds=()).proposed[0].reason.startswith("MEMORY; runs 2 of 4 changed functions, 1 of")


def test_where_no_workload_of_the_run_was_recorded_nobody_knows_what_a_suite_adds() -> None:
    found = choice(recorded({"kselftest:mm": ["mm/a.c:one"]}), recorded({"other": ["mm/a.c:two"]}))

    assert found.chosen == ()
    assert found.proposed[0].reason == "MEMORY; runs 1 of 4 changed functions"


def test_where_a_workload_of_the_run_was_not_recorded_it_may_run_the_same() -> None:
    found = choice(recorded({name: places for name, places in ONE.items() if name != "shmem"}))

    assert found.chosen == ()
    assert ", 1 of which no recorded workload of this run runs; took 1 min" in found.proposed[0].reason


def test_without_a_map_all_stay_as_they_are_proposed() -> None:
    assert choice() == SuiteChoice(proposed=PROPOSED)
    assert choice(reach_map({"swapin": ["mm/a.c:one"]})) == SuiteChoice(proposed=PROPOSED)
