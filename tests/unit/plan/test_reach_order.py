# SPDX-License-Identifier: GPL-2.0-or-later
"""Which workloads run what a series changes, and what none of them runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.model.reach import (
    ChangedReach,
    Extent,
    KernelIdentity,
    Ran,
    ReachMap,
    Recorded,
    SourceFunction,
    Unseen,
    WorkloadReach,
)
from orchestrator.plan.reach_order import Changes, changed_reach, nearest_maps

SOURCE = "5" * 64


def function(text: str) -> SourceFunction:
    """ "mm/swapfile.c:swapoff"."""
    return SourceFunction(*text.split(":"))


def reach_map(
    ran: Mapping[str, Sequence[str]],
    *,
    further: Mapping[str, Recorded] | None = None,
    arch: str = "x86_64",
    version: str = "6.19.6",
    source: str = SOURCE,
    folders: tuple[str, ...] = ("mm/",),
) -> ReachMap:
    """A map by what each workload runs; `further` are functions that none does."""
    named = {name: Recorded.YES for names in ran.values() for name in names} | dict(further or {})
    extents = {function(name): Extent(kind, 4, 9) for name, kind in named.items()}
    workloads = tuple(
        WorkloadReach(
            workload=workload,
            content="",
            seconds=10,
            outcome="passed",
            ran={function(name): Ran(2, (7,)) for name in names},
        )
        for workload, names in ran.items()
    )
    identity = KernelIdentity(source=source, version=version, arch=arch, build="")
    return ReachMap(kernel=identity, folders=folders, functions=extents, workloads=workloads)


def changes(*names: str, calls: Mapping[str, str] | None = None, new_files: Sequence[str] = ()) -> Changes:
    called = {function(name): frozenset(words.split()) for name, words in (calls or {}).items()}
    return Changes(functions=tuple(map(function, names)), calls=called, new_files=frozenset(new_files))


def order(found: ChangedReach) -> list[str]:
    return [one.workload for one in found.ranked]


def test_the_workload_that_reaches_most_goes_first_then_what_reaches_most_of_the_rest() -> None:
    map_ = reach_map(
        {
            "shmem": ["mm/a.c:one", "mm/a.c:two"],
            "swapin": ["mm/a.c:one", "mm/a.c:two", "mm/a.c:three"],
            "zswap": ["mm/a.c:four"],
        }
    )
    wanted = changes("mm/a.c:one", "mm/a.c:two", "mm/a.c:three", "mm/a.c:four")

    found = changed_reach(["zswap", "shmem", "swapin"], wanted, [map_], source=SOURCE)

    assert order(found) == ["swapin", "zswap", "shmem"]
    assert [one.reason for one in found.ranked] == [
        "3 of 4 changed functions",
        "1 of 4 changed functions",
        "2 of 4 changed functions",
    ]
    assert [one.first for one in found.ranked] == [3, 1, 0]
    assert (found.maps, found.same_source, found.unreached) == (("6.19.6 x86_64",), True, ())


def test_a_workload_that_never_passed_when_it_was_recorded_may_reach_more() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:one"], "shmem": []})
    poor = replace(map_, workloads=tuple(replace(one, outcome="not-exercised") for one in map_.workloads))
    better = reach_map({"shmem": []}, arch="arm64")
    wanted = changes("mm/a.c:one")

    found = changed_reach(["swapin", "shmem", "own"], wanted, [poor, better], source=SOURCE, hint="patchrig reach x")

    assert (found.thin, found.hint) == (("swapin",), "patchrig reach x --again")
    assert changed_reach(["swapin"], wanted, [map_], source=SOURCE, hint="patchrig reach x").hint == ""


def test_where_workloads_reach_the_same_their_order_stays() -> None:
    map_ = reach_map({"b": ["mm/a.c:one"], "a": ["mm/a.c:one"]})

    assert order(changed_reach(["b", "a"], changes("mm/a.c:one"), [map_])) == ["b", "a"]


def test_of_workloads_that_reach_as_many_functions_the_one_that_runs_more_of_them_goes_first() -> None:
    map_ = reach_map({"little": ["mm/a.c:one"], "much": ["mm/a.c:one"]})
    much = replace(map_.workloads[1], ran={function("mm/a.c:one"): Ran(4, (7, 8))})

    found = changed_reach(
        ["little", "much"], changes("mm/a.c:one"), [replace(map_, workloads=(map_.workloads[0], much))]
    )

    assert order(found) == ["much", "little"]


def test_a_workload_that_is_in_no_map_goes_before_those_that_add_nothing() -> None:
    map_ = reach_map({"old": ["mm/a.c:one"], "idle": []})

    found = changed_reach(["idle", "new", "old"], changes("mm/a.c:one"), [map_])

    assert order(found) == ["old", "new", "idle"]
    assert [one.reason for one in found.ranked][1] == "not in the map"


def test_what_no_workload_reaches_is_listed() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:one"]}, further={"mm/a.c:two": Recorded.YES})

    found = changed_reach(["swapin"], changes("mm/a.c:one", "mm/a.c:two"), [map_])

    assert found.unreached == (function("mm/a.c:two"),)


def test_what_only_a_workload_of_another_matrix_reaches_is_told_apart() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:one"], "zswap": ["mm/z.c:load"]})

    found = changed_reach(["swapin"], changes("mm/a.c:one", "mm/z.c:load"), [map_])

    assert (found.unreached, found.elsewhere) == ((), ((function("mm/z.c:load"), ("zswap",)),))


def test_one_arch_that_reaches_a_function_is_enough() -> None:
    maps = [
        reach_map({"swapin": []}, further={"mm/a.c:one": Recorded.YES}),
        reach_map({"swapin": ["mm/a.c:one"]}, arch="arm64"),
    ]

    found = changed_reach(["swapin"], changes("mm/a.c:one"), maps, source=SOURCE)

    assert (found.unreached, found.maps) == ((), ("6.19.6 arm64", "6.19.6 x86_64"))


def test_a_function_that_moved_is_found_by_its_name() -> None:
    map_ = reach_map({"swapin": ["mm/old.c:lookup"]})

    found = changed_reach(["swapin"], changes("mm/new.c:lookup", new_files=["mm/new.c"]), [map_])

    assert (found.unreached, found.unseen, found.ranked[0].reached) == ((), (), 1)


def test_a_name_that_two_files_have_is_not_guessed() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:init", "mm/b.c:init", "mm/c.c:other"]})

    found = changed_reach(["swapin"], changes("mm/c.c:init"), [map_])

    assert [one.why for one in found.unseen] == [Unseen.NOT_IN_MAP]


def test_why_a_map_does_not_tell_is_said() -> None:
    further = {"mm/a.c:setup": Recorded.BOOT, "mm/kasan/shadow.c:poison": Recorded.NO}
    map_ = reach_map({"swapin": ["mm/a.c:one"]}, further=further)
    wanted = changes("mm/a.c:setup", "mm/kasan/shadow.c:poison", "fs/x.c:read", "mm/off.c:two", "mm/a.c:fresh")

    found = changed_reach(["swapin"], wanted, [map_])

    assert {one.function.name: one.why for one in found.unseen} == {
        "setup": Unseen.BOOT,
        "poison": Unseen.EXCLUDED,
        "read": Unseen.OUTSIDE,
        "two": Unseen.NOT_BUILT,
        "fresh": Unseen.NOT_IN_MAP,
    }
    assert found.unreached == ()


def test_a_new_function_is_likely_reached_if_what_calls_it_is() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:fault"], "shmem": []}, further={"mm/a.c:idle": Recorded.YES})
    calls = {"mm/a.c:fault": "lookup take", "mm/a.c:take": "fresh", "mm/a.c:idle": "lonely"}
    wanted = changes("mm/a.c:fresh", "mm/a.c:take", "mm/a.c:lonely", calls=calls)

    found = changed_reach(["shmem", "swapin"], wanted, [map_])

    assert {one.function.name: one.caller for one in found.unseen} == {"fresh": "fault", "take": "fault", "lonely": ""}
    assert found.ranked[0].reason == "0 of 3 changed functions, likely 2 more"
    assert found.ranked[0].workload == "swapin"


def test_functions_that_call_each_other_have_no_caller_outside() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:one"]})
    calls = {"mm/a.c:ping": "pong", "mm/a.c:pong": "ping"}

    found = changed_reach(["swapin"], changes("mm/a.c:ping", "mm/a.c:pong", calls=calls), [map_])

    assert [one.caller for one in found.unseen] == ["", ""]


def test_without_a_map_only_the_command_that_makes_one_is_known() -> None:
    found = changed_reach(["swapin"], changes("mm/a.c:one"), [], hint="patchrig reach x")

    assert found == ChangedReach(changed=1, hint="patchrig reach x")


def test_maps_of_the_source_itself_go_before_all_others() -> None:
    own = reach_map({"swapin": []}, arch="arm64")
    other = reach_map({"swapin": []}, source="6" * 64, version="6.19.6")

    assert nearest_maps([other, own], source=SOURCE, version="6.19.6") == (own,)


def test_of_other_sources_the_nearest_version_is_taken_with_all_its_arches() -> None:
    empty = reach_map({}, source="3" * 64, version="7.1.8")
    old = reach_map({"swapin": []}, source="1" * 64, version="6.12.107")
    near = [reach_map({"swapin": []}, source="2" * 64, version="7.0.1", arch=arch) for arch in ("x86_64", "arm64")]

    assert nearest_maps([empty, old, *near], source=SOURCE, version="7.1.8") == tuple(near)
    assert nearest_maps([], source=SOURCE, version="7.1.8") == ()


def test_a_map_of_few_workloads_does_not_hide_those_of_another_kernel() -> None:
    thin = reach_map({"mincore": ["mm/a.c:one"]})
    whole = reach_map({"mincore": [], "swapin": ["mm/a.c:one"]}, source="1" * 64, version="6.12.107")
    far = reach_map({"swapin": [], "large": ["mm/a.c:one"]}, source="2" * 64, version="7.1.8")

    found = nearest_maps([far, whole, thin], source=SOURCE, version="6.19.6")

    assert [(one.kernel.version, [load.workload for load in one.workloads]) for one in found] == [
        ("6.19.6", ["mincore"]),
        ("6.12.107", ["swapin"]),
        ("7.1.8", ["large"]),
    ]


def test_a_workload_whose_map_lacks_a_function_is_not_said_to_leave_it_out() -> None:
    own = reach_map({"mincore": ["mm/a.c:new"]})
    other = reach_map({"swapin": ["mm/a.c:old"], "large": []}, source="2" * 64, version="7.1.8")

    found = changed_reach(["mincore", "swapin", "large"], changes("mm/a.c:new"), [own, other], source=SOURCE)

    assert [(one.workload, one.reached, one.mapped) for one in found.ranked] == [
        ("mincore", 1, True),
        ("swapin", 0, False),
        ("large", 0, False),
    ]


def test_a_whole_map_of_this_kernel_stays_one_beside_others_that_have_further_workloads() -> None:
    own = reach_map({"swapin": ["mm/a.c:one"]})
    old = reach_map({"swapin": [], "kselftest-mm": ["mm/a.c:one"]}, source="1" * 64, version="6.12.107")
    maps = nearest_maps([old, own], source=SOURCE, version="6.19.6")

    found = changed_reach(["swapin"], changes("mm/a.c:one"), maps, source=SOURCE, hint="patchrig reach x")

    assert (found.same_source, found.hint) == (True, "")


def test_a_map_of_another_kernel_says_so_and_keeps_the_hint() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:one"]}, version="6.12.107")

    found = changed_reach(["swapin"], changes("mm/a.c:one"), [map_], source="7" * 64, hint="patchrig reach x")

    assert (found.same_source, found.maps, found.hint) == (False, ("6.12.107 x86_64",), "patchrig reach x")


def test_a_suite_is_named_as_the_command_line_calls_it_where_only_it_runs_a_function() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:one"], "kunit-mm": ["mm/a.c:two"]})
    swapin, suite = map_.workloads
    suite = replace(suite, suite="kunit:mm", outcome="subtests-failed")
    wanted = changes("mm/a.c:one", "mm/a.c:two")

    found = changed_reach(["swapin"], wanted, [replace(map_, workloads=(swapin, suite))], source=SOURCE)

    assert found.elsewhere == ((function("mm/a.c:two"), ("kunit:mm",)),)


def test_a_suite_with_bad_subtests_did_what_it_is_meant_to_do() -> None:
    map_ = reach_map({"swapin": ["mm/a.c:one"], "kunit-mm": ["mm/a.c:two"]})
    loads = tuple(replace(one, outcome="subtests-failed") for one in map_.workloads)

    assert changed_reach(["kunit-mm"], changes(), [replace(map_, workloads=loads)]).thin == ()
